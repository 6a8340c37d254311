"""Programs of Debian 13, whatever Debian the machine is: unpacked beside the system with the C library they need.

mkfs.erofs writes catalogs from 1.8 on (Debian 12 has 1.5), sqfstar takes a level of compression from 4.6 on; mergerfs
and unionfs-fuse are what the benchmark compares with, the latter last seen in Debian 12.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from devcluster.artefact import Artefact, digest
from devcluster.machine import debian_mirror
from devcluster.run import run

from .packages import unpack

SUITES = ("trixie", "bookworm")
"""The newest version of these is taken."""
PROGRAMS = {
    "erofs-utils": ("mkfs.erofs",),
    "squashfs-tools": ("sqfstar",),
    "mergerfs": ("mergerfs",),
    "unionfs-fuse": ("unionfs-fuse",),
}
"""Package -> its programs that are wanted."""

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_RECIPE = "3"
_WRAPPER = f"""#!/bin/sh
# {{program}} of Debian 13 with Debian 13's own C library
top=$(dirname "$(dirname "$(readlink -f "$0")")")
exec "$top/{_LIBRARIES}/ld-linux-x86-64.so.2" --library-path "$top/{_LIBRARIES}" "$top/usr/bin/{{program}}" "$@"
"""


def programs() -> Artefact:
    """``bin/`` with a wrapper for each program; ``packages.txt`` names the packages with their versions."""

    def build(work: Path) -> None:
        apt = work / "apt"
        for folder in ("lists/partial", "cache/archives/partial"):
            (apt / folder).mkdir(parents=True)
        (apt / "status").touch()  # nothing is installed: every library is fetched
        lines = [f"deb [signed-by={_KEYRING}] {debian_mirror()} {suite} main\n" for suite in SUITES]
        (apt / "sources.list").write_text("".join(lines))
        options = [
            *("-o", f"Dir::State={apt}", "-o", f"Dir::Cache={apt}/cache", "-o", f"Dir::State::status={apt}/status"),
            *("-o", f"Dir::Etc::sourcelist={apt}/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null"),
            *("-o", "Acquire::Languages=none", "-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"),
            *("-o", "APT::Sandbox::User=root", "-o", "APT::Architecture=amd64"),
            *("-o", "Dir::Etc::preferencesparts=/dev/null"),
        ]
        run(["apt-get", *options, "update", "-qq"], timeout=300)
        fetch = ["install", "--yes", "-qq", "--download-only", "--no-install-recommends", *PROGRAMS]
        run(["apt-get", *options, *fetch], timeout=900)
        archives = sorted((apt / "cache/archives").glob("*.deb"))
        unpack(archives, work)
        (work / "packages.txt").write_text("".join(f"{a.name}\n" for a in archives))
        shutil.rmtree(apt)
        (work / "bin").mkdir()
        for names in PROGRAMS.values():
            for name in names:
                wrapper = work / "bin" / name
                wrapper.write_text(_WRAPPER.format(program=name))
                wrapper.chmod(0o755)
                run([wrapper, "-version" if name == "sqfstar" else "--version"])

    return Artefact("lab-newer", digest([_RECIPE, *SUITES, *PROGRAMS]), build)
