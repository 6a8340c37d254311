"""The NAS of the lab: kernel nfsd on the loopback address, every export a tmpfs of its own.

The server's root is hack/lib/labvm/guest.sh's tmpfs; an export is a mount below it, so that each has options
of its own, as volumes of a real NAS do.
"""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

ADDRESS = "127.0.0.1"
ROOT = Path("/run/lab/nas")
_RULE = ("INPUT", "-i", "lo", "-p", "tcp", "--dport", "2049", "-j", "DROP")
_RESET = (*_RULE[:-1], "REJECT", "--reject-with", "tcp-reset")
_numbers = itertools.count(1)


def sh(*argv: str | Path) -> str:
    """Standard output; raises AssertionError with what the command said."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{' '.join(map(str, argv))}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def fill(folder: Path, files: dict[str, str]) -> None:
    """Write files (path -> text) below ``folder``."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Nas:
    def __init__(self) -> None:
        sh("exportfs", "-o", "ro,no_root_squash,no_subtree_check,fsid=0", f"{ADDRESS}:{ROOT}")

    def export(self, name: str, files: dict[str, str], options: str = "no_root_squash") -> Path:
        """A new export ``/name`` with these files; answers the server's own folder of it."""
        folder = ROOT / name
        folder.mkdir()
        sh("mount", "-t", "tmpfs", "-o", "mode=755", f"nas-{name}", folder)
        fill(folder, files)
        sh("exportfs", "-o", f"ro,no_subtree_check,fsid={next(_numbers)},{options}", f"{ADDRESS}:{folder}")
        return folder

    def stop(self) -> None:
        """The server is off: connections are refused."""
        sh("rpc.nfsd", "0")

    def start(self) -> None:
        sh("rpc.nfsd", "--no-nfs-version", "3", "--no-udp", "8")

    def drop(self) -> None:
        """The server is unreachable: packets to it vanish."""
        sh("iptables", "-I", *_RULE)

    def reach(self) -> None:
        sh("iptables", "-D", *_RULE)

    def reset(self) -> None:
        """Connections are reset, and new ones refused."""
        sh("iptables", "-I", *_RESET)

    def heal(self) -> None:
        sh("iptables", "-D", *_RESET)
