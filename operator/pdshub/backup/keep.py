"""Makes the repository, and takes away what the retention does not keep."""

from __future__ import annotations

from pdshub.api.backup_job import JobAnswer
from pdshub.backup import repository, retention
from pdshub.backup.job import Job
from pdshub.backup.repository import CONTACT
from pdshub.backup.verdict import Failed

AT_ONCE = 200
"""Snapshots that one call of restic forgets; their ids are arguments."""


def make(job: Job) -> JobAnswer:
    """Action init: the repository is there afterwards, with this key. One that is there is left as it is, and so is one
    that the key does not open. Raises Failed: WrongKey and others."""
    try:
        removed = repository.greet(job.restic, job.words, unlock=job.request.unlock)
        return job.answer("the repository was there already", unlocked=removed)
    except Failed as error:
        if error.reason != "NoRepository":
            raise
    if repository.discard_unfinished(job.request):
        job.words.say("took away keys that a killed program had made, and of which no repository came")
    try:
        job.restic.run("init", seconds=CONTACT, contact=True)
    except Failed as error:
        # another hub made it meanwhile; whether it is ours is what the key says
        try:
            repository.greet(job.restic, job.words)
        except Failed as second:
            raise (error if second.reason == "NoRepository" else second) from None
        return job.answer("another hub made the repository in the same moment")
    return job.answer("made the repository")


def forget(job: Job) -> JobAnswer:
    """Action forget: what no rule keeps goes, then the data that nothing uses any more. Killed in between, the next run
    does the rest. Raises Failed."""
    if job.request.append_only:
        return job.answer("skipped: the repository's server takes nothing away; forget and prune on its machine")
    found = repository.snapshots(job.restic, job.request.hub)
    gone = retention.plan(found, job.request.hub, job.request.item, job.request.keep, job.now())
    for n in range(0, len(gone), AT_ONCE):
        job.restic.run("forget", *(one.id for one in gone[n : n + AT_ONCE]))
    job.words.say(f"{len(gone)} snapshots of {len(found)} went")
    job.restic.run("prune")
    return job.answer(f"{len(gone)} snapshots went, {len(found) - len(gone)} stay")
