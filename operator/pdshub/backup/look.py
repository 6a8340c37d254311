"""What only looks: the list of snapshots, what lies in one, and the check of the repository."""

from __future__ import annotations

import re

from pdshub import rfc3339
from pdshub.api.backup_job import JobAnswer, JobEntry, JobSnapshot
from pdshub.backup import listing, snapshots
from pdshub.backup.job import Job
from pdshub.backup.repository import NO_LOCK
from pdshub.backup.restic import Done, Record, record
from pdshub.backup.snapshots import Snapshot
from pdshub.backup.verdict import Failed, judge

MOST = 1000
"""Snapshots or entries that are told at all; how many fit into the answer is answer.py's."""
_SUBSET = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")
_KINDS = {"dir": "Folder", "file": "File", "symlink": "Link"}


def told(snapshot: Snapshot) -> JobSnapshot:
    """A snapshot as an answer has it."""
    return JobSnapshot(
        id=snapshot.id,
        item=snapshot.item,
        time=rfc3339.text(snapshot.at),
        run=snapshot.tagged("run"),
        size_bytes=snapshot.size,
        files=snapshot.files,
        digest=snapshot.tagged("digest"),
    )


def list_snapshots(job: Job) -> JobAnswer:
    """Action list: the newest first, of one item or of all. With ``as_of`` those that are not newer, so that who got
    ``more`` asks again with the time of the last one. Raises Failed."""
    found = job.readable(job.request.item)
    if job.request.as_of:
        try:
            until = snapshots.moment(job.request.as_of)
        except (ValueError, OverflowError) as error:
            raise Failed("BadRequest", f"asOf is no moment of RFC 3339: {error}") from None
        found = [s for s in found if s.at < until + 1]  # answers have whole seconds
    return job.answer(
        f"{len(found)} snapshots", snapshots=[told(s) for s in found[:MOST]], more=max(0, len(found) - MOST)
    )


def browse(job: Job) -> JobAnswer:
    """Action browse: what lies in one folder of a snapshot, folders first. Raises Failed."""
    snapshot, source = job.chosen(), job.source()
    folder = listing.inside(source, job.request.path)
    found: list[listing.Node] = []
    more = 0
    for node in listing.nodes(job.restic, snapshot, folder, deep=False):
        if node.kind not in _KINDS:
            continue
        if len(found) < MOST:
            found.append(node)
        else:
            more += 1
    found.sort(key=lambda n: (n.kind != "dir", n.path))
    entries = [
        JobEntry(
            name=job.words.clean(node.path, 255),
            kind=_KINDS[node.kind],
            size_bytes=node.size,
            modified=rfc3339.for_people(node.modified_ns / 1e9),
        )
        for node in found
    ]
    for entry in entries:
        job.words.say(f"{entry.modified} {entry.size_bytes:>12} {entry.name}{'/' if entry.kind == 'Folder' else ''}")
    return job.answer(
        f"{len(found) + more} entries as of {snapshot.time}", entries=entries, more=more, snapshots=[told(snapshot)]
    )


def check(job: Job) -> JobAnswer:
    """Action check: the structure of the repository, and with ``read_subset`` n/t the n-th of t parts of its data.

    restic sorts packs into t parts by the first byte of their names, so that after all n of t everything has been read;
    damage of a pack that is there is found with its part and not before. restic's names have 256 first bytes: t above
    256 reads nothing for most n and is refused.

    restic wants the repository for itself alone while it checks, which may take hours: backups, and people who look for
    a file, would find it locked. So it goes without a lock: what is added meanwhile is no damage. What is taken away
    meanwhile looks like some, so what is found is looked at once more, with the lock.

    Raises Failed: Damaged with what restic names first, Locked where that second look was not had.
    """
    subset = job.request.read_subset
    if subset:
        match = _SUBSET.fullmatch(subset)
        if not match or not 1 <= int(match[1]) <= int(match[2]) <= 256:
            raise Failed("BadRequest", f"{subset!r} is no part to be read: write n/t, 1 <= n <= t <= 256")
    arguments = ["check", *([f"--read-data-subset={subset}"] if subset else [])]
    done, summary = _checked(job, *arguments, *NO_LOCK)
    if done.code or summary.get("num_errors"):
        job.words.say("something is found: it is looked at once more, while nobody can take anything away")
        first = done.text
        try:
            done, summary = _checked(job, *arguments)
        except Failed as error:
            if error.reason == "Locked":
                raise Failed("Locked", f"found without a lock, and there was none to be had: {first}") from None
            raise
    broken = summary.get("broken_packs")
    if done.code == 0:
        return job.answer(
            f"the repository is whole; read part {subset} of its data" if subset else "its structure is whole"
        )
    errors = summary.get("num_errors", 0)
    reason = judge(done.code, done.text)[0]
    if not summary or (not errors and reason != "Damaged" and not broken):
        raise Failed(reason, done.text or "restic check failed without a word")
    names = ", ".join(str(b)[:12] for b in broken[:5]) if isinstance(broken, list) else ""
    raise Failed("Damaged", f"restic check found {errors} errors{f' (packs {names})' if names else ''}: {done.text}")


def _checked(job: Job, *arguments: str) -> tuple[Done, Record]:
    """How restic's check ended, and its summary. Raises Failed where nothing was checked."""
    summary: Record = {}

    def line(text: bytes) -> None:
        found = record(text) or {}
        if found.get("message_type") == "summary":
            summary.update(found)

    return job.restic.run(*arguments, on_line=line, good=(0, 1)), summary
