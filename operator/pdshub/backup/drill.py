"""A restore for practice: one item from the repository into a scratch folder, compared with what was recorded.

The same code restores that restores for people. The digest of what came back is computed anew and compared with the
tag that the backup wrote (digest.py says when that tag is about just this snapshot, and what is compared when it is
not). A database is opened and asked whether it is whole. The seconds are those of the restore alone.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from pdshub.api.backup import ItemStatus
from pdshub.api.backup_job import JobAnswer
from pdshub.backup import sqlite
from pdshub.backup.digest import digested
from pdshub.backup.give_back import SLACK, fetch, read, written
from pdshub.backup.job import Job
from pdshub.backup.look import told
from pdshub.backup.verdict import Failed


def drill(job: Job) -> JobAnswer:
    """Action drill. Raises Failed: Damaged when what came back is not what was saved."""
    item, snapshot = job.item(), job.chosen()
    folder = job.places.scratch / "drill"
    folder.mkdir(mode=0o700)
    node, known = read(job, snapshot, ".")
    status = os.statvfs(folder)
    if known.size + SLACK > status.f_bavail * status.f_frsize:
        raise Failed(
            "Full",
            f"the drill needs {known.size} bytes of scratch space, and there are {status.f_bavail * status.f_frsize}",
        )
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    began = time.monotonic()
    try:
        done = fetch(
            job.restic, snapshot, job.source(), ".", node, root, known=known, keep_modes=False, check=job.ending.check
        )
    except OSError as error:
        raise written(error, "the drill's scratch space") from None
    finally:
        os.close(root)
    seconds = time.monotonic() - began
    if done.files != known.files:
        raise Failed("Damaged", f"{item}: {done.files} files came back, and {known.files} were saved")
    found = digested(str(folder), check=job.ending.check)
    sealed = known.seal == snapshot.tagged("seal") and bool(snapshot.tagged("digest"))
    if sealed and found.digest != snapshot.tagged("digest"):
        raise Failed("Damaged", f"{item}: what came back has not the digest that was recorded at {snapshot.time}")
    message = f"{item} of {snapshot.time} came back in {seconds:.1f} s: {done.files} files, {known.size} bytes, "
    message += "of the same digest" if sealed else "by restic's own checksums, as it was written to while it was saved"
    if item == "database":
        message += _database(folder)
    job.words.say(message)
    status_of = ItemStatus(
        item=item,
        phase="Completed",
        snapshot=snapshot.id,
        files=done.files,
        size_bytes=known.size,
        seconds=round(seconds, 3),
        digest=found.digest if sealed else "",
        message=job.words.clean(message, 1024),
    )
    return job.answer(message, item=status_of, files=done.files, size_bytes=known.size, snapshots=[told(snapshot)])


def _database(folder: Path) -> str:
    paths = sqlite.databases(folder)
    for path in paths:
        if wrong := sqlite.integrity(path):
            raise Failed("Damaged", f"{path.name} came back damaged: {wrong}")
    return f"; {', '.join(p.name for p in paths)}: whole, as SQLite says"
