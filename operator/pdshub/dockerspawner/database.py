"""``jupyterhub.sqlite``, only ever read: who is in it, and which of its tables there are.

It is opened as SQLite's *immutable*: no lock, no journal, no file beside it. So it has to be one that nobody writes to:
a copy (``copied``), or that of a hub which is stopped.

A database is also a program: its schema may compute what a column says. So it is opened within bounds of time and of
the size of a value, its schema may call nothing that does anything, and its triggers never run.

Source: SQLite, "URI Filenames"; JupyterHub 1 to 6, jupyterhub/orm.py.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from pdshub.dockerspawner.source import SourceError

MOST, LARGEST, SECONDS = 100_000, 4 << 30, 600.0
"""Rows of a table, bytes of a database, and how long it may keep this machine busy."""
_VALUE, _TEXT = 16 << 20, 1024
"""Bytes of one value, and characters of one that is looked at."""
_BESIDE = ("-wal", "-journal")
KEPT = ("users", "roles", "user_role_map", "groups", "user_group_map", "group_role_map", "shares", "spawners")
"""Tables whose rows come along; of spawners, only whose they are and what they are called."""


@dataclass(frozen=True)
class User:
    """Somebody in the database."""

    name: str
    admin: bool = False
    last_activity: str = ""
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Database:
    """What a database says."""

    users: tuple[User, ...] = ()
    groups: tuple[str, ...] = ()
    shares: int = 0
    revision: str = ""
    """That of its schema (alembic); empty where it has none."""
    tables: tuple[str, ...] = ()
    encrypted: int = 0
    """How many people have an encrypted state of sign-in."""
    authorized: tuple[str, ...] = ()
    """NativeAuthenticator: who was let in."""
    addresses: dict[str, str] = field(default_factory=dict)
    """NativeAuthenticator: e-mail addresses by name."""


def copied(path: Path, folder: Path) -> Path:
    """A whole copy of a database below ``folder``, made of what its files hold. Raises SourceError.

    The files are only read. One that a hub wrote to meanwhile may be torn, which SQLite's own check finds; then it is
    copied once more.
    """
    for _ in range(3):
        made = folder / "copy.sqlite"
        try:
            if not path.is_file() or path.stat().st_size > LARGEST:
                raise SourceError(f"{path} is no database of at most {LARGEST >> 30} GiB")
            for ending in ("", *_BESIDE):
                source, target = Path(f"{path}{ending}"), Path(f"{made}{ending}")
                target.unlink(missing_ok=True)
                if not ending or source.is_file():
                    shutil.copyfile(source, target)
        except OSError as error:
            raise SourceError(f"{error.filename or path}: {error.strerror}") from None
        try:
            with guarded(made) as opened:
                sound = opened.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
                opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                opened.execute("PRAGMA journal_mode = DELETE").fetchone()
            if sound:
                return made
        except sqlite3.DatabaseError:
            continue
    raise SourceError(f"{path} is no sound SQLite database; one that a hub writes to all the time: stop the hub")


@contextmanager
def guarded(name: Path | str, *, uri: bool = False, seconds: float = SECONDS) -> Iterator[sqlite3.Connection]:
    """A database of somebody else's, within bounds; transactions are the caller's."""
    opened = sqlite3.connect(name, uri=uri, isolation_level=None)
    try:
        opened.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE)
        end = time.monotonic() + seconds
        opened.set_progress_handler(lambda: time.monotonic() > end, 10_000)
        opened.execute("PRAGMA trusted_schema = OFF")
        opened.execute("PRAGMA cell_size_check = ON")
        yield opened
    finally:
        opened.close()


def read(path: Path) -> Database:
    """What a database says. Raises SourceError."""
    try:
        with guarded(f"file:{quote(str(path.resolve()))}?immutable=1", uri=True) as opened:
            opened.execute("PRAGMA query_only = ON")
            opened.text_factory = lambda raw: raw.decode("utf-8", "replace")
            return _read(opened, path)
    except sqlite3.Error as error:
        raise SourceError(f"{path}: {error}") from None


def tables(opened: sqlite3.Connection) -> tuple[str, ...]:
    """The tables of a database; views and what else looks like one are none."""
    rows = opened.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    )
    return tuple(str(name) for (name,) in rows)


def columns(opened: sqlite3.Connection, table: str) -> set[str]:
    """The columns of a table of ours, without those that are computed. ``table``: never of a database's own making."""
    return {str(row[1]) for row in opened.execute(f"PRAGMA table_xinfo({table})") if not row[6]}


