"""What lies behind a directory of the old machine: NFS exports, unions of directories, binds. Pure.

Source: fstab(5), nfs(5), mergerfs(8), mount(8) of overlay, unionfs-fuse(8).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pdshub import ports

_OCTAL = re.compile(r"\\([0-7]{3})")
_DEEPEST, _BRANCHES, _LINES = 8, 64, 2000
_MERGERFS = ("mergerfs", "fuse.mergerfs")
_UNIONFS = ("unionfs", "fuse.unionfs", "fuse.unionfs-fuse", "unionfs-fuse", "aufs")
_NFS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:/\[\]]+):(/.*)")


@dataclass(frozen=True)
class Mount:
    """A line of fstab, or a volume of Docker with options of its own."""

    device: str
    point: str
    kind: str
    options: Mapping[str, str] = field(default_factory=dict)
    line: int = 0

    @property
    def read_only(self) -> bool:
        """Whether it is mounted read-only."""
        return "ro" in self.options


@dataclass(frozen=True)
class Place:
    """A directory: of an NFS export where ``server`` is set, else of the machine itself."""

    path: str
    server: str = ""
    export: str = ""
    port: int = ports.NFS
    version: str = ""
    """As the mount says it; empty where it does not."""


def options(text: str) -> dict[str, str]:
    """Mount options by name."""
    return {name: value for name, _, value in (part.partition("=") for part in text.split(",") if part)}


def read(text: str) -> list[Mount]:
    """The lines of an fstab; what is none is left out."""
    found = []
    for number, line in enumerate(text.split("\n")[:_LINES], 1):
        parts = [_OCTAL.sub(lambda code: chr(int(code[1], 8)), part) for part in line.split()]
        if len(parts) < 3 or parts[0].startswith("#") or not parts[1].startswith("/"):
            continue
        device, kind = parts[0], parts[2]
        if "#" in device and kind == "fuse":  # unionfs-fuse#/a:/b and mergerfs#/a:/b: the older way to say it
            kind, _, device = device.partition("#")
        found.append(Mount(device, tidy(parts[1]), kind, options(parts[3] if len(parts) > 3 else ""), number))
    return found


def tidy(path: str) -> str:
    """A path without empty parts, dots and a slash at its end."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def below(path: str, folder: str) -> str | None:
    """What is left of a path below a folder: "" for the folder itself; None for what lies elsewhere."""
    if path == folder:
        return ""
    start = folder.rstrip("/") + "/"
    return path[len(start) :] if path.startswith(start) else None


def _joined(folder: str, rest: str) -> str:
    return f"{folder.rstrip('/')}/{rest}" if rest else folder


def mount_of(path: str, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that holds a path; of two at one point the later."""
    holding = [mount for mount in mounts if below(path, mount.point) is not None]
    return max(reversed(holding), key=lambda mount: len(mount.point), default=None)


def branches(mount: Mount) -> list[str] | None:
    """The directories of a union in their order, the first winning; None for a mount that is none."""
    if mount.kind in (*_MERGERFS, *_UNIONFS):
        device = mount.device
        for key, value in mount.options.items():  # aufs and unionfs have them among the options
            if key in ("br", "dirs"):
                device = value
            elif key.startswith(("br:", "dirs:")):
                device = f"{key}={value}".partition(":")[2]
        return [tidy(part.partition("=")[0]) for part in device.split(":") if part][:_BRANCHES]
    if mount.kind == "overlay":
        upper = mount.options.get("upperdir", "")
        lower = mount.options.get("lowerdir", "").replace("\\:", "\0").split(":")
        return [tidy(part.replace("\0", ":")) for part in [upper, *lower] if part][:_BRANCHES]
    return None


def places(
    path: str, mounts: Sequence[Mount], told: Callable[[str], None] = lambda words: None, depth: int = 0
) -> list[Place]:
    """The directories that a path shows, the first winning. ``told`` hears what is not as it seems."""
    path = tidy(path)
    mount = mount_of(path, mounts)
    if mount is None or depth > _DEEPEST:
        if depth > _DEEPEST:
            told(f"{path}: mounts lead in a circle")
        return [Place(path)]
    rest = below(path, mount.point) or ""
    if (union := branches(mount)) is not None:
        _doubts(mount, told)
        found: list[Place] = []
        for branch in union:
            if len(found) >= _BRANCHES:  # unions of unions multiply
                break
            found += places(_joined(branch, rest), [m for m in mounts if m is not mount], told, depth + 1)
        return found[:_BRANCHES]
    if mount.kind in ("nfs", "nfs4") and (parts := _NFS.fullmatch(mount.device)):
        return [_of_nfs(mount, parts[1], parts[2], rest, told)]
    if ("bind" in mount.options or "rbind" in mount.options) and mount.device.startswith("/"):
        others = [m for m in mounts if m is not mount]
        return places(_joined(tidy(mount.device), rest), others, told, depth + 1)
    return [Place(path)]


def _of_nfs(mount: Mount, server: str, export: str, rest: str, told: Callable[[str], None]) -> Place:
    said = mount.options
    version = said.get("vers") or said.get("nfsvers") or said.get("v") or ""
    version = version or next((name[1:] for name in ("v4.2", "v4.1", "v4.0", "v4") if name in said), "")
    if version.startswith(("2", "3")):
        told(
            f"{mount.point} is mounted by NFS {version}: PDSHub speaks version 4, which the server has to speak as well"
        )
    version = {"4.0": "4", "4": ""}.get(version, version)
    port = said.get("port", "")
    return Place(
        rest or ".",
        server.strip("[]"),
        tidy(export),
        int(port) if port.isascii() and port.isdigit() and 0 < int(port) < 65536 else ports.NFS,
        version if version in ("4", "4.1", "4.2") else "",
    )


def _doubts(mount: Mount, told: Callable[[str], None]) -> None:
    where = f"{mount.point} (line {mount.line})" if mount.line else mount.point
    if any(policy in ("newest", "rand") for policy in mount.options.values()):
        told(f"{where} shows the newest copy of a file and not the first: layers go by their order, and by labels")
    if any(character in mount.device for character in "*?["):
        told(f"{where} names its directories by a pattern: which they are, only the old machine knows")
    if mount.kind == "overlay" and mount.options.get("upperdir"):
        told(f"{where} is an overlay that somebody writes to: deletions in its upper directory are not known here")
