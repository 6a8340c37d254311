"""Databases that older JupyterHubs made, on their whole way: copied, converted, and brought up to date by the real one.

tests/data/dockerspawner/databases has what those versions wrote, as SQL. What is installed here is the hub's version.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import secrets
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pdshub.cli import import_database, import_database_pod
from pdshub.dockerspawner import convert, database
from tests.unit.dockerspawner.samples import DATA

orm = pytest.importorskip("jupyterhub.orm")
DUMPS = sorted((DATA / "databases").glob("*.sql"))
NEW = {"ada": "ada@example.org", "bela": "bela@example.org"}


def loaded(dump: Path, folder: Path) -> Path:
    path = folder / "jupyterhub.sqlite"
    opened = sqlite3.connect(path)
    opened.executescript(dump.read_text())
    opened.close()
    return path


def taken(file: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the pod of the hub's image does: the same text, by this Python."""
    program = inspect.getsource(import_database_pod)
    packed = base64.b64encode(file.read_bytes()).decode()
    line = [sys.executable, "-c", program, str(folder), *words]
    return subprocess.run(line, input=packed, capture_output=True, text=True, check=False)


def moved(dump: Path, folder: Path) -> tuple[Path, dict[str, Any]]:
    """A dump's database at the new hub's place, and the answer of the pod."""
    old, work, volume = loaded(dump, folder), folder / "work", folder / "volume"
    work.mkdir()
    volume.mkdir()
    before = old.read_bytes()
    copy = database.copied(old, work)
    known = database.read(copy)
    assert [(user.name, user.admin, user.groups) for user in known.users] == [
        ("ada", True, ()), ("bela", False, ("orex",)),
    ]  # fmt: skip
    convert.convert(copy, NEW, keep_encrypted=False)
    done = taken(copy, volume)
    assert done.returncode == 0, done.stderr
    assert old.read_bytes() == before, "the old one is only read"
    return volume / "jupyterhub.sqlite", json.loads(done.stdout.strip().splitlines()[-1])


def test_there_are_databases_of_every_generation() -> None:
    assert {dump.stem.removeprefix("jupyterhub-").partition(".")[0] for dump in DUMPS} >= {*"12345"}


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
def test_the_real_hub_takes_it(dump: Path, tmp_path: Path) -> None:
    path, answer = moved(dump, tmp_path)
    assert answer["users"] == 2 and not answer["aside"]
    engine = orm.create_engine(f"sqlite:///{path}") if hasattr(orm, "create_engine") else None
    if engine is not None:
        orm.check_db_revision(engine)  # raises where anything is missing of what this version wants
    db = orm.new_session_factory(f"sqlite:///{path}")()
    people = {user.name: user for user in db.query(orm.User)}
    assert set(people) == set(NEW.values())
    assert people["ada@example.org"].admin and not people["bela@example.org"].admin
    assert [group.name for group in people["bela@example.org"].groups] == ["orex"]
    assert not db.query(orm.Server).count() and not db.query(orm.APIToken).count() and not db.query(orm.Service).count()
    assert db.query(orm.Share).count() == ('INSERT INTO "shares"' in dump.read_text())
    assert all(spawner.server is None and not spawner.state for spawner in db.query(orm.Spawner))
    assert answer["revision"] == db.connection().exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    db.close()


def test_a_second_one_waits_for_a_word_and_puts_the_first_aside(tmp_path: Path) -> None:
    path, _ = moved(DUMPS[0], tmp_path)
    again = taken(path, path.parent)
    assert again.returncode and "--replace-database" in again.stderr
    answer = json.loads(taken(path, path.parent, "replace").stdout.strip().splitlines()[-1])
    assert Path(answer["aside"]).is_file() and path.is_file()


def test_a_database_that_is_damaged_on_its_way_takes_no_place(tmp_path: Path) -> None:
    (tmp_path / "torn").write_bytes(b"SQLite format 3\x00" + b"\xff" * 9000)
    done = taken(tmp_path / "torn", tmp_path)
    assert done.returncode and not (tmp_path / "jupyterhub.sqlite").exists()


def test_what_the_old_hub_sealed_the_new_one_reads(tmp_path: Path) -> None:
    """Its own key is first, so that what it seals itself is sealed with that."""
    from cryptography.fernet import InvalidToken
    from jupyterhub.crypto import CryptKeeper

    async def sealed(keys: list[str], value: dict[str, str]) -> bytes:
        found: bytes = await CryptKeeper(keys=keys, n_threads=1).encrypt(value)
        return found

    async def opened(keys: list[str], value: bytes) -> Any:
        return await CryptKeeper(keys=keys, n_threads=1).decrypt(value)

    old = secrets.token_hex(32)
    made = import_database.secret("sbn", "hub", import_database.keys(f"JUPYTERHUB_CRYPT_KEY={old}\n"))
    keys = made["stringData"]["hub.config.CryptKeeper.keys"].split(";")
    assert len(keys) == 2 and keys[1] == old != keys[0]
    token = asyncio.run(sealed([old], {"token": "of Google"}))
    assert asyncio.run(opened(keys, token)) == {"token": "of Google"}
    with pytest.raises(InvalidToken):
        asyncio.run(opened(keys[:1], token))
