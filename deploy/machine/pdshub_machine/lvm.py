"""The door to LVM: thin volumes and their pool read, snapshots made, marked, removed and merged.

LVM is never killed: it suspends a volume for a moment, and one that stays suspended stands still with all that uses it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .programs import Programs
from .trouble import failed, refused

_FIELDS = "vg_name,lv_name,lv_size,lv_layout,pool_lv,origin,lv_tags,lv_merging,data_percent,metadata_percent"
_REPORT = ("--reportformat", "json", "--binary", "--units", "b", "--nosuffix", "--options", _FIELDS)
_SECONDS = 300.0


@dataclass(frozen=True)
class Volume:
    """A logical volume. ``data``, ``metadata``: percent of a pool that is used; None where LVM does not say."""

    group: str
    name: str
    size: int
    layout: frozenset[str]
    pool: str
    origin: str
    tags: frozenset[str]
    merging: bool
    data: float | None
    metadata: float | None

    @property
    def full_name(self) -> str:
        """As LVM's commands want it."""
        return f"{self.group}/{self.name}"

    @property
    def is_thin(self) -> bool:
        """Whether it is a volume in a thin pool."""
        return "thin" in self.layout and "pool" not in self.layout


def parse(text: str) -> list[Volume]:
    """From lvs' JSON. Raises ValueError."""
    try:
        return [_volume(one) for report in json.loads(text)["report"] for one in report["lv"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not what lvs reports: {error}") from None


def _volume(wire: dict[str, Any]) -> Volume:
    def words(name: str) -> frozenset[str]:
        return frozenset(word for word in wire[name].split(",") if word)

    def name(field: str) -> str:
        return str(wire[field]).strip("[]")  # LVM shows hidden ones so

    def percent(name: str) -> float | None:
        return float(wire[name]) if wire[name] else None

    return Volume(
        group=wire["vg_name"],
        name=name("lv_name"),
        size=int(wire["lv_size"]),
        layout=words("lv_layout"),
        pool=name("pool_lv"),
        origin=name("origin"),
        tags=words("lv_tags"),
        merging=str(wire["lv_merging"]) == "1",
        data=percent("data_percent"),
        metadata=percent("metadata_percent"),
    )


def volumes(programs: Programs, *what: str) -> list[Volume]:
    """Volumes of a group (after ``--all`` also hidden ones: one that is to be merged is hidden), or the one that a name
    or device says. Raises Trouble."""
    said = programs.run("lvs", *_REPORT, *what, timeout=_SECONDS, kill=False)
    try:
        return parse(said)
    except ValueError as error:
        raise failed(f"lvs: {error}") from None


def root(programs: Programs, setting: str) -> Volume:
    """The volume of the root, as the setting says. Raises Trouble: REFUSED where it has no checkpoints."""
    if setting == "none":
        raise refused("root.volume is none: this machine's root has no checkpoints")
    device = setting
    if setting == "auto":
        device = programs.run("findmnt", "--noheadings", "--first-only", "--output", "SOURCE", "/", timeout=60).strip()
        if not device.startswith("/dev/mapper/") or "[" in device:
            raise refused(f"/ is {device or 'nothing that findmnt knows'}, no logical volume: it has no checkpoints")
    found = volumes(programs, device)
    if len(found) != 1:
        raise failed(f"lvs knows {len(found)} volumes as {device}")
    if not found[0].is_thin:
        raise refused(
            f"{found[0].full_name} is not in a thin pool: a checkpoint would need a size of its own, and is lost "
            "when that is full. See docs/recover-machine.md"
        )
    return found[0]


def snapshot(programs: Programs, origin: Volume, name: str, tags: Iterable[str]) -> None:
    """A thin snapshot that is not activated by itself; LVM freezes the file system meanwhile. Raises Trouble."""
    marks = [word for tag in tags for word in ("--addtag", tag)]
    _change(programs, "lvcreate", "--snapshot", "--setactivationskip", "y", "--name", name, *marks, origin.full_name)


def mark(programs: Programs, volume: Volume, tag: str) -> None:
    """Add a tag. Raises Trouble."""
    _change(programs, "lvchange", "--addtag", tag, volume.full_name)


def remove(programs: Programs, volume: Volume) -> None:
    """Remove a volume. Raises Trouble."""
    _change(programs, "lvremove", "--yes", volume.full_name)


def merge(programs: Programs, volume: Volume) -> None:
    """Put a snapshot in its origin's place: at once, or when the origin is activated next. Raises Trouble."""
    _change(programs, "lvconvert", "--yes", "--merge", volume.full_name)


def _change(programs: Programs, *argv: str) -> None:
    programs.run(*argv, timeout=_SECONDS, kill=False)


def finish(programs: Programs, origin: Volume) -> None:
    """Have LVM write down a merge that has begun, which it does beside this. Nothing where there is none. Raises
    Trouble."""
    _change(programs, "lvchange", "--poll", "y", origin.full_name)
