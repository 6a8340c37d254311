"""Saves one item: a home, the database, keys or objects, as one snapshot.

Each snapshot names the one before of the same item as its parent, by id. Left to itself restic takes the last one with
the same host and path, and all homes of a hub have the same path: it would look up a file of one user by the inode and
times of another's.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

from pdshub.api.backup import ItemStatus, Unread
from pdshub.api.backup_job import JobAnswer
from pdshub.backup import holes, patterns, snapshots, sqlite
from pdshub.backup.digest import Sums, digested, sealed
from pdshub.backup.holes import LeftOut
from pdshub.backup.home import STAGE
from pdshub.backup.job import LONGEST_MESSAGE, Job
from pdshub.backup.restic import Record, record
from pdshub.backup.snapshots import Snapshot
from pdshub.backup.verdict import Failed

SHOWN = 20
"""Paths that could not be read, of which the answer has the names."""
GONE = ("no such file or directory", "file does not exist")
"""What somebody took away while it was saved is not missing from the snapshot."""
LARGEST_OBJECTS = 64 << 20
"""Bytes of keys or objects, all together. A Secret has at most 1 MiB (Kubernetes)."""


@dataclass
class _Heard:
    """What restic says while it saves."""

    job: Job
    total: int
    summary: Record = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)
    count: int = 0
    said: float = 0.0

    def line(self, line: bytes) -> None:
        found = record(line) or {}
        if found.get("message_type") == "summary":
            self.summary = found
        elif found.get("message_type") == "status" and time.monotonic() > self.said + 30:
            self.said = time.monotonic()
            self.job.words.say(f"{found.get('bytes_done', 0)} of {self.total} bytes read")

    def error(self, found: Record) -> None:
        error = found.get("error")
        why = str(error.get("message", "")) if isinstance(error, dict) else ""
        if why.rstrip().endswith(GONE):
            return
        self.count += 1
        if len(self.unread) < SHOWN:
            words, item = self.job.words, str(found.get("item", ""))
            data = self.job.places.data  # restic names what it was told to save: from the folder above
            path = item.removeprefix(f"{data}/").removeprefix(f"{data.name}/")
            self.unread.append(
                Unread(path=words.clean(path, 1024), why=words.clean(why.rpartition(": ")[2] or why, 256))
            )
            words.say(f"not saved: {path}: {why}")

    def number(self, name: str) -> int:
        value = self.summary.get(name)
        return int(value) if isinstance(value, int | float) else 0


def save(job: Job) -> JobAnswer:
    """Action backup. Raises Failed."""
    item, source = job.item(), job.source()
    data = Path(os.path.realpath(job.places.data))
    if item == "database":
        data = _database(job, data / source, source)
    elif item in ("keys", "objects"):
        data = _plain(job, data / source, source)
    base, name = data.parent, f"{data.name}/{source}"
    top = str(data / source)
    if not (data / source).is_dir():
        raise Failed("NotFound", f"there is no folder {source} to be saved")
    excluded = patterns.Excluded(top, [*job.request.exclude, f"/{STAGE}"] if item.startswith("home/") else [])
    largest = patterns.size(job.request.larger_than)
    before = job.snapshots(item)
    parent = next((s for s in before if s.at <= job.now() + snapshots.AHEAD), None)
    left_out = _left_out(job, top, patterns.chosen(excluded, largest))
    if left_out.beyond is not None:
        largest = left_out.beyond  # which is less: what is larger was not chosen
    chosen = patterns.chosen(excluded, largest)
    sums = _sums(job, top, chosen, parent)
    heard = _Heard(job, sums.size, unread=list(left_out.paths), count=left_out.count)
    began = time.monotonic()
    done = job.restic.run(
        "backup",
        *("--host", job.request.hub, "--one-file-system", "--no-scan"),
        *(word for tag in _tags(job, item, sums) for word in ("--tag", tag)),
        *(("--parent", parent.id) if parent else ("--force",)),
        *excluded.arguments,
        *([f"--exclude-larger-than={largest}"] if largest is not None else []),
        *([f"--limit-upload={job.request.upload_limit_kib}"] if job.request.upload_limit_kib else []),
        "--",
        name,
        cwd=base,
        on_line=heard.line,
        on_error=heard.error,
        good=(0, 3),
    )
    seconds = time.monotonic() - began
    if not heard.summary.get("snapshot_id"):
        raise Failed("Failed", f"restic made no snapshot: {done.text}")
    still = bool(sums.digest) and _unchanged(job, top, chosen, sums)
    status = ItemStatus(
        item=item,
        phase="PartiallyCompleted" if heard.count else "Completed",
        snapshot=str(heard.summary["snapshot_id"]),
        how=job.request.how or ("SQLite" if item == "database" else ""),
        size_bytes=heard.number("total_bytes_processed"),
        files=heard.number("total_files_processed"),
        added_bytes=heard.number("data_added_packed"),
        seconds=round(seconds, 3),
        digest=sums.digest if still else "",
        unread_count=heard.count,
        unread=heard.unread,
        message=job.words.clean(_message(heard, still), LONGEST_MESSAGE),
    )
    job.words.say(f"{item}: snapshot {status.snapshot[:8]}, {status.files} files, {status.added_bytes} bytes added")
    return job.answer(status.message, item=status, files=status.files, size_bytes=status.size_bytes)


def _left_out(job: Job, top: str, chosen: patterns.Chosen) -> LeftOut:
    try:
        bytes = holes.most(top)
        if sealed(top, chosen, job.ending.check).size <= bytes:
            return LeftOut()
        found = holes.left_out(top, chosen, bytes, lambda path: job.words.clean(path, 1024), job.ending.check)
    except OSError as error:  # restic says what is wrong with it
        job.words.say(f"what it holds cannot be counted: {error.strerror}")
        return LeftOut()
    for one in found.paths:
        job.words.say(f"not saved: {one.path}: {one.why}")
    return found


def _unchanged(job: Job, top: str, chosen: patterns.Chosen, sums: Sums) -> bool:
    """Whether nothing was changed while restic read. The snapshot is there: nothing that goes wrong now is its end."""
    try:
        return sealed(top, chosen, job.ending.check).seal == sums.seal
    except (OSError, Failed):
        return False


def _tags(job: Job, item: str, sums: Sums) -> list[str]:
    tags = [snapshots.tag("item", item), snapshots.tag("run", job.request.run)]
    tags += [snapshots.tag("digest", sums.digest), snapshots.tag("seal", sums.seal)] if sums.digest else []
    tags += [snapshots.KEEP] if job.request.keep_always else []
    return [*tags, snapshots.UPGRADE] if job.request.before_upgrade else tags


def _sums(job: Job, top: str, chosen: patterns.Chosen, parent: Snapshot | None) -> Sums:
    """Digest and seal of what restic is about to read."""
    try:
        if parent and parent.tagged("digest"):
            now = sealed(top, chosen, job.ending.check)
            if now.seal == parent.tagged("seal"):
                job.words.say("nothing was changed since the last snapshot")
                return Sums(now.seal, parent.tagged("digest"), now.files, now.size)
        return digested(top, chosen, job.ending.check)
    except OSError as error:
        job.words.say(f"no digest: {error.strerror}")
        return Sums("")


def _message(heard: _Heard, still: bool) -> str:
    parts = []
    if heard.count:
        parts.append(f"{heard.count} could not be read")
    if not still:
        parts.append("it was written to meanwhile, so drills compare it by restic's own checksums")
    return "; ".join(parts)


def _scratch(job: Job, source: str) -> Path:
    folder = job.places.scratch / "data" / source
    folder.mkdir(parents=True, mode=0o700)
    return folder


def _database(job: Job, folder: Path, source: str) -> Path:
    """Copies of the databases; the folder that stands for DATA then."""
    copies = _scratch(job, source)
    for path in sqlite.databases(folder):
        sqlite.copy(path, copies / path.name, job.ending.check)
        job.words.say(f"copied {path.name}: {(copies / path.name).stat().st_size} bytes, whole")
    return copies.parent


def _plain(job: Job, folder: Path, source: str) -> Path:
    """Mounted Secrets and ConfigMaps as plain files. The kubelet shows each key as a link to a link, into a folder
    whose name changes with each update; who restores wants the keys."""
    copies, left = _scratch(job, source), LARGEST_OBJECTS
    top = Path(os.path.realpath(folder))
    waiting = [top]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if path.name.startswith(".."):  # the kubelet's own
                continue
            real = Path(os.path.realpath(path))
            if not real.is_relative_to(top):
                raise Failed("BadRequest", f"{path.name} leads out of the folder that is saved")
            status = real.stat()
            if stat.S_ISDIR(status.st_mode) and not path.is_symlink():
                (copies / path.relative_to(top)).mkdir(mode=0o700)
                waiting.append(path)
            elif stat.S_ISREG(status.st_mode):
                left -= status.st_size
                if left < 0:
                    raise Failed("BadRequest", f"{source} is larger than {LARGEST_OBJECTS} bytes")
                shutil.copyfile(real, copies / path.relative_to(top))
    return copies.parent
