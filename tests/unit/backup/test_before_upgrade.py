"""Copies before an upgrade and the way back, on real files: whole or not at all, killed at any step, full, damaged."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pdshub.backup import before_upgrade, database, sqlite
from pdshub.backup.before_upgrade import described, put_back, save
from pdshub.backup.verdict import Failed

OLD, NEW, ASIDE = "5-20260301t120000z", "6-20260302t120000z", "6-20260303t120000z"
NAME = "jupyterhub.sqlite"


class Hub:
    """The two volumes of a Job."""

    def __init__(self, top: Path) -> None:
        self.database, self.copies = top / "database", top / "copies"
        self.database.mkdir()
        self.copies.mkdir()
        self.write("ada")

    @property
    def file(self) -> Path:
        return self.database / NAME

    def write(self, *users: str) -> None:
        connection = sqlite3.connect(self.file)
        connection.execute("CREATE TABLE IF NOT EXISTS users (name TEXT)")
        connection.executemany("INSERT INTO users VALUES (?)", [(user,) for user in users])
        connection.commit()
        connection.close()

    def users(self, file: Path | None = None) -> list[str]:
        connection = sqlite3.connect(f"file:{file or self.file}?mode=ro", uri=True)
        try:
            return [row[0] for row in connection.execute("SELECT name FROM users")]
        finally:
            connection.close()

    def names(self) -> set[str]:
        return {path.name for path in self.copies.iterdir()}

    def back(self, copy: str = OLD, aside: str = ASIDE) -> before_upgrade.Copied:
        return put_back(self.database, self.copies, copy, described(self.copies / copy).digest, aside)


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


def test_there_and_back_and_back_again(hub: Hub) -> None:
    hub.file.chmod(0o640)
    made = save(hub.database, hub.copies, OLD, [])
    assert made.files == 1 and made.size == (hub.copies / OLD / NAME).stat().st_size
    hub.write("bela")
    left = hub.back()
    assert hub.users() == ["ada"] and left.id == ASIDE
    assert hub.users(hub.copies / ASIDE / NAME) == ["ada", "bela"]
    assert hub.file.stat().st_mode & 0o777 == 0o640
    assert {path.name for path in hub.database.iterdir()} == {NAME}
    hub.back(ASIDE, "5-20260304t120000z")
    assert hub.users() == ["ada", "bela"]


def test_copies_beyond_those_that_stay_go_after_the_new_one_is_whole(hub: Hub) -> None:
    save(hub.database, hub.copies, OLD, [])
    save(hub.database, hub.copies, NEW, [OLD])
    (hub.copies / ".partial-4-20260101t000000z").mkdir()
    (hub.copies / "lost+found").mkdir()
    (hub.copies / "notes.txt").write_text("an administrator's")
    save(hub.database, hub.copies, "7-20260304t120000z", [NEW])
    assert hub.names() == {NEW, "7-20260304t120000z", "lost+found", "notes.txt"}


@pytest.mark.parametrize("name", ["../database", "5", "5-20260301t120000z/..", "", "x-20260301t120000z", "."])
def test_names_that_are_none_of_a_copy_are_refused(hub: Hub, name: str) -> None:
    for call in (
        lambda: save(hub.database, hub.copies, name, []),
        lambda: save(hub.database, hub.copies, OLD, [name]),
        lambda: put_back(hub.database, hub.copies, name, "", ASIDE),
    ):
        with pytest.raises(Failed, match="no name of a copy"):
            call()
    save(hub.database, hub.copies, OLD, [])
    with pytest.raises(Failed, match="no name of a copy"):
        hub.back(aside=name)
    assert hub.users() == ["ada"]


def test_a_copy_that_somebody_changed_is_not_put_in_place_and_nothing_is_touched(hub: Hub) -> None:
    digest = save(hub.database, hub.copies, OLD, []).digest
    connection = sqlite3.connect(hub.copies / OLD / NAME)
    connection.execute("INSERT INTO users VALUES ('mallory')")
    connection.commit()
    connection.close()
    with pytest.raises(Failed) as error:
        put_back(hub.database, hub.copies, OLD, digest, ASIDE)
    assert error.value.reason == "Damaged" and hub.names() == {OLD} and hub.users() == ["ada"]


def test_a_link_in_a_copy_leads_nowhere(hub: Hub, tmp_path: Path) -> None:
    digest = save(hub.database, hub.copies, OLD, []).digest
    (tmp_path / "secret").write_text("token")
    (hub.copies / OLD / "x.sqlite").symlink_to(tmp_path / "secret")
    with pytest.raises(Failed, match="is no file"):
        put_back(hub.database, hub.copies, OLD, digest, ASIDE)


def test_a_hub_that_writes_all_the_time_is_copied_in_one_state(hub: Hub) -> None:
    connection = sqlite3.connect(hub.file)
    connection.execute("CREATE TABLE a (x)")
    connection.execute("CREATE TABLE b (x)")
    connection.close()
    code = (
        "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], timeout=60)\nprint('ready', flush=True)\nwhile True:\n"
        " with db:\n  db.execute('INSERT INTO a VALUES (1)')\n  db.execute('INSERT INTO b VALUES (1)')\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(hub.file)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout and writer.stdout.readline() == b"ready\n"
        for second in range(5):
            name = f"5-20260301t12000{second}z"
            save(hub.database, hub.copies, name, [])
            copy = sqlite3.connect(hub.copies / name / NAME)
            (a,), (b,) = copy.execute("SELECT count(*) FROM a UNION ALL SELECT count(*) FROM b").fetchall()
            copy.close()
            assert a == b
    finally:
        writer.kill()
        writer.wait()


CRASH = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute(f"PRAGMA journal_mode={sys.argv[2]}")
db.execute("PRAGMA cache_size=1")
db.execute("PRAGMA wal_autocheckpoint=0")
if sys.argv[2] == "wal":
    db.execute("INSERT INTO users VALUES ('bela')")
db.execute("BEGIN IMMEDIATE")
db.executemany("INSERT INTO users VALUES (?)", [("x" * 4000,)] * 500)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(("journal", "users"), [("delete", ["ada"]), ("wal", ["ada", "bela"])])
def test_a_hub_that_was_killed_in_mid_write_is_copied_as_it_would_be_repaired(
    hub: Hub, journal: str, users: list[str]
) -> None:
    """The state in which somebody upgrades a hub that does not start any more."""
    died = subprocess.run([sys.executable, "-c", CRASH, str(hub.file), journal], check=False)
    assert died.returncode == -signal.SIGKILL and before_upgrade.beside(hub.file)
    before = {path.name: path.read_bytes() for path in hub.database.iterdir()}
    os.chmod(hub.database, 0o500)
    try:
        save(hub.database, hub.copies, OLD, [])
    finally:
        os.chmod(hub.database, 0o700)
    assert hub.users(hub.copies / OLD / NAME) == users
    assert {path.name for path in (hub.copies / OLD).iterdir()} == {NAME}
    if journal == "delete" and os.getuid():
        assert {path.name: path.read_bytes() for path in hub.database.iterdir()} == before


def test_a_journal_of_the_database_that_goes_is_not_played_into_the_one_that_comes(hub: Hub) -> None:
    save(hub.database, hub.copies, OLD, [])
    hub.write(*("y" * 3000 for _ in range(300)))
    died = subprocess.run([sys.executable, "-c", CRASH, str(hub.file), "delete"], check=False)
    assert died.returncode == -signal.SIGKILL
    hub.back()
    assert hub.users() == ["ada"] and sqlite.integrity(hub.file) == ""
    assert len(hub.users(hub.copies / ASIDE / NAME)) == 301


def test_a_database_that_is_none_any_more_is_kept_as_it_is_and_the_way_back_is_open(hub: Hub) -> None:
    save(hub.database, hub.copies, OLD, [])
    hub.file.write_bytes(b"no database" * 500)
    left = hub.back()
    assert "kept as it was" in left.note and hub.users() == ["ada"]
    assert (hub.copies / ASIDE / NAME).read_bytes() == b"no database" * 500


@pytest.mark.parametrize("step", ["copyfile", "_synced", "_replace", "rename", "unlink", "replace", "described"])
@pytest.mark.parametrize("count", range(6))
def test_killed_at_any_step_of_the_way_back_it_is_done_to_its_end(
    hub: Hub, step: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(hub.database, hub.copies, OLD, [])
    digest = described(hub.copies / OLD).digest
    hub.write("bela")
    calls = 0

    class Killed(BaseException):
        pass

    where: Any = {"copyfile": before_upgrade.shutil, "rename": Path, "unlink": Path, "replace": Path}.get(
        step, before_upgrade
    )
    real = getattr(where, step)

    def dies(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count + 1:
            raise Killed
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(where, step, dies)
        try:
            put_back(hub.database, hub.copies, OLD, digest, ASIDE)
        except Killed:
            # whatever was reached: one of the two is there, whole, and so is what was saved
            assert hub.users() in (["ada"], ["ada", "bela"])
            assert hub.users() == ["ada", "bela"] or (hub.copies / ASIDE).exists()
    put_back(hub.database, hub.copies, OLD, digest, ASIDE)
    assert hub.users() == ["ada"] and hub.users(hub.copies / ASIDE / NAME) == ["ada", "bela"]
    assert {path.name for path in hub.database.iterdir()} == {NAME}
    assert hub.names() == {OLD, ASIDE}


def test_a_program_that_is_killed_leaves_no_half_copy(hub: Hub) -> None:
    connection = sqlite3.connect(hub.file)
    connection.execute("CREATE TABLE big (x)")
    connection.executemany("INSERT INTO big VALUES (?)", [("z" * 100_000,)] * 300)
    connection.commit()
    connection.close()
    places = ["--database", str(hub.database), "--copies", str(hub.copies), "--answer", os.devnull]
    argv = [sys.executable, "-m", "pdshub.backup.database", "copy", f"--copy={OLD}", *places]
    for milliseconds in (200, 400, 600, 800):
        process = subprocess.Popen(argv, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(milliseconds / 1000)
        process.kill()
        process.wait()
        for path in hub.copies.glob("[0-9]*"):
            assert sqlite.integrity(path / NAME) == ""
    assert subprocess.run(argv, check=False, capture_output=True).returncode == 0
    assert hub.names() == {OLD} and hub.users(hub.copies / OLD / NAME) == ["ada"]


def test_no_room_for_one_more_copy_takes_the_superfluous_first_and_else_fails_whole(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A volume that is full, as SQLite and the system say it."""
    save(hub.database, hub.copies, OLD, [])
    real = sqlite.copy

    def full(source: Path, target: Path, *_: Any) -> None:
        if (hub.copies / OLD).exists():
            raise Failed("Failed", f"{source.name} cannot be copied: database or disk is full")
        real(source, target)

    monkeypatch.setattr(sqlite, "copy", full)
    with pytest.raises(Failed) as error:
        save(hub.database, hub.copies, NEW, [OLD])
    assert error.value.reason == "Full" and hub.names() == {OLD}
    save(hub.database, hub.copies, NEW, [])
    assert hub.names() == {NEW}


@pytest.mark.parametrize(
    ("arguments", "ok", "words"),
    [
        (["copy", f"--copy={OLD}"], True, "the database is copied"),
        (["put-back", f"--copy={NEW}", f"--aside={ASIDE}"], False, "is not there"),
        (["copy", "--copy=../x"], False, "no name of a copy"),
    ],
)
def test_the_program_answers_as_backups_do(
    hub: Hub, tmp_path: Path, arguments: list[str], ok: bool, words: str
) -> None:
    told = tmp_path / "answer"
    places = ["--database", str(hub.database), "--copies", str(hub.copies), "--answer", str(told)]
    assert database.main([*arguments, *places]) == (0 if ok else 1)
    answer = json.loads(told.read_text())
    assert answer["ok"] is ok and words in answer["message"]
    assert not ok or (len(answer["item"]["digest"]) == 64 and answer["place"] == OLD)
