"""Copies of the hub's database on a volume of their own: made before an upgrade, put in place for the way back.

A copy is a folder that is there as a whole or not at all. What a copy is put over is copied first, under a name that
the caller gives: asked for again after a kill, the same is done to its end, and what was put aside stays as it was.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import sqlite3
import stat
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pdshub.backup import sqlite
from pdshub.backup.verdict import Failed

ID = re.compile(r"[0-9]{1,9}-[0-9]{8}t[0-9]{6}z")
"""Name of a copy: the release's revision, and when it was asked for."""
PARTIAL, NEW = ".partial-", ".pdshub-new-"
BESIDE = ("-journal", "-wal", "-shm")
"""What SQLite keeps beside a database. Source: SQLite, Temporary Files Used By SQLite."""
QUIET = 10.0
"""Seconds in which nobody may write to files that are copied as they are."""
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Copied:
    """A copy that is whole."""

    id: str
    digest: str
    """SHA-256 over names, sizes and contents."""
    files: int
    size: int
    note: str = ""


def checked(name: str) -> str:
    """A name of a copy. Raises Failed(BadRequest)."""
    if not ID.fullmatch(name):
        raise Failed("BadRequest", f"{name!r} is no name of a copy")
    return name


def described(folder: Path, note: str = "") -> Copied:
    """Digest and size of a copy. Raises OSError."""
    total, size, files = hashlib.sha256(), 0, 0
    for path in sorted(folder.iterdir()):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise Failed("Damaged", f"{path.name} of copy {folder.name} is no file")
        with path.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
        length = path.lstat().st_size
        total.update(f"{path.name}\0{length}\0{found}\n".encode())
        size, files = size + length, files + 1
    return Copied(folder.name, total.hexdigest(), files, size, note)


def save(database: Path, copies: Path, name: str, keep: Collection[str]) -> Copied:
    """Copy the databases of a folder; copies that are neither this one nor in ``keep`` go, once it is whole.

    Raises Failed: NotFound, Damaged, Full, Failed, BadRequest. Nothing that was there goes where it fails, but where
    there was no room for it.
    """
    target = copies / checked(name)
    kept = {name, *map(checked, keep)}
    if not target.exists():
        try:
            _made(database, target)
        except Failed as error:
            if error.reason != "Full" or not _superfluous(copies, kept):
                raise
            _drop(copies, kept)
            _made(database, target)
    found = described(target)
    _drop(copies, kept)
    return found


def _superfluous(copies: Path, kept: Collection[str]) -> list[Path]:
    """Copies beyond those that stay, and what a killed run left. Nothing that this program did not name."""
    found = []
    for path in copies.iterdir():
        name = path.name
        left = name.startswith(PARTIAL) and ID.fullmatch(name.removeprefix(PARTIAL))
        if (left or (ID.fullmatch(name) and name not in kept)) and stat.S_ISDIR(path.lstat().st_mode):
            found.append(path)
    return found


def _drop(copies: Path, kept: Collection[str]) -> None:
    for path in _superfluous(copies, kept):
        shutil.rmtree(path)


