"""What every action does with the repository first, and what several ask of it.

The first call only reads, and has a time of its own: restic tries a wrong host or bucket for up to a quarter of an
hour, call by call. What it says last is what is told.

Locks. restic removes its own lock unless it is killed, and the next restic that needs the repository for itself fails
until the lock is taken away. `restic unlock` takes away locks that are older than 30 minutes (a living restic renews
its own every five), and younger ones that were made on a host of this very name by a process that is not there any
more. A pod sees the processes of no other pod: under one name each would take the locks of all others for those of the
dead. So all Jobs of a hub have one host name that nobody else has (the pod's ``hostname``), and only one of them calls
`unlock` that has the repository for itself: the operator says so in the request (``unlock``), for the first Job of a
run and for the one that takes old snapshots away. While a pod of that name may be alive, on a node that is lost, such a
Job has a name of its own, and takes only what is too old. Drills of a hub, one Job at a time, have another name. What a
killed Job left stands in nobody's way until then: it was no exclusive lock, or its Job is begun anew. `unlock
--remove-all` is never called: another hub, or somebody at a desk, may be at work.

Clocks. How old a lock is, is a matter of two clocks, of which one may be wrong. Where this one runs ahead, `unlock`
takes the lock of who is at work, and the prune after it what they have written and not yet listed: their backup ends
well and cannot be read (test_clock.py). So a lock of somebody else that looks too old is watched first, by a clock that
nobody sets. A living restic makes its lock anew, under another name, every five minutes, or later where its uploads are
slow; one that cannot do so ends itself before half an hour is over. Only a lock that stays for as long goes. Nothing
waits for that which works beside such a lock, as backups do.

Who looks at names and lists alone makes no lock (``LOOKS``).
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from pathlib import Path

from pdshub.api.backup_job import JobRequest
from pdshub.backup.restic import LONGEST, Record, Restic, record
from pdshub.backup.snapshots import Snapshot, moment, snapshot
from pdshub.backup.verdict import Failed
from pdshub.backup.words import Words

NO_LOCK = ("--no-lock",)
LOOKS = ("list", "browse")
"""Actions that make no lock: what goes while they look is what they need not have shown."""
CONTACT = 90.0
"""Seconds in which the repository has to answer at all."""
_REMOVED = re.compile(rb"removed (\d+) locks")
LOCKS = 10
"""Locks that are looked at."""
STALE = 1800.0
"""Seconds after which `unlock` takes away a lock of any host. Source: restic, internal/restic, StaleLockTimeout."""
WATCHED = 1800.0
"""Seconds for which such a lock is watched. Source: restic, internal/repository/lock.go, refreshabilityTimeout."""
LOOK = 30.0
"""Seconds between two looks at such a lock."""


def is_mounted_read_only(request: JobRequest) -> bool:
    """Whether the repository is a mounted one of which this pod may only read, as the operator mounts a claim for a
    restore. Then there can be no lock, and nothing is waited for."""
    if request.kind not in ("nfs", "claim"):
        return False
    place = Path(request.location)
    return (place / "config").exists() and not os.access(place / "locks", os.W_OK)


def discard_unfinished(request: JobRequest) -> bool:
    """Take away what an ``init`` left that was killed between the key and the config, where the repository is mounted:
    restic would never make one there again. Only where nothing else is: a config that somebody lost can be put back.
    Whether something went."""
    place = Path(request.location)
    if request.kind not in ("nfs", "claim") or (place / "config").exists():
        return False
    names = ("data", "index", "snapshots", "locks")
    if any(files for name in names for _, _, files in os.walk(place / name)):
        return False
    try:
        keys = [path for path in (place / "keys").iterdir() if path.is_file()]
        for path in keys:
            path.unlink()
    except OSError:  # restic says what is wrong with it
        return False
    return bool(keys)


def _locks(restic: Restic) -> list[str]:
    found: list[str] = []

    def one(line: bytes) -> None:
        name = line.decode("ascii", "replace").strip()
        if re.fullmatch(r"[0-9a-f]{64}", name):
            found.append(name)

    restic.run("list", "locks", "--no-lock", seconds=CONTACT, on_line=one, contact=True)
    return found


def _lock(restic: Restic, lock: str) -> Record:
    """What a lock says; empty where it says nothing: gone meanwhile, or damaged, and restic judges it."""
    text = bytearray()
    try:
        restic.run("cat", "lock", lock, "--no-lock", on_line=lambda line: text.extend(line[:4096]))
        value = json.loads(text)
    except (Failed, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_own(lock: Record) -> bool:
    return lock.get("hostname") == socket.gethostname()


def _is_strange(lock: Record) -> bool:
    """Whether `unlock` would take a lock of somebody else away, as by this machine's clock it is too old."""
    try:
        age = time.time() - moment(lock.get("time"))
    except (ValueError, OverflowError):
        return False
    return not _is_own(lock) and age > STALE


