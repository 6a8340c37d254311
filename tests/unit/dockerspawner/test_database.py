"""Databases of JupyterHub: read without being touched, converted on a copy. Real SQLite throughout."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from pdshub.dockerspawner import convert, database
from pdshub.dockerspawner.source import SourceError
from tests.unit.dockerspawner.samples import REVISION, make


def rows(path: Path, question: str) -> list[tuple[object, ...]]:
    opened = sqlite3.connect(path)
    try:
        return opened.execute(question).fetchall()
    finally:
        opened.close()


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_what_is_read(tmp_path: Path) -> None:
    path = make(
        tmp_path / "j.sqlite", "ada", "bela", admins=("ada",), native={"ada": True, "cyd": False}, encrypted=("bela",)
    )
    before = digest(tmp_path)
    found = database.read(path)
    assert [(user.name, user.admin, user.groups, user.roles, user.servers) for user in found.users] == [
        ("ada", True, ("orex",), ("user",), ("",)), ("bela", False, (), ("user",), ("",)),
    ]  # fmt: skip
    assert (found.groups, found.shares, found.revision, found.encrypted) == (("orex",), 1, REVISION, 1)
    assert found.authorized == ("ada",) and found.addresses["cyd"] == "Cyd@Example.org"
    assert digest(tmp_path) == before, "no journal, no lock, nothing written"


def test_a_database_that_may_only_be_read(tmp_path: Path) -> None:
    path = make(tmp_path / "j.sqlite", "ada")
    path.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        assert database.read(path).users[0].name == "ada"
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_what_is_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    path.write_bytes(content)
    with pytest.raises(SourceError):
        database.read(path)
    with pytest.raises(SourceError):
        database.read(tmp_path / "absent")


def test_another_programs_database(tmp_path: Path) -> None:
    opened = sqlite3.connect(tmp_path / "j.sqlite")
    opened.execute("CREATE TABLE users (login TEXT)")
    opened.close()
    with pytest.raises(SourceError, match="no database of JupyterHub"):
        database.read(tmp_path / "j.sqlite")


def test_a_copy_has_what_stands_in_the_journal_yet(tmp_path: Path) -> None:
    """A hub that runs keeps its last changes beside the database, where it is in WAL mode."""
    path = make(tmp_path / "j.sqlite", "ada")
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("INSERT INTO users (id, name, admin, cookie_id) VALUES (9, 'late', 0, 'x')")
    writer.commit()
    work = tmp_path / "work"
    work.mkdir()
    before = digest_files(tmp_path)
    copy = database.copied(path, work)
    assert [user.name for user in database.read(copy).users] == ["ada", "late"]
    assert digest_files(tmp_path) == before
    writer.close()


def digest_files(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir()) if path.is_file()
    }


def test_what_is_copied_is_sound_or_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "j.sqlite", *(f"user{n}" for n in range(200)))
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    path.write_bytes(content)
    with pytest.raises(SourceError, match="stop the hub"):
        database.copied(path, tmp_path)


def test_conversion(tmp_path: Path) -> None:
    path = make(tmp_path / "j.sqlite", "ada", "bela", admins=("ada",), native={"ada": True}, encrypted=("bela",))
    counted = convert.convert(path, {"ada": "ada@example.org", "nobody": "x@example.org"}, False)
    assert counted == {"users": 2, "groups": 1, "roles": 1, "shares": 1, "spawners": 2}
    assert rows(path, "SELECT name, admin, state, encrypted_auth_state FROM users ORDER BY id") == [
        ("ada@example.org", 1, None, None), ("bela", 0, None, None),
    ]  # fmt: skip
    assert rows(path, "SELECT DISTINCT server_id, state, started, oauth_client_id FROM spawners") == [(None,) * 4]
    for table in ("servers", "api_tokens", "oauth_clients", "oauth_codes", "services", "share_codes"):
        assert rows(path, f"SELECT count(*) FROM {table}") == [(0,)], table  # noqa: S608
    assert rows(path, "SELECT user_id, group_id FROM user_group_map") == [(1, 1)]
    assert not rows(path, "SELECT name FROM sqlite_master WHERE name = 'users_info'")
    content = path.read_bytes()
    assert b"hash-of-a-password" not in content and b"sha512:" not in content, "what is deleted is gone from the file"
    assert len({cookie for (cookie,) in rows(path, "SELECT cookie_id FROM users")} - {"cookie-1", "cookie-2"}) == 2


def test_encrypted_states_stay_where_the_key_comes_along(tmp_path: Path) -> None:
    path = make(tmp_path / "j.sqlite", "ada", encrypted=("ada",))
    convert.convert(path, {}, True)
    assert rows(path, "SELECT encrypted_auth_state FROM users") == [(b"sealed",)]


def test_names_may_be_swapped(tmp_path: Path) -> None:
    path = make(tmp_path / "j.sqlite", "ada", "bela")
    convert.convert(path, {"ada": "bela", "bela": "ada"}, False)
    assert rows(path, "SELECT id, name FROM users ORDER BY id") == [(1, "bela"), (2, "ada")]


def test_a_name_that_somebody_has_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    path = make(tmp_path / "j.sqlite", "ada", "bela")
    with pytest.raises(SourceError, match="bela"):
        convert.convert(path, {"ada": "bela"}, False)
    assert rows(path, "SELECT name FROM users ORDER BY id") == [("ada",), ("bela",)]
    assert rows(path, "SELECT count(*) FROM servers") == [(2,)]


def added(path: Path, *statements: str) -> Path:
    opened = sqlite3.connect(path)
    for statement in statements:
        opened.execute(statement)
    opened.commit()
    opened.close()
    return path


BY_THEMSELVES = (
    "CREATE TRIGGER eve AFTER UPDATE ON users BEGIN UPDATE users SET admin = 1 WHERE name = 'eve'; END",
    "CREATE TRIGGER back AFTER DELETE ON api_tokens BEGIN INSERT INTO api_tokens (user_id) VALUES (1); END",
    "CREATE VIEW everybody AS SELECT * FROM users",
    'CREATE TABLE "an ""other" (a)',
)


def test_what_would_run_by_itself_goes_before_anything_is_changed(tmp_path: Path) -> None:
    path = added(make(tmp_path / "j.sqlite", "ada", "eve"), *BY_THEMSELVES)
    convert.convert(path, {}, False)
    assert rows(path, "SELECT name, admin FROM users ORDER BY id") == [("ada", 0), ("eve", 0)]
    assert rows(path, "SELECT count(*) FROM api_tokens") == [(0,)]
    assert rows(path, "SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view') OR name LIKE 'an%'") == []


HUGE = "hex(zeroblob(400000000))"
COMPUTED = {
    "a name": f"CREATE TABLE users (id INTEGER PRIMARY KEY, admin INTEGER, name TEXT AS ({HUGE}))",
    "a group": f"CREATE TABLE groups (id INTEGER PRIMARY KEY, name TEXT AS ({HUGE}))",
}


@pytest.mark.parametrize("case", COMPUTED)
def test_values_that_fill_the_memory_are_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    added(path, "CREATE TABLE users (id INTEGER PRIMARY KEY, admin INTEGER, name TEXT)")
    table = COMPUTED[case].split()[2]
    added(path, f"DROP TABLE IF EXISTS {table}", COMPUTED[case], f"INSERT INTO {table} (id) VALUES (1)")  # noqa: S608
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(SourceError):
        database.read(database.copied(path, work))


def test_a_database_that_computes_without_end_is_stopped(tmp_path: Path) -> None:
    path = added(tmp_path / "j.sqlite", "CREATE TABLE users (id INTEGER PRIMARY KEY, admin INTEGER, name TEXT)")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with database.guarded(path, seconds=0.2) as opened, pytest.raises(sqlite3.OperationalError, match="interrupted"):
        opened.execute(endless).fetchone()


def test_an_old_schema(tmp_path: Path) -> None:
    """JupyterHub 0.9: no roles, no shares, state and server at the user."""
    path = tmp_path / "j.sqlite"
    opened = sqlite3.connect(path)
    opened.executescript(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, admin BOOLEAN, _server_id INTEGER, state TEXT,"
        " cookie_id TEXT);"
        "CREATE TABLE servers (id INTEGER PRIMARY KEY); INSERT INTO servers VALUES (1);"
        "INSERT INTO users VALUES (1, 'ada', 1, 1, '{}', 'x');"
    )
    opened.close()
    assert database.read(path).users[0].admin
    assert convert.convert(path, {}, False) == {"users": 1}
    assert rows(path, "SELECT _server_id, state FROM users") == [(None, None)]