def _made(database: Path, target: Path) -> None:
    """A copy appears under its name when all of it is written."""
    partial = target.with_name(PARTIAL + target.name)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(mode=0o700)
        for path in sqlite.databases(database):
            _copy(path, partial / path.name)
            _synced(partial / path.name)
        _synced(partial)
        partial.rename(target)
        _synced(target.parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise _words(error) from None
    except Failed as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise (Failed("Full", error.message) if _is_full(error.message) else error) from None


def _is_full(text: str) -> bool:
    return "disk is full" in text or os.strerror(errno.ENOSPC) in text or os.strerror(errno.EDQUOT) in text


def _words(error: OSError) -> Failed:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Failed("Full" if full else "Failed", f"the copy cannot be written: {error.strerror}")


def _copy(source: Path, target: Path) -> None:
    """One database. One that its reader cannot open as it lies there is copied with its journal, and opened then."""
    try:
        sqlite.copy(source, target)
    except Failed as error:
        if error.reason != "Failed" or not beside(source):
            raise
        target.unlink(missing_ok=True)
        _with_journal(source, target)
    _alone(source, target)


def _alone(source: Path, target: Path) -> None:
    """A copy is one file: whatever was beside it is in it. Raises Failed(Damaged)."""
    try:
        connection = sqlite3.connect(target)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # plays a journal back
            connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Failed("Damaged", f"{source.name} cannot be repaired: {error}") from None
    for path in beside(target):
        path.unlink()
    if wrong := sqlite.integrity(target):
        raise Failed("Damaged", f"{source.name} is damaged, as SQLite says: {wrong}")


def beside(path: Path) -> list[Path]:
    """What of SQLite's own files is there beside a database."""
    return [found for word in BESIDE if (found := path.with_name(path.name + word)).exists()]


def _with_journal(source: Path, target: Path) -> None:
    """A database whose writer was killed, or that has a log (WAL): folder and all it takes to read it, while nobody
    writes. The copy is repaired later, never what is copied. Raises Failed."""
    until = time.monotonic() + QUIET
    while True:
        before = _state(source)
        for path in (source, *beside(source)):
            if not path.name.endswith("-shm"):  # an index of the log, which is made again
                shutil.copyfile(path, target.with_name(path.name))
        if before == _state(source):
            break
        if time.monotonic() > until:
            raise Failed("Failed", f"{source.name} was written to all the time")
        time.sleep(0.1)


def _state(source: Path) -> list[tuple[str, int, int, int]]:
    found = [(path.name, path.lstat()) for path in (source, *beside(source)) if not path.name.endswith("-shm")]
    return [(name, it.st_ino, it.st_size, it.st_mtime_ns) for name, it in found]


def put_back(database: Path, copies: Path, name: str, digest: str, aside: str) -> Copied:
    """Put a copy in place of the databases of a folder, which nobody has open; returns what was there before.

    That is kept as copy ``aside``, from before anything was changed: where it is there, an earlier try was ended after
    it, and it stays. Raises Failed: NotFound, Damaged (nothing was touched then), Full, Failed.
    """
    source = copies / checked(name)
    if not source.is_dir():
        raise Failed("NotFound", f"copy {name} is not there")
    try:
        if described(source).digest != digest:
            raise Failed("Damaged", f"copy {name} is not what was recorded: somebody changed it")
        note = ""
        if not (copies / checked(aside)).exists():
            note = _put_aside(database, copies / aside)
        for path in sorted(source.iterdir()):
            _replace(path, database / path.name)
        _synced(database)
        return described(copies / aside, note)
    except OSError as error:
        raise _words(error) from None


def _put_aside(database: Path, target: Path) -> str:
    """What is there is copied; as plain files where SQLite finds no database in it. Returns what there is to say."""
    try:
        _made(database, target)
        return ""
    except Failed as error:
        if error.reason == "Full":
            raise
        why = error.message
    partial = target.with_name(PARTIAL + target.name)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    for path in sorted(database.iterdir()):
        if path.name.startswith(NEW) or not stat.S_ISREG(path.lstat().st_mode):
            continue
        if path.name.endswith(tuple(f"{sqlite.SUFFIX}{word}" for word in ("", *BESIDE))):
            shutil.copyfile(path, partial / path.name)
            _synced(partial / path.name)
    _synced(partial)
    partial.rename(target)
    _synced(target.parent)
    return f"what was there is kept as it was: {why}"


def _replace(source: Path, target: Path) -> None:
    """One database takes the place of another, with the rights of the file that was there."""
    new = target.with_name(NEW + target.name)
    new.unlink(missing_ok=True)
    shutil.copyfile(source, new)
    try:
        new.chmod(stat.S_IMODE(target.stat().st_mode))
    except FileNotFoundError:
        new.chmod(0o600)
    _synced(new)
    # a journal belongs to the file that goes: SQLite would play it into the one that comes
    for path in beside(target):
        path.unlink()
    new.replace(target)


def _synced(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
