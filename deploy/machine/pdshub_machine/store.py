"""Snapshots of etcd on this machine's disk: a folder for each, which appears and goes in one move.

``STATE/etcd/20261126T023000Z/`` holds ``snapshot.db`` and ``facts.json``. What is being made or removed has a name that
begins with a dot; what was found damaged ends with ``.damaged``. Neither counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from . import etcd, points
from .config import Config
from .programs import Programs, synced
from .trouble import Code, Trouble, failed

DATA, FACTS = "snapshot.db", "facts.json"
MAKING, DROPPING, DAMAGED = ".making-", ".dropping-", ".damaged"
SPARE = 1 << 20
"""Bytes for facts and folders beside a snapshot."""


@dataclass(frozen=True)
class Snapshot:
    """One that is whole."""

    name: str
    taken: datetime
    folder: Path
    facts: etcd.Facts
    members: int

    @property
    def file(self) -> Path:
        """What etcdutl restores."""
        return self.folder / DATA

    def wire(self) -> dict[str, Any]:
        """As JSON."""
        return {"name": self.name, "members": self.members, **self.facts.wire()}


def read(folder: Path) -> Snapshot | None:
    """A snapshot's folder; None when it is none, or its file has another size than the facts say."""
    taken = points.time_of(folder.name)
    if taken is None:
        return None
    try:
        wire = json.loads((folder / FACTS).read_text())
        facts, members = etcd.Facts.read(wire), wire["members"]
        whole = (folder / DATA).stat().st_size == facts.size and type(members) is int
    except (OSError, ValueError, KeyError, RecursionError):
        return None
    return Snapshot(folder.name, taken, folder, facts, members) if whole else None


def everything(config: Config) -> list[Snapshot]:
    """All whole snapshots, the oldest first."""
    if not config.snapshots.is_dir():
        return []
    found = (read(folder) for folder in config.snapshots.iterdir())
    return sorted((one for one in found if one), key=lambda one: one.taken)


def named(config: Config, name: str, now: datetime) -> Snapshot:
    """The one of that name; ``latest``: the newest, of the future only where there is no other. Raises Trouble."""
    known = {one.name: one for one in everything(config)}
    if name == "latest" and known:
        order = points.least_wanted(now)
        return max(known.values(), key=lambda one: order(one.taken))
    if name not in known:
        raise failed(f"no snapshot {name} in {config.snapshots}: pdshub-machine etcd list has their names")
    return known[name]


def shut(config: Config) -> None:
    """Make the folder of snapshots, or close it to all but its owner: a snapshot holds every Secret of the cluster, and
    who puts a copy back from elsewhere makes folders that everybody may enter. Raises OSError."""
    config.snapshots.mkdir(mode=0o700, parents=True, exist_ok=True)
    config.snapshots.chmod(0o700)


def tidy(config: Config) -> None:
    """Remove what a run that was killed left half made or half removed."""
    for left in config.snapshots.iterdir():
        if left.name.startswith((MAKING, DROPPING)):
            shutil.rmtree(left)


def drop(config: Config, names: Iterable[str]) -> None:
    """Remove snapshots: from the first moment none of them counts any more."""
    for name in names:
        going = config.snapshots / f"{DROPPING}{name}"
        (config.snapshots / name).rename(going)
        shutil.rmtree(going)


def make(config: Config, programs: Programs, now: datetime) -> Snapshot:
    """Take one, look at all of it, and only then give it its name; then drop what is no longer kept. Raises Trouble."""
    settings = config.etcd
    tidy(config)
    largest = _make_room(config, now)
    taken = [folder.name.removesuffix(DAMAGED) for folder in config.snapshots.iterdir()]
    name = points.next_name(now, taken)
    work = config.snapshots / f"{MAKING}{name}"
    work.mkdir(mode=0o700)
    try:
        members = etcd.members(programs, settings)
        etcd.save(programs, settings, work / DATA, largest)
        facts = etcd.look(programs, work / DATA, settings.timeout_seconds)
        _write(work / FACTS, json.dumps({**facts.wire(), "members": members}) + "\n")
    except (Trouble, OSError):
        shutil.rmtree(work)
        raise
    synced(work)
    work.rename(config.snapshots / name)
    synced(config.snapshots)
    known = everything(config)
    numbers = (settings.keep_last, settings.keep_daily, settings.keep_weekly)
    stay = points.kept((one.taken for one in known), now, *numbers)
    drop(config, [one.name for one in known if one.taken not in stay and one.name != name])
    return named(config, name, now)


def _make_room(config: Config, now: datetime) -> int:
    """Drop the least wanted until the next one fits: the size that it may have. Raises Trouble (NO_ROOM)."""
    order = points.least_wanted(now)
    known = sorted(everything(config), key=lambda one: order(one.taken))
    usual = known[-1].facts.size if known else 0
    with contextlib.suppress(OSError):  # an etcd that is elsewhere
        usual = max(usual, etcd.database(config.etcd.data_dir).stat().st_size)
    wanted = usual + usual // 10 + SPARE
    allowed = _allowed(config)
    going = points.dropped_for(wanted - allowed, [(one.name, one.facts.size) for one in known])
    if going is None:
        raise Trouble(
            Code.NO_ROOM,
            f"no room in {config.snapshots} for a snapshot of {wanted >> 20} MiB: {max(allowed, 0) >> 20} MiB may be "
            f"used, so that {config.etcd.keep_free_percent} % of the file system stay free; make room, or keep fewer",
        )
    drop(config, going)
    return _allowed(config)


def _allowed(config: Config) -> int:
    found = os.statvfs(config.snapshots)
    return points.may_write(
        found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, config.etcd.keep_free_percent
    )


def all_names(config: Config) -> list[str]:
    """Names of all folders that should be a snapshot, whole or not, the oldest first."""
    if not config.snapshots.is_dir():
        return []
    return sorted(folder.name for folder in config.snapshots.iterdir() if points.time_of(folder.name))


def verify(config: Config, programs: Programs, names: Iterable[str]) -> list[str]:
    """Read snapshots whole and compare them with what was written once. Returns what is wrong, one text each.

    Those of other content are put aside and count no more. Raises Trouble when etcdutl fails at a file that has not
    changed: that says nothing about the file.
    """
    wrong: list[str] = []
    for name in names:
        why = _changed(config.snapshots / name)
        if not why:
            etcd.look(programs, config.snapshots / name / DATA, config.etcd.timeout_seconds)
            continue
        (config.snapshots / name).rename(config.snapshots / f"{name}{DAMAGED}")
        wrong.append(f"{why}; put aside as {name}{DAMAGED}")
    return wrong


def _changed(folder: Path) -> str:
    """Why a folder is not the snapshot any more that it was; empty when it is."""
    one = read(folder)
    if one is None:
        return f"{folder}: {DATA} or {FACTS} is missing, or not as it was written"
    try:
        return "" if etcd.digest(one.file) == one.facts.sha256 else f"{one.file}: another content than was written once"
    except Trouble as error:
        if error.code is not Code.DAMAGED:
            raise
        return str(error)


def _write(file: Path, text: str) -> None:
    with file.open("x") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
