"""The database while 20 writers write to it, a damaged one, and one whose writer was killed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pdshub.backup import sqlite
from pdshub.backup.verdict import Failed
from tests.unit.backup.harness import Hub

WRITER = """
import sqlite3, sys
name, journal = sys.argv[1:]
db = sqlite3.connect(name, timeout=60)
db.execute(f"PRAGMA journal_mode={journal}")
print("ready", flush=True)
while True:
    # both tables grow together: a copy of two moments has unequal ones
    with db:
        db.execute("INSERT INTO a VALUES (hex(randomblob(400)))")
        db.execute("INSERT INTO b VALUES (hex(randomblob(400)))")
"""


def database(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE a (x)")
    connection.execute("CREATE TABLE b (x)")
    connection.executemany("INSERT INTO a VALUES (?)", [("x" * 500,)] * 2000)
    connection.executemany("INSERT INTO b VALUES (?)", [("x" * 500,)] * 2000)
    connection.commit()
    connection.close()
    return path


def rows(path: Path) -> tuple[int, int]:
    connection = sqlite3.connect(path)
    try:
        count = "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)"
        a, b = connection.execute(count).fetchone()
        return a, b
    finally:
        connection.close()


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_copy_is_one_state_while_twenty_write(tmp_path: Path, journal: str) -> None:
    path = database(tmp_path / "jupyterhub.sqlite")
    argv = [sys.executable, "-c", WRITER, str(path), journal]
    writers = [subprocess.Popen(argv, stdout=subprocess.PIPE) for _ in range(20)]
    try:
        for writer in writers:
            assert writer.stdout and writer.stdout.readline() == b"ready\n"
        for n in range(10):
            sqlite.copy(path, tmp_path / f"copy{n}")
            a, b = rows(tmp_path / f"copy{n}")
            assert a == b >= 2000
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()


def test_the_hubs_database_is_saved_and_drilled(hub: Hub) -> None:
    database(hub.folder / "data/database/jupyterhub.sqlite")
    (hub.folder / "data/database/jupyterhub-proxy.pid").write_text("7")
    saved = hub.run("backup", item="database", source="database", how="SQLite").good().item
    assert saved and saved.how == "SQLite" and saved.files == 1 and saved.digest
    drilled = hub.run("drill", item="database", source="database").good()
    assert "jupyterhub.sqlite: whole, as SQLite says" in drilled.message and "same digest" in drilled.message


def test_a_damaged_database_is_not_saved_as_a_whole_one(hub: Hub) -> None:
    path = database(hub.folder / "data/database/jupyterhub.sqlite")
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(os.urandom(4096 * 4))
    hub.run("backup", item="database", source="database").bad("Damaged")
    assert hub.run("list").good().snapshots == []


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_text("no database at all, only words " * 100)
    with pytest.raises(Failed):
        sqlite.copy(tmp_path / "x.sqlite", tmp_path / "copy")


def test_links_are_no_databases(tmp_path: Path) -> None:
    database(tmp_path / "elsewhere/x.sqlite")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x.sqlite").symlink_to("../elsewhere/x.sqlite")
    with pytest.raises(Failed) as failed:
        sqlite.databases(tmp_path / "data")
    assert failed.value.reason == "NotFound"


def test_a_writer_that_holds_it_for_itself_ends_the_try(tmp_path: Path) -> None:
    path = database(tmp_path / "x.sqlite")
    holder = sqlite3.connect(path)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(Failed, match="locked by a writer"):
            sqlite.copy(path, tmp_path / "copy", busy=0.5)
    finally:
        holder.close()


def test_the_deadline_ends_the_wait_for_a_writer(tmp_path: Path) -> None:
    path = database(tmp_path / "x.sqlite")
    holder = sqlite3.connect(path)
    holder.execute("BEGIN EXCLUSIVE")

    def over() -> None:
        raise Failed("Deadline", "it is over")

    try:
        with pytest.raises(Failed, match="it is over"):
            sqlite.copy(path, tmp_path / "copy", over)
    finally:
        holder.close()
