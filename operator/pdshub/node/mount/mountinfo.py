"""The kernel's mount table as data: what is really mounted, instead of what somebody noted down.

Source: proc_pid_mountinfo(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo.

    `device` (major:minor) names the superblock, `root` the directory of it that is mounted: two mounts
    with the same pair show the same files.
    """

    id: int
    parent: int
    device: str
    root: str
    point: str
    options: frozenset[str]
    fstype: str
    source: str
    super_options: str

    @property
    def content(self) -> tuple[str, str]:
        """What is mounted, whatever the place: (device, root)."""
        return (self.device, self.root)


def unescape(text: str) -> str:
    """Space, tab, newline, backslash and '#' stand as three octal digits in mountinfo."""
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)


def parse(text: str) -> list[Mount]:
    """All mounts in the kernel's order; of those on the same point the last one is on top... usually.

    MOVE_MOUNT_BENEATH and propagation break the order of the file, so use `stack` for that question.
    """
    mounts = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        head, tail = left.split(" "), right.split(" ")
        if len(head) < 6 or len(tail) < 3:
            continue
        mounts.append(
            Mount(
                id=int(head[0]),
                parent=int(head[1]),
                device=head[2],
                root=unescape(head[3]),
                point=unescape(head[4]),
                options=frozenset(head[5].split(",")),
                fstype=tail[0],
                source=unescape(tail[1]),
                super_options=unescape(tail[2]),
            )
        )
    return mounts


def read(path: str = "/proc/self/mountinfo") -> list[Mount]:
    """All mounts of the mount namespace whose mountinfo `path` is; by default this process'. Raises OSError."""
    return parse(Path(path).read_text(encoding="utf-8", errors="surrogateescape"))


def stack(mounts: Iterable[Mount], point: str) -> list[Mount]:
    """The mounts on one point, lowest first: each sits on the one before it (its parent)."""
    here = {mount.id: mount for mount in mounts if mount.point == point}
    children = {mount.parent: mount for mount in here.values() if mount.parent in here}
    lowest = [mount for mount in here.values() if mount.parent not in here]
    ordered: list[Mount] = []
    for bottom in lowest:
        current: Mount | None = bottom
        while current is not None:
            ordered.append(current)
            current = children.get(current.id)
    return ordered


def top(mounts: Iterable[Mount], point: str) -> Mount | None:
    """The mount that is seen at `point`, or None."""
    found = stack(mounts, point)
    return found[-1] if found else None