def _read(opened: sqlite3.Connection, path: Path) -> Database:
    there = tables(opened)
    if "users" not in there or not {"id", "name", "admin"} <= columns(opened, "users"):
        raise SourceError(f"{path} has no table users: it is no database of JupyterHub")
    of_users = columns(opened, "users")
    groups = _pairs(opened, there, "user_group_map", "groups", "group_id")
    roles = _pairs(opened, there, "user_role_map", "roles", "role_id")
    servers: dict[int, list[str]] = {}
    if "spawners" in there:
        for user, name in opened.execute(f"SELECT user_id, coalesce(name, '') FROM spawners LIMIT {MOST}"):  # noqa: S608
            servers.setdefault(user, []).append(str(name)[:_TEXT])
    activity = "last_activity" if "last_activity" in of_users else "NULL"
    rows = opened.execute(f"SELECT id, name, admin, {activity} FROM users ORDER BY name LIMIT {MOST}")  # noqa: S608
    users = tuple(
        User(
            name, bool(admin), str(seen or "")[:64], *(tuple(found.get(key, ())) for found in (groups, roles, servers))
        )
        for key, name, admin, seen in rows
        if isinstance(name, str) and 0 < len(name) <= _TEXT
    )
    encrypted = 0
    if "encrypted_auth_state" in of_users:
        (encrypted,) = opened.execute("SELECT count(*) FROM users WHERE encrypted_auth_state IS NOT NULL").fetchone()
    names = opened.execute(f"SELECT name FROM groups ORDER BY name LIMIT {MOST}") if "groups" in there else ()  # noqa: S608
    authorized, addresses = _native(opened, there)
    return Database(
        users,
        tuple(str(name)[:_TEXT] for (name,) in names),
        opened.execute("SELECT count(*) FROM shares").fetchone()[0] if "shares" in there else 0,
        _revision(opened, there),
        there,
        int(encrypted),
        authorized,
        addresses,
    )


def _pairs(
    opened: sqlite3.Connection, there: tuple[str, ...], table: str, other: str, key: str
) -> dict[int, list[str]]:
    """What users are members of, by the user's number."""
    found: dict[int, list[str]] = {}
    if table in there and other in there:
        line = f"SELECT m.user_id, o.name FROM {table} m JOIN {other} o ON o.id = m.{key} LIMIT {MOST}"  # noqa: S608
        for user, name in opened.execute(line):
            found.setdefault(user, []).append(str(name)[:_TEXT])
    return found


def _revision(opened: sqlite3.Connection, there: tuple[str, ...]) -> str:
    row = opened.execute("SELECT version_num FROM alembic_version").fetchone() if "alembic_version" in there else None
    return str(row[0])[:64] if row else ""


def _native(opened: sqlite3.Connection, there: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, str]]:
    """NativeAuthenticator's own table. Its passwords are not looked at."""
    has = columns(opened, "users_info") if "users_info" in there else set()
    if not {"username", "is_authorized"} <= has:
        return (), {}
    email = "email" if "email" in has else "NULL"
    line = f"SELECT username, is_authorized, {email} FROM users_info LIMIT {MOST}"  # noqa: S608 - names of ours
    let_in, addresses = list[str](), dict[str, str]()
    for name, authorized, address in opened.execute(line):
        name = str(name)[:_TEXT]
        if authorized:
            let_in.append(name)
        if address:
            addresses[name] = str(address)[:_TEXT]
    return tuple(let_in), addresses
