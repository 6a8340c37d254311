"""A copy of a database for the new hub: people and what they are members of stay, what was of Docker goes.

Source: JupyterHub 1 to 6, jupyterhub/orm.py and its alembic revisions. The schema is brought up to date by the hub's
own image (``jupyterhub.dbutil``), after this.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from pdshub.dockerspawner.database import KEPT, columns, guarded, tables
from pdshub.dockerspawner.source import SourceError

EMPTIED = (
    "servers", "services", "service_role_map", "api_tokens", "api_token_role_map", "oauth_access_tokens", "oauth_codes",
    "oauth_clients", "oauth_code_role_map", "oauth_client_role_map", "share_codes", "proxies", "hubs",
)  # fmt: skip
"""Tables of what runs, and of what opens something: tokens of the old hub shall open nothing at the new one."""
_REVISION = "alembic_version"
_CLEARED = {
    "spawners": ("server_id", "state", "started", "user_options", "oauth_client_id"),
    "users": ("state", "auth_state", "_server_id", "server_id"),
}
"""Columns that become empty: where a container was, and what it was started with."""


def convert(path: Path, new_names: Mapping[str, str], keep_encrypted: bool) -> dict[str, int]:
    """Changes a copy in place; returns how many rows of each table there are. Raises SourceError, and leaves it as it
    was then.

    ``new_names``: old name -> new one. ``keep_encrypted``: encrypted states stay, as the new hub gets the key.
    """
    try:
        with guarded(path) as opened:
            opened.execute("PRAGMA foreign_keys = OFF")
            opened.execute("BEGIN IMMEDIATE")
            _drop(opened)
            there = tables(opened)
            _empty(opened, there, keep_encrypted)
            _rename(opened, new_names)
            opened.execute("COMMIT")
            opened.execute("VACUUM")  # what was deleted is gone from the file, too
            return {
                table: opened.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - names of ours
                for table in ("users", "groups", "roles", "shares", "spawners")
                if table in there
            }
    except sqlite3.Error as error:
        raise SourceError(f"{path}: {error}") from None


def _drop(opened: sqlite3.Connection) -> None:
    """Takes away what is not JupyterHub's: first what would run by itself, here or at the new hub, then other programs'
    tables, as NativeAuthenticator's passwords."""
    ours = {*KEPT, *EMPTIED, _REVISION}
    for kind in ("trigger", "view", "table"):
        found = opened.execute("SELECT name FROM sqlite_master WHERE type = ?", (kind,)).fetchall()
        for name in (str(name) for (name,) in found):
            if name not in ours and not name.startswith("sqlite_"):
                quoted = name.replace('"', '""')
                opened.execute(f'DROP {kind.upper()} IF EXISTS "{quoted}"')


def _empty(opened: sqlite3.Connection, there: tuple[str, ...], keep_encrypted: bool) -> None:
    """Empties tables and columns of what ran, and of what opens something."""
    for table in EMPTIED:
        if table in there:
            opened.execute(f"DELETE FROM {table}")  # noqa: S608 - a name of ours
    for table, cleared in _CLEARED.items():
        has = columns(opened, table) if table in there else set()
        for column in (name for name in cleared if name in has):
            opened.execute(f"UPDATE {table} SET {column} = NULL")  # noqa: S608 - names of ours
    of_users = columns(opened, "users")
    if "encrypted_auth_state" in of_users and not keep_encrypted:
        opened.execute("UPDATE users SET encrypted_auth_state = NULL")
    if "cookie_id" in of_users:  # sessions of the old hub end with it
        opened.execute("UPDATE users SET cookie_id = lower(hex(randomblob(16)))")


def _rename(opened: sqlite3.Connection, new_names: Mapping[str, str]) -> None:
    """New names, by way of names that nobody has: two people may swap theirs."""
    known = {name for (name,) in opened.execute("SELECT name FROM users")}
    changed = {old: new for old, new in new_names.items() if old in known and old != new}
    if taken := sorted((known - changed.keys()) & set(changed.values())):
        raise SourceError(f"{', '.join(taken[:5])}: somebody has this name already")
    for number, old in enumerate(changed):
        opened.execute("UPDATE users SET name = ? WHERE name = ?", (f"\x01{number}", old))
    for number, new in enumerate(changed.values()):
        opened.execute("UPDATE users SET name = ? WHERE name = ?", (new, f"\x01{number}"))
