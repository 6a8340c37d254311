"""etcd brought back to a snapshot, step by step. Killed at any of them, the same command goes on.

Everything lies in etcd's own data directory, so that each step is one move on one file system, also where that is a
file system of its own: ``member`` is what etcd uses, ``pdshub-machine/restoring`` what is being made, and
``pdshub-machine/before-TIME`` what was there. etcd itself looks at nothing but ``member`` (it warns of the other).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from . import etcd, points, static_pods
from .config import Config, Etcd
from .programs import Programs, synced
from .store import Snapshot
from .trouble import Code, Trouble, failed, refused

OURS, RESTORING, BEFORE = "pdshub-machine", "restoring", "before-"
BUMP = 1_000_000_000
"""Added to the highest revision that there was, as etcd's documentation on disaster recovery says: to clients that
watch no revision goes down, and everything before is compacted, so that they list anew. Who was told of a higher one
waits for it, and sees nothing until then: a kubelet starts no pod."""
SPARE = 200 << 20
"""Bytes that a restore takes beside the database: etcd makes its log 64 MB large at once, and the next one too."""


@dataclass(frozen=True)
class Source:
    """What etcd is brought back to: a snapshot, or the database that a former restore put aside."""

    name: str
    file: Path
    facts: etcd.Facts
    members: int
    is_snapshot: bool = True


@dataclass(frozen=True)
class Found:
    """What a restore meets."""

    runs: bool
    in_place: bool
    """The kubelet has the manifest: it starts etcd at any moment."""
    has_data: bool
    members: int
    """Of the etcd that the snapshot is of."""
    data_dir: str
    wanted_data_dir: str
    """The manifest's, and the settings'."""
    free: int
    size: int


def objections(found: Found, stop: bool, replace: bool) -> list[tuple[Code, str]]:
    """Why nothing is done; empty when it may be. The first is told."""
    said: list[tuple[Code, str]] = []
    if found.members > 1:
        text = f"the snapshot is of an etcd of {found.members} members: restore them as etcd's documentation says"
        said.append((Code.REFUSED, text))
    if found.data_dir != found.wanted_data_dir:
        text = f"the manifest's --data-dir is {found.data_dir}, the settings say {found.wanted_data_dir}"
        said.append((Code.REFUSED, text))
    if (found.runs or found.in_place) and not stop:
        text = "etcd runs" if found.runs else "etcd's manifest is in place, the kubelet may start it at any moment"
        said.append((Code.REFUSED, f"{text}: say --stop to have the control plane stopped and started again"))
    if found.has_data and not replace:
        text = "the data directory is not empty: say --replace to put what is there aside and restore over it"
        said.append((Code.REFUSED, text))
    wanted = found.size + found.size // 5 + SPARE
    if found.free < wanted:
        text = f"a restore takes {wanted >> 20} MiB in {found.wanted_data_dir}, {found.free >> 20} MiB are free"
        said.append((Code.NO_ROOM, text))
    return said


def source_of(programs: Programs, settings: Etcd, snapshot: Snapshot) -> Source:
    """A snapshot, read whole. Raises Trouble: DAMAGED when it is not as it was written."""
    found = etcd.look(programs, snapshot.file, settings.timeout_seconds)
    if found != snapshot.facts:
        raise Trouble(Code.DAMAGED, f"{snapshot.file}: another content than was written once: take another snapshot's")
    return Source(snapshot.name, snapshot.file, found, snapshot.members)


def put_aside(programs: Programs, settings: Etcd, name: str) -> Source:
    """What a former restore put aside under this name (``before-TIME``). No digest tells whether it is as it was;
    etcdutl reads all of it. Raises Trouble."""
    folders = {folder.name: folder for folder in before(settings)}
    if name not in folders:
        known = ", ".join(folders) or "nothing"
        raise failed(f"no {name} in {settings.data_dir / OURS}: there is {known}")
    file = etcd.database(folders[name])
    return Source(name, file, etcd.content(programs, file, "", settings.timeout_seconds), 1, is_snapshot=False)


def look(settings: Etcd, snapshot: Source) -> Found:
    """What is there. Raises Trouble."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    disk = os.statvfs(settings.data_dir)
    return Found(
        runs=etcd.runs(settings),
        in_place=(settings.manifests / static_pods.ETCD).exists(),
        has_data=(settings.data_dir / "member").exists(),
        members=snapshot.members,
        data_dir=static_pods.member(settings.manifests).data_dir,
        wanted_data_dir=str(settings.data_dir),
        free=disk.f_bavail * disk.f_frsize,
        size=snapshot.facts.size,
    )


