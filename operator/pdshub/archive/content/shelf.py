"""What was read of the sources: which file had which bytes, and in which pack these lie.

One SQLite database beside the packs. It is the only memory of what was read: when it is damaged, files are read again.
A file is known by its source, path, size and time, as the survey knows it (archive/record.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pdshub.archive.content.pack import Pack

FILE = "content.db"
FORMAT = 1
_TABLES = """
CREATE TABLE pack (
    number INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, objects INTEGER NOT NULL,
    stored INTEGER NOT NULL);
CREATE TABLE object (
    digest BLOB PRIMARY KEY, size INTEGER NOT NULL, md5 BLOB NOT NULL,
    pack INTEGER NOT NULL REFERENCES pack ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX object_of_pack ON object (pack);
CREATE TABLE folder (number INTEGER PRIMARY KEY, source TEXT NOT NULL, path BLOB NOT NULL, UNIQUE (source, path));
CREATE TABLE file (
    folder INTEGER NOT NULL REFERENCES folder ON DELETE CASCADE, name BLOB NOT NULL, size INTEGER NOT NULL,
    mtime INTEGER NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (folder, name)
) WITHOUT ROWID;
"""


class Seen(NamedTuple):
    """A file as it was read: size in bytes, mtime in nanoseconds, SHA-256 of its bytes."""

    size: int
    mtime: int
    digest: bytes


class Read(NamedTuple):
    """A file that was read, with its place."""

    source: str
    folder: str
    """Path of its directory in the source, "" for the root."""
    name: str
    seen: Seen


class Object(NamedTuple):
    """Bytes in a pack: their SHA-256, how many they are, and their MD5, which is what labels name."""

    digest: bytes
    size: int
    md5: bytes


@dataclass(frozen=True, slots=True)
class Shelved:
    """A pack on the shelf: ``stored`` is the size of its compressed file in bytes."""

    number: int
    pack: Pack
    stored: int


_PATIENCE = 60.0  # seconds for which another process may be writing


def _busy(error: sqlite3.Error) -> bool:
    """Whether another process holds the database: that is no damage."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class Shelf:
    """The database. One process writes at a time: the surveyor's worker that reads files; others read beside it."""

    def __init__(self, path: Path, *, only_read: bool = False) -> None:
        """Opens it, or makes it. One that is damaged or of another format is begun anew.

        Raises OSError; with ``only_read`` also for what is not there, or not whole: nothing is changed then.
        """
        self._path = path
        try:
            self._db = self._opened(only_read)
        except sqlite3.Error as error:
            if only_read or _busy(error):
                raise OSError(f"{path}: {error}") from error
            self.remove()
            try:
                self._db = self._opened(only_read)
            except sqlite3.Error as error:
                raise OSError(f"{path}: {error}") from error

    def _opened(self, only_read: bool) -> sqlite3.Connection:
        where = f"{self._path.absolute().as_uri()}?mode={'ro' if only_read else 'rwc'}"
        db = sqlite3.connect(where, timeout=_PATIENCE, isolation_level=None, uri=True)
        try:
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA synchronous = FULL")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version not in ((FORMAT,) if only_read else (0, FORMAT)):
                raise sqlite3.DatabaseError("another format")
            if not version:
                db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")
            db.execute("SELECT * FROM pack").fetchall()
        except BaseException:
            db.close()
            raise
        return db

    def remove(self) -> None:
        """Forgets everything."""
        for path in self._path.parent.glob(self._path.name + "*"):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of the file."""
        self._db.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """All changes within, or none."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- files ------------------------------------------------------------------------------------------------

    def files(self, source: str, folder: str) -> dict[str, Seen]:
        """What was read of a directory of a source."""
        rows = self._db.execute(
            "SELECT name, size, mtime, digest FROM file WHERE folder ="
            " (SELECT number FROM folder WHERE source = ? AND path = ?)",
            (source, _raw(folder)),
        )
        return {name.decode("utf-8", "surrogateescape"): Seen(*seen) for name, *seen in rows}

    def checksums(self, source: str, folder: str) -> dict[str, tuple[int, int, str]]:
        """Of a directory of a source: name -> (size, mtime, MD5 in hexadecimal digits) of what was read."""
        rows = self._db.execute(
            "SELECT file.name, file.size, mtime, md5 FROM file JOIN object USING (digest) WHERE folder ="
            " (SELECT number FROM folder WHERE source = ? AND path = ?)",
            (source, _raw(folder)),
        )
        return {name.decode("utf-8", "surrogateescape"): (size, mtime, md5.hex()) for name, size, mtime, md5 in rows}

    def note(self, read: Iterable[Read]) -> None:
        """Files that were read, whose bytes lie in a pack of the shelf."""
        numbers: dict[tuple[str, str], int] = {}
        rows = []
        for source, folder, name, seen in read:
            number = numbers.get((source, folder))
            if number is None:
                number = numbers[source, folder] = self._folder(source, folder)
            rows.append((number, _raw(name), *seen))
        self._db.executemany("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?)", rows)

    def _folder(self, source: str, folder: str) -> int:
        key = (source, _raw(folder))
        self._db.execute("INSERT OR IGNORE INTO folder (source, path) VALUES (?, ?)", key)
        (number,) = self._db.execute("SELECT number FROM folder WHERE source = ? AND path = ?", key).fetchone()
        return int(number)

    def forget_folders(self, kept: Iterable[tuple[str, str]]) -> int:
        """Forgets the files of all directories but these (source, path); returns how many directories went."""
        with self.changing():
            self._db.execute("CREATE TEMP TABLE kept (source TEXT, path BLOB, PRIMARY KEY (source, path))")
            rows = ((source, _raw(path)) for source, path in kept)
            self._db.executemany("INSERT OR IGNORE INTO kept VALUES (?, ?)", rows)
            gone = self._db.execute("DELETE FROM folder WHERE (source, path) NOT IN (SELECT source, path FROM kept)")
            self._db.execute("DROP TABLE kept")
        return gone.rowcount

    # --- packs ------------------------------------------------------------------------------------------------

    def holds(self, digest: bytes) -> bool:
        """Whether an object lies in a pack."""
        return self._db.execute("SELECT 1 FROM object WHERE digest = ?", (digest,)).fetchone() is not None

    def packs(self) -> list[Shelved]:
        """The packs, the oldest first."""
        rows = self._db.execute("SELECT number, digest, size, objects, stored FROM pack ORDER BY number")
        return [Shelved(number, Pack(digest, size, objects), stored) for number, digest, size, objects, stored in rows]

    def live(self) -> Mapping[int, tuple[int, int]]:
        """Pack -> objects of it that a known file has, and their bytes."""
        rows = self._db.execute(
            "SELECT pack, count(*), sum(size) FROM object WHERE digest IN (SELECT digest FROM file) GROUP BY pack"
        )
        return {pack: (count, size) for pack, count, size in rows}

    def needed(self, pack: int) -> set[bytes]:
        """The objects of a pack that a known file has."""
        rows = self._db.execute(
            "SELECT digest FROM object WHERE pack = ? AND digest IN (SELECT digest FROM file)", (pack,)
        )
        return {digest for (digest,) in rows}

    def put(self, pack: Pack, stored: int, objects: Iterable[Object]) -> None:
        """A pack more, with its objects: they lie in it from now on, wherever they lay before."""
        values = (pack.digest, pack.size, pack.objects, stored)
        made = self._db.execute("INSERT INTO pack (digest, size, objects, stored) VALUES (?, ?, ?, ?)", values)
        rows = ((*one, made.lastrowid) for one in objects)
        self._db.executemany("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?)", rows)

    def drop(self, pack: int) -> None:
        """A pack less. Files whose bytes lay in it alone are not known any more."""
        self._db.execute("DELETE FROM file WHERE digest IN (SELECT digest FROM object WHERE pack = ?)", (pack,))
        self._db.execute("DELETE FROM pack WHERE number = ?", (pack,))
