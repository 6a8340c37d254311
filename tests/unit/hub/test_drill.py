"""A hub that is booted from a copy of a real hub's database: what it proves, and what it cannot do."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("jupyterhub")

from pdshub_hub import drill, drill_hub
from tests.unit.hub import real_hub
from tests.unit.hub.real_hub import PASSWORD, ROOT, Browser

PEOPLE = ["ada@example.org", "bela@example.org", "carl"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The database of a hub in which three people signed in; one of them had a server."""
    folder = tmp_path_factory.mktemp("hub")
    with real_hub.running(folder, real_hub.spec(google=False)) as hub:
        hub.write(allowed=sorted(PEOPLE))
        for name in PEOPLE:
            assert Browser(hub).fill_in(name, PASSWORD).status_code == 302
    yield folder / "hub.sqlite"


def copied(database: Path, tmp_path: Path) -> Path:
    """As a restore leaves it."""
    folder = tmp_path / "restored" / "database"
    folder.mkdir(parents=True)
    shutil.copy(database, folder / "jupyterhub.sqlite")
    return folder


def booted(folder: Path, tmp_path: Path, seconds: str = "300") -> tuple[int, dict[str, Any], str]:
    """The program as the Job starts it: exit code, answer, log."""
    answer = tmp_path / "answer"
    answer.touch()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT / 'hub'}:{ROOT / 'operator'}",
        "HOME": str(tmp_path),
    }
    command = [
        sys.executable,
        "-m",
        "pdshub_hub.drill",
        "--folder",
        str(folder),
        "--answer",
        str(answer),
        "--seconds",
        seconds,
    ]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    return done.returncode, json.loads(answer.read_text() or "{}"), done.stderr


def test_a_hub_starts_from_the_copy_and_lets_somebody_in(saved: Path, tmp_path: Path) -> None:
    code, answer, log = booted(copied(saved, tmp_path).parent, tmp_path)
    assert code == 0, (answer, log)
    assert answer["ok"] and answer["files"] == len(PEOPLE) and answer["seconds"] > 0
    assert "3 users are there" in answer["message"] and len(json.dumps(answer)) < 4096
    with closing(sqlite3.connect(saved)) as original:
        assert original.execute("SELECT count(*) FROM users").fetchone() == (len(PEOPLE),), "the original is as it was"


def spoilt(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "jupyterhub.sqlite")) as connection:
        connection.execute(statement)
        connection.commit()


BROKEN = [
    ("nothing came back", lambda folder: (folder / "jupyterhub.sqlite").unlink(), "0 databases"),
    ("no database", lambda folder: (folder / "jupyterhub.sqlite").write_bytes(b"x" * 4096), "0 databases"),
    (
        "two of other names",
        lambda folder: shutil.copy(folder / "jupyterhub.sqlite", folder / "other.sqlite"),
        "2 databases",
    ),
    ("without users", lambda folder: spoilt(folder, "DROP TABLE users"), "cannot be read"),
    ("cut short", lambda folder: os.truncate(folder / "jupyterhub.sqlite", 8192), ""),
]


@pytest.mark.parametrize(("spoil", "words"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_copy_that_is_not_whole_is_no_proof(saved: Path, tmp_path: Path, spoil: Any, words: str) -> None:
    folder = copied(saved, tmp_path)
    spoil(folder)
    code, answer, _ = booted(folder, tmp_path, "60")
    assert code == 1 and answer["ok"] is False and words in answer["message"]


def test_a_restore_that_was_done_twice_leaves_the_newer(saved: Path, tmp_path: Path) -> None:
    first = copied(saved, tmp_path)
    second = first.parent / "database-2"
    shutil.copytree(first, second)
    unfinished = first.parent / drill.STAGE / "new"
    shutil.copytree(first, unfinished)
    (second / "jupyterhub.sqlite").touch()
    shutil.copy(first / "jupyterhub.sqlite", first / "jupyterhub.sqlite.2026-03-10-120000")
    assert drill.database_in(first.parent) == second / "jupyterhub.sqlite"


JUDGED = [
    ({"a", "b"}, {"a", "b", "new"}, True),
    (set(), {"new"}, True),
    ({"a", "b"}, {"a", "new"}, False),
    ({"a"}, {"a", "b", "new"}, False),
    ({"a", "b"}, {"a", "c", "new"}, False),
    ({"a"}, {"a"}, False),
]


@pytest.mark.parametrize(("there", "shown", "well"), JUDGED)
def test_users_are_compared_by_name(there: set[str], shown: set[str], well: bool) -> None:
    assert (drill.judge(there, shown, "new") == "") is well


# --- what it cannot do


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    known = {"name": "drill-1", "password": "secret", "token": "t", "port": 1, "database": "x"}
    (tmp_path / "told.json").write_text(json.dumps(known))
    monkeypatch.setenv(drill_hub.TOLD, str(tmp_path / "told.json"))
    return known


async def _tries(*pairs: tuple[str, str]) -> list[bool]:
    door = drill_hub.OneShot()
    return [bool(await door.authenticate(None, {"username": name, "password": word})) for name, word in pairs]


def test_one_name_gets_in_once(told: dict[str, Any]) -> None:
    right = ("drill-1", "secret")
    assert asyncio.run(_tries(right, right)) == [True, False]
    assert asyncio.run(_tries(("drill-1", "guess"), ("ada", "secret"), ("", ""), right)) == [False, False, False, True]
    assert drill_hub.OneShot().check_allowed("drill-1") and not drill_hub.OneShot().check_allowed("ada@example.org")


def test_it_has_no_server_no_service_and_no_way_out(told: dict[str, Any]) -> None:
    from traitlets.config import Config

    config = Config()
    drill_hub.setup(config)
    hub = config.JupyterHub
    assert hub.proxy_class is drill_hub.NoRoutes and hub.spawner_class is drill_hub.NoServers
    assert [service["name"] for service in hub.services] == [drill_hub.SERVICE], "the culler is off"
    (role,) = hub.load_roles
    assert role["scopes"] == ["list:users", "read:users:name"]
    assert hub.hub_bind_url.startswith("http://127.0.0.1:") and hub.bind_url == hub.hub_bind_url
    assert "kubespawner" not in json.dumps({key: str(value) for key, value in hub.items()})


def test_a_server_is_never_started(told: dict[str, Any]) -> None:
    spawner = drill_hub.NoServers(user=SimpleNamespace(name="ada"))
    with pytest.raises(RuntimeError, match="no servers"):
        asyncio.run(spawner.start())
    assert asyncio.run(spawner.poll()) == 0