def restore(
    config: Config,
    programs: Programs,
    snapshot: Source,
    now: datetime,
    *,
    stop: bool,
    replace: bool,
    told: Callable[[str], None],
) -> None:
    """Bring etcd back; ``told`` gets a line for each step. Raises Trouble."""
    settings, found = config.etcd, snapshot.facts
    whole = "read whole, and as it was written" if snapshot.is_snapshot else "read whole"
    told(f"{snapshot.name}: {found.keys} keys, revision {found.revision}: {whole}")
    for code, text in objections(look(settings, snapshot), stop, replace):
        raise Trouble(code, text)
    if stop:
        _stop(settings, told)
    try:
        made = _make(programs, settings, snapshot)
    except (Trouble, OSError):
        if stop and (settings.data_dir / "member").exists():
            static_pods.start(settings.manifests)
        raise
    told(_put(settings, made, now))
    if not stop:
        told("now put etcd's manifest back, and those of the API server, the controllers and the scheduler")
        return
    static_pods.start(settings.manifests)
    told("the control plane is started again")
    static_pods.wait("etcd answers", lambda: etcd.is_well(programs, settings), settings.start_seconds)
    told("etcd answers")


def _stop(settings: Etcd, told: Callable[[str], None]) -> None:
    static_pods.stop(settings.manifests)
    told(f"manifests are in {static_pods.aside(settings.manifests)}; waiting until etcd has ended")
    try:
        static_pods.wait("etcd ends (does the kubelet run?)", lambda: not etcd.runs(settings), settings.start_seconds)
    except Trouble:
        static_pods.start(settings.manifests)
        raise


def bump(revision: int, seen: int) -> int:
    """What is added to a revision, so that it is higher than any that there was. ``seen``: the highest of those."""
    return max(seen - revision, 0) + BUMP


def _seen(programs: Programs, settings: Etcd) -> int:
    """The highest revision of what is there and was there. What cannot be read has none."""
    found = 0
    for folder in (settings.data_dir, *before(settings)):
        with contextlib.suppress(Trouble, OSError):
            found = max(found, etcd.content(programs, etcd.database(folder), "", settings.timeout_seconds).revision)
    return found


def _make(programs: Programs, settings: Etcd, snapshot: Source) -> Path:
    """The snapshot as a member's folder, on the disk, beside what etcd uses."""
    ours = settings.data_dir / OURS
    ours.mkdir(mode=0o700, exist_ok=True)
    work = ours / RESTORING
    if work.exists():
        shutil.rmtree(work)
    more = bump(snapshot.facts.revision, _seen(programs, settings))
    flags = [f"--data-dir={work}", f"--bump-revision={more}", "--mark-compacted"]
    if not snapshot.is_snapshot:
        flags.append("--skip-hash-check")  # only what etcd saves has its digest behind it
    arguments = static_pods.member(settings.manifests).arguments
    programs.run("etcdutl", "snapshot", "restore", snapshot.file, *arguments, *flags, timeout=settings.timeout_seconds)
    if not etcd.database(work).exists():
        raise failed(f"etcdutl restored nothing into {work}")
    owner = settings.data_dir.stat()
    for path in (work, *work.rglob("*")):
        if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(path, owner.st_uid, owner.st_gid)
        if path.is_dir():
            synced(path)
    return work / "member"


def _put(settings: Etcd, made: Path, now: datetime) -> str:
    """What is used aside, what was made in its place: what was done, in a line."""
    if etcd.runs(settings):
        raise refused("etcd runs again, somebody started it meanwhile: nothing was changed, stop it and repeat this")
    member = settings.data_dir / "member"
    ours, text = settings.data_dir / OURS, ""
    if member.exists():
        name = points.next_name(now, [left.name.removeprefix(BEFORE) for left in ours.iterdir()])
        (ours / f"{BEFORE}{name}").mkdir(mode=0o700)
        member.rename(ours / f"{BEFORE}{name}" / "member")
        text = f"; what was there is in {ours / f'{BEFORE}{name}'}"
    made.rename(member)  # fails where an etcd has begun one of its own
    synced(ours)
    synced(settings.data_dir)
    shutil.rmtree(made.parent)
    return f"restored into {settings.data_dir}{text}"


def before(settings: Etcd) -> list[Path]:
    """What former restores put aside, the oldest first. Nobody removes it but a person."""
    ours = settings.data_dir / OURS
    return sorted(folder for folder in ours.glob(f"{BEFORE}*") if (folder / "member").exists())