def _strange(restic: Restic) -> set[str]:
    return {lock for lock in _locks(restic) if _is_strange(_lock(restic, lock))}


def _stands(restic: Restic, words: Words, locks: list[str], *, beside: bool) -> bool:
    """Whether locks have to stay, as somebody may be at work whose lock looks too old. Raises Failed(Deadline)."""
    found = {lock: _lock(restic, lock) for lock in locks}
    old = {lock for lock, value in found.items() if _is_strange(value)}
    if not old:
        return False
    if beside and not any(_is_own(value) or value.get("exclusive") for value in found.values()):
        return True  # nothing of it is in the way
    words.say(f"{len(old)} locks of others look too old: they are watched, as a clock may be wrong")
    end = time.monotonic() + WATCHED
    while old and time.monotonic() < end:
        restic.wait(LOOK)
        now = _strange(restic)
        if now - old:
            words.say("one of them was made anew: somebody is at work, and a clock is wrong. No lock is taken away")
            return True
        old &= now
    return False


def greet(restic: Restic, words: Words, *, unlock: bool = False, beside: bool = False) -> int:
    """Reach the repository; with ``unlock`` take away what killed Jobs of this hub left locked. The number of locks
    that went. ``beside``: what comes next works beside others.

    Raises Failed: NoRepository, WrongKey, Unreachable and others.
    """
    locks, removed = _locks(restic), 0
    if not unlock or _stands(restic, words, locks, beside=beside):
        return 0

    def count(line: bytes) -> None:
        nonlocal removed
        if match := _REMOVED.search(line):
            removed += int(match[1])

    for _ in range(3):
        if not locks:
            break
        try:
            restic.run("unlock", on_line=count)
        except Failed as error:
            if error.reason != "ReadOnly":  # who only reads can go on
                raise
            break
        # in this pod the pid of an old lock may be that of the restic which asks for it: the next has another
        locks = [lock for lock in _locks(restic)[:LOCKS] if _is_own(_lock(restic, lock))]
    if removed:
        words.say(f"took away {removed} locks that killed programs had left")
    return removed


def snapshots(restic: Restic, hub: str, tag: str = "") -> list[Snapshot]:
    """Snapshots of a hub, and with a tag only of those; restic's own order. Raises Failed."""
    text = bytearray()

    def take(line: bytes) -> None:
        text.extend(line)
        if len(text) > 64 * LONGEST:
            raise Failed("Failed", "the list of snapshots is too long to be read")

    restic.run("snapshots", "--host", hub, *(["--tag", tag] if tag else []), on_line=take)
    value = record(b'{"all":' + bytes(text or b"[]") + b"}")
    listed = (value.get("all") or []) if value else None  # older ones say null for none
    if not isinstance(listed, list):
        raise Failed("Failed", "restic's list of snapshots cannot be read")
    return [one for item in listed if (one := snapshot(item))]
