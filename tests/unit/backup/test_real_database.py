"""There and back with JupyterHub's own tables: those of JupyterHub 4 and 5, by its own alembic revisions."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pdshub.backup import database

orm = pytest.importorskip("jupyterhub.orm")
dbutil = pytest.importorskip("jupyterhub.dbutil")

FOUR = "3c2384c5aae1"
"""JupyterHub 4.0. Source: its alembic/versions."""


@contextmanager
def session(url: str, **options: object) -> Iterator[object]:
    made = orm.new_session_factory(url, **options)()
    try:
        yield made
    finally:
        made.close()
        made.get_bind().dispose()


def alembic(url: str, *words: str) -> None:
    with dbutil._temp_alembic_ini(url) as ini:
        beside = str(Path(sys.executable).with_name("alembic"))
        subprocess.run([beside, "-c", ini, *words], check=True, capture_output=True)


def revision(url: str) -> str:
    import sqlite3

    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    finally:
        connection.close()


def users(url: str) -> set[str]:
    import sqlite3

    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        return {row[0] for row in connection.execute("SELECT name FROM users")}
    finally:
        connection.close()


def run(top: Path, *arguments: str) -> dict[str, object]:
    answer = top / "answer"
    places = [f"--database={top / 'database'}", f"--copies={top / 'copies'}", f"--answer={answer}"]
    assert database.main([*arguments, *places]) == 0, answer.read_text()
    return dict(json.loads(answer.read_text()))


def test_the_tables_of_jupyterhub_4_come_back_from_those_of_5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name in ("database", "copies"):
        (tmp_path / name).mkdir()
    file = tmp_path / "database" / "jupyterhub.sqlite"
    url = f"sqlite:///{file}"
    with session(url) as db:
        orm.check_db_revision(db.get_bind())
        db.add(orm.User(name="ada"))
        db.commit()
    newest = revision(url)
    alembic(url, "downgrade", FOUR)
    assert revision(url) == FOUR
    before, after, aside = "1-20260301t120000z", "2-20260302t120000z", "2-20260303t120000z"
    old = run(tmp_path, "copy", f"--copy={before}")["item"]

    # the newer hub starts: --upgrade-db
    dbutil.upgrade_if_needed(url, log=logging.getLogger("test"))
    assert revision(url) == newest != FOUR
    with session(url) as db:
        orm.check_db_revision(db.get_bind())
        db.add(orm.User(name="bela"))
        db.commit()
    run(tmp_path, "copy", f"--copy={after}", f"--keep={before}")

    assert isinstance(old, dict)
    run(tmp_path, "put-back", f"--copy={before}", f"--digest={old['digest']}", f"--aside={aside}")
    assert (revision(url), users(url)) == (FOUR, {"ada"})
    engine = dbutil.create_engine(url)
    with pytest.raises(orm.DatabaseSchemaMismatch):  # these are no tables that the newer hub takes
        orm.check_db_revision(engine)
    engine.dispose()
    assert (revision(f"sqlite:///{tmp_path}/copies/{aside}/{file.name}")) == newest
    assert users(f"sqlite:///{tmp_path}/copies/{aside}/{file.name}") == {"ada", "bela"}

    # and forward once more
    dbutil.upgrade_if_needed(url, log=logging.getLogger("test"))
    with session(url) as db:
        orm.check_db_revision(db.get_bind())
        assert {user.name for user in db.query(orm.User)} == {"ada"}
