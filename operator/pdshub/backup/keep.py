"""Makes the repository, and takes away what the retention does not keep."""

from __future__ import annotations

from pdshub.api.backup_job import JobAnswer
from pdshub.backup import repository, retention
from pdshub.backup.job import Job
from pdshub.backup.repository import CONTACT
from pdshub.backup.restic import Done
from pdshub.backup.verdict import Failed, failed

NOWHERE = "pdshub-nothing-has-this-name"
INDEX = "<index/"
"""How restic names a file of the index in what went wrong with it."""
REFUSED = "unable to remove"
AT_ONCE = 200
"""Snapshots that one call of restic forgets; their ids are arguments."""


def make(job: Job) -> JobAnswer:
    """Action init: the repository is there afterwards, with this key. One that is there is left as it is, but for an
    index that cannot be read, and so is one that the key does not open. Raises Failed: WrongKey, ReadOnly, others."""
    removed = -1
    try:
        removed = repository.greet(job.restic, job.words, unlock=job.request.unlock, beside=True)
    except Failed as error:
        if error.reason != "NoRepository":
            raise
    if removed >= 0:
        takes(job)
        return job.answer(mended(job) or "the repository was there already", unlocked=removed)
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


def takes(job: Job) -> None:
    """Whether the repository takes a lock, so that a run of many homes ends here where it takes nothing. Somebody
    else's lock is for whoever meets it. Raises Failed: ReadOnly, Full, Deadline."""
    try:
        job.restic.run("cat", "--retry-lock", "0s", "config")
    except Failed as error:
        if error.reason in ("ReadOnly", "Full"):
            raise
        job.ending.check()


def mended(job: Job) -> str:
    """What was wrong with the index of a repository, where a new one was made of the data; empty where it is whole.

    With a damaged index nothing can be saved or read, though all of the data is there. Only one that is there and
    cannot be read is made anew: restic takes packs that it does not see out of the index, and the next prune would take
    them away, so nothing is repaired that may be of a moment. Raises Failed.
    """
    try:
        job.restic.run("dump", *repository.NO_LOCK, "latest", f"/{NOWHERE}")  # which reads the index first
    except Failed as error:
        if error.reason != "Damaged" or INDEX not in error.message:
            job.ending.check()
            return ""  # not there, as it should be; or whoever meets it says it
        damage = error.message
    else:
        return ""
    if job.request.append_only:
        raise Failed(
            "Damaged", f"its index is damaged: restic repair index on the repository's machine helps: {damage}"
        )
    job.words.say(f"the index is damaged: {damage}")
    job.restic.run("repair", "index")
    return f"its index was damaged, and was made anew from the data: {damage}"


def forget(job: Job) -> JobAnswer:
    """Action forget: what no rule keeps goes, then the data that nothing uses any more. Killed in between, the next run
    does the rest. Raises Failed."""
    if job.request.append_only:
        return job.answer("skipped: the repository's server takes nothing away; forget and prune on its machine")
    found = repository.snapshots(job.restic, job.request.hub)
    gone = retention.plan(found, job.request.hub, job.request.item, job.request.keep, job.now(), job.request.run)
    for n in range(0, len(gone), AT_ONCE):
        _took(job.restic.run("forget", *(one.id for one in gone[n : n + AT_ONCE])))
    job.words.say(f"{len(gone)} snapshots of {len(found)} went")
    _took(job.restic.run("prune"))
    return job.answer(f"{len(gone)} snapshots went, {len(found) - len(gone)} stay")


def _took(done: Done) -> None:
    """restic ends well also where a server refuses to take anything away, and says so. Raises Failed."""
    if REFUSED in done.text:
        raise failed(1, done.text)
