"""What a hub that comes back from its backup asks for: which snapshots, the keys, one item into a new claim.

``plan`` chooses of every item the newest snapshot that is not after a moment, and names the claims that homes were in,
as item ``objects`` of that moment has them. An answer has room for some twenty items: whoever got ``more`` asks again
with the last one.

``keys`` answers the hub's keys sealed (pdshub.sealed): the answer stands in the pod's status, where others read it.

``recover`` puts an item into a claim that was made for it. What lies there already is never lost: beside a database
nothing is restored, and what is in a home goes aside as in every restore. What is there because an earlier Job was
ended before it could say so has the digest that the backup wrote down, and is taken as done.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pdshub import rfc3339, sealed
from pdshub.api.backup import ItemStatus
from pdshub.api.backup_job import JobAnswer, JobSnapshot
from pdshub.archive.beneath import open_below
from pdshub.backup import give_back, listing, snapshots, sqlite
from pdshub.backup.digest import digested
from pdshub.backup.home import LEFT, Home
from pdshub.backup.job import Job
from pdshub.backup.look import told
from pdshub.backup.snapshots import AHEAD, Snapshot
from pdshub.backup.verdict import Failed

PARTS = ("database", "keys", "objects")
"""Items beside homes."""
NEEDED = ("database", "keys")
"""Without these another hub would come back than was saved: a moment before their first snapshot is refused."""
PAGE = 20
"""Items of an answer at most; fewer where names are long (answer.py)."""
LONGEST_LIST = 16 << 20
"""Bytes of the list of homes."""
LONGEST_KEY = 4096
_HOME = "home/"


def plan(job: Job) -> JobAnswer:
    """Action plan. Raises Failed: NotFound, BadRequest."""
    found = job.readable(None)
    if not found:
        raise Failed(
            "NotFound",
            f"the repository has no snapshots of {job.request.hub}: name the hub that was saved, NAMESPACE/NAME",
        )
    until = _until(job, found)
    chosen = _chosen(found, until, job.now() + AHEAD)
    for item in NEEDED:
        later = [s for s in found if s.item == item]
        if later and item not in chosen:
            raise Failed(
                "NotFound", f"{item} has no snapshot of that moment or before: the first is of {later[-1].time}"
            )
    homes = _homes(job, chosen)
    rows = [_row(item, chosen.get(item), "") for item in PARTS]
    rows += [_row(f"{_HOME}{user}", chosen.get(f"{_HOME}{user}"), claim) for user, claim in sorted(homes.items())]
    names = [row.item for row in rows]
    begin = names.index(job.request.after) + 1 if job.request.after in names else 0
    page = rows[begin : begin + PAGE]
    newest = max((s.at for s in chosen.values()), default=0.0)
    return job.answer(
        f"{len(rows)} items, the newest of {rfc3339.text(newest)}", snapshots=page, more=len(rows) - begin - len(page)
    )


def _until(job: Job, found: Sequence[Snapshot]) -> float | None:
    """The moment that is asked for; None for the newest."""
    request = job.request
    if request.of_run:
        runs = {s.tagged("run") for s in found if request.of_run in (s.tagged("run"), s.id)}
        if not runs and len(request.of_run) >= 8:
            runs = {s.tagged("run") for s in found if s.id.startswith(request.of_run)}
        if len(runs) != 1:
            raise Failed("NotFound", f"{request.hub} has no run, and no snapshot, of the name {request.of_run}")
        return max(s.at for s in found if s.tagged("run") in runs)
    if not request.as_of:
        return None
    try:
        return snapshots.moment(request.as_of)
    except (ValueError, OverflowError) as error:
        raise Failed("BadRequest", f"asOf is no moment of RFC 3339: {error}") from None


def _chosen(found: Sequence[Snapshot], until: float | None, now: float) -> dict[str, Snapshot]:
    """By item the newest not after a moment. One that a clock of the future made is taken where there is no other."""
    made: dict[str, Snapshot] = {}
    for one in found:  # the newest first
        if one.at <= (now if until is None else until):
            made.setdefault(one.item, one)
    if until is None:
        for one in found:
            made.setdefault(one.item, one)
    return made


def _homes(job: Job, chosen: Mapping[str, Snapshot]) -> dict[str, str]:
    """Whose homes come back, and the claims that they were in; '' where that is not known.

    Those of the list that was saved, and homes that were saved after it: whoever had left before stays away.
    """
    objects = chosen.get("objects")
    known = _list(job, objects) if objects else None
    saved = {item.removeprefix(_HOME): one for item, one in chosen.items() if item.startswith(_HOME)}
    if known is None or objects is None:
        return dict.fromkeys(saved, "")
    later = [user for user, one in saved.items() if one.at > objects.at]
    return {**dict.fromkeys(later, ""), **known}


def _list(job: Job, objects: Snapshot) -> dict[str, str] | None:
    """The list of homes of a snapshot of the objects; None where it has none that can be read."""
    folder = listing.inside("objects")
    try:
        with job.restic.stream("dump", f"{objects.id}:{folder}", "/homes.json") as stream:
            data = stream.out.read(LONGEST_LIST)
            if stream.out.read(1):
                stream.stop()
                raise Failed("BadRequest", f"the list of homes is larger than {LONGEST_LIST} bytes")
        job.restic.judged(stream)
    except Failed as error:
        if error.reason not in ("NotFound", "Failed"):
            raise
        job.words.say(f"there is no list of homes: {error.message}")
        return None
    try:
        listed = json.loads(data)["homes"]
    except (ValueError, KeyError, TypeError, RecursionError):
        job.words.say("the list of homes cannot be read")
        return None
    if not isinstance(listed, dict):
        return None
    return {str(user): str(claim) for user, claim in listed.items() if user and str(user).isprintable()}


def _row(item: str, snapshot: Snapshot | None, claim: str) -> JobSnapshot:
    """An item of the plan; without an id where nothing of it was saved."""
    if snapshot is None:
        return JobSnapshot(id="", item=item, time="", claim=claim)
    row = told(snapshot)
    return row.model_copy(update={"item": item, "claim": claim, "run": "", "digest": ""})


def keys(job: Job) -> JobAnswer:
    """Action keys. Raises Failed."""
    snapshot = job.chosen()
    folder = job.places.scratch / "keys"
    folder.mkdir(mode=0o700)
    node, known = give_back.read(job, snapshot, ".")
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        give_back.fetch(
            job.restic, snapshot, job.source(), ".", node, root, known=known, keep_modes=False, check=job.ending.check
        )
    except OSError as error:
        raise give_back.written(error, "the Job's scratch space") from None
    finally:
        os.close(root)
    found = dict(_read(folder, job.request.paths))
    job.words.hide(found.values())
    try:
        text = sealed.seal(json.dumps(found), job.request.public_key)
    except ValueError as error:
        raise Failed("BadRequest", f"publicKey: {error}") from None
    return job.answer(
        f"{len(found)} keys of {snapshot.time}", item=_status(job, snapshot, len(found), 0), sealed=text,
        snapshots=[told(snapshot)],
    )  # fmt: skip


def _read(folder: Path, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    for path in paths:
        with suppress(OSError, UnicodeDecodeError):
            descriptor = open_below(str(folder), path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    yield path, file.read(LONGEST_KEY).decode()


def recover(job: Job) -> JobAnswer:
    """Action recover. Raises Failed; NotEmpty where something else is in a database's claim."""
    item, snapshot, target = job.item(), job.chosen(), str(job.places.target)
    if _is_occupied(target):
        known = snapshot.tagged("digest")
        sums = digested(target, lambda path, size: path.partition("/")[0] not in LEFT, job.ending.check)
        if known and sums.digest == known:
            job.words.say("all of it is there already")
            return job.answer(
                f"{item} of {snapshot.time} is there already", item=_status(job, snapshot, sums.files, sums.size),
                files=sums.files, size_bytes=sums.size, snapshots=[told(snapshot)],
            )  # fmt: skip
        if item == "database":
            raise Failed("NotEmpty", "there is something else in the database's claim: nothing of it was touched")
    made = give_back.restore(job)
    message = made.message
    if item == "database":
        message += _whole(Path(target))
    status = _status(job, snapshot, made.files, made.size_bytes)
    return made.model_copy(update={"message": message, "item": status, "snapshots": [told(snapshot)]})


def _is_occupied(target: str) -> bool:
    """Whether something lies there that no Job is about to move there."""
    home = Home(target)
    try:
        with os.scandir(home.descriptor) as entries:
            return any(entry.name not in LEFT for entry in entries) and home.read_note() is None
    finally:
        home.close()


def _whole(folder: Path) -> str:
    found = sqlite.databases(folder)
    for path in found:
        if wrong := sqlite.integrity(path):
            for each in found:  # nothing else was here: another snapshot finds an empty claim
                each.unlink()
            raise Failed("Damaged", f"{path.name} came back damaged: {wrong}")
    return f"; {', '.join(path.name for path in found)}: whole, as SQLite says"


def _status(job: Job, snapshot: Snapshot, files: int, size: int) -> ItemStatus:
    return ItemStatus(item=job.item(), phase="Completed", snapshot=snapshot.id, files=files, size_bytes=size)
