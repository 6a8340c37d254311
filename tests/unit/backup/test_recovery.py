"""What a hub that comes back asks of a real repository: what is chosen, the keys for one reader, items in claims."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pdshub import sealed
from pdshub.api.backup_job import JobSnapshot
from pdshub.backup.home import STAGE
from tests.unit.backup.harness import PASSWORD, Hub, filled, kill_all, restic, tree

KEY = "hub.config.JupyterHub.cookie_secret"
LISTED = {"ada": "claim-ada", "bela@example.org": "claim-bela-40example-2eorg"}


def database(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "jupyterhub.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE IF NOT EXISTS users (name)")
    connection.execute("INSERT INTO users VALUES ('ada')")
    connection.commit()
    connection.close()
    return path


def saved(hub: Hub, run: str, *items: str, homes: dict[str, str] | None = None) -> None:
    """A run of a hub, item by item, as the operator has it."""
    data = hub.folder / "data"
    (data / "keys" / "sbn-keys").mkdir(parents=True, exist_ok=True)
    (data / "keys" / "sbn-keys" / KEY).write_text("c00c1e" * 10)
    (data / "objects").mkdir(exist_ok=True)
    (data / "objects" / "homes.json").write_text(json.dumps({"version": 1, "homes": homes or LISTED}))
    database(data / "database")
    for item in items:
        hub.run("backup", item=item, source=item.partition("/")[0], run=run).good()


WHOLE = ("home/ada", "home/bela@example.org", "database", "keys", "objects")


def planned(hub: Hub, **fields: Any) -> dict[str, JobSnapshot]:
    """The whole plan, page by page."""
    found: dict[str, JobSnapshot] = {}
    after = ""
    while True:
        said = hub.run("plan", source="", after=after, **fields).good()
        found |= {row.item: row for row in said.snapshots}
        if not said.more:
            return found
        assert said.snapshots, "each page has something"
        after = said.snapshots[-1].item


def moments(hub: Hub) -> list[str]:
    return [one["time"] for one in json.loads(hub.call("snapshots", "--json"))]


def test_of_each_item_the_newest_and_where_homes_were(hub: Hub) -> None:
    saved(hub, "one", *WHOLE)
    saved(hub, "two", "home/ada", "database")
    found = planned(hub)
    assert list(found) == ["database", "keys", "objects", "home/ada", "home/bela@example.org"]
    assert {row.item: row.claim for row in found.values() if row.claim} == {
        "home/ada": "claim-ada",
        "home/bela@example.org": "claim-bela-40example-2eorg",
    }
    made = {(tag, one["id"]) for one in json.loads(hub.call("snapshots", "--json")) for tag in one["tags"]}
    runs = {
        row.item: next(tag for tag, id in made if id == row.id and tag.startswith("run=")) for row in found.values()
    }
    assert {item for item, tag in runs.items() if tag == "run=two"} == {"home/ada", "database"}


def test_as_of_a_moment_and_as_of_a_run(hub: Hub) -> None:
    saved(hub, "one", *WHOLE)
    first = planned(hub)
    saved(hub, "two", *WHOLE)
    assert {row.id for row in planned(hub).values()}.isdisjoint({row.id for row in first.values()})
    assert planned(hub, of_run="one") == first == planned(hub, as_of=moments(hub)[4])
    assert planned(hub, of_run=first["home/ada"].id[:10]) == first, "a snapshot is as good as the run that made it"
    hub.run("plan", source="", of_run="never").bad("NotFound")
    early = hub.run("plan", source="", as_of=moments(hub)[0]).bad("NotFound")
    assert "database has no snapshot of that moment" in early.message, "another hub would come back"


def test_who_had_left_stays_away_and_who_came_later_comes(hub: Hub) -> None:
    saved(hub, "left", "home/gone")
    saved(hub, "whole", *WHOLE)
    saved(hub, "later", "home/new")
    assert [item for item in planned(hub) if item.startswith("home/")] == [
        "home/ada", "home/bela@example.org", "home/new",
    ]  # fmt: skip


def test_what_was_never_saved_is_named_without_a_snapshot(hub: Hub) -> None:
    saved(hub, "some", "home/ada", "objects")
    found = planned(hub)
    assert {item for item, row in found.items() if not row.id} == {"database", "keys", "home/bela@example.org"}
    other = Hub(hub.folder / "other", hub="else/where", location=hub.location)
    assert "else/where" in other.run("plan", source="").bad("NotFound").message


def test_without_a_list_of_homes_every_home_comes(hub: Hub) -> None:
    saved(hub, "some", "home/ada", "home/cleo")
    assert [item for item in planned(hub) if item.startswith("home/")] == ["home/ada", "home/cleo"]


def test_a_plan_of_many_homes_comes_in_pages(hub: Hub) -> None:
    people = {f"person-{n:03}@institute.example.org": f"claim-person-{n:03}" for n in range(70)}
    saved(hub, "many", "database", "keys", "objects", homes=people)
    found = planned(hub)
    assert {item.removeprefix("home/"): row.claim for item, row in found.items() if row.claim} == people


def test_keys_are_for_one_reader(hub: Hub) -> None:
    saved(hub, "one", *WHOLE)
    reader = sealed.pair()
    ran = hub.run("keys", item="keys", source="keys", public_key=reader.public, paths=[f"sbn-keys/{KEY}", "else/x"])
    said = ran.good()
    assert json.loads(sealed.opened(said.sealed, reader)) == {f"sbn-keys/{KEY}": "c00c1e" * 10}
    assert "c00c1e" not in ran.out + said.model_dump_json()
    with pytest.raises(ValueError, match="cannot be opened"):
        sealed.opened(said.sealed, sealed.pair())
    hub.run("keys", item="keys", source="keys", public_key="bm8=", paths=[]).bad("BadRequest")


@pytest.mark.parametrize("path", ["../request-1.json", "/etc/passwd", "sbn-keys/link"])
def test_no_path_leads_out_of_what_was_saved(hub: Hub, path: str) -> None:
    saved(hub, "one", "keys")
    reader = sealed.pair()
    said = hub.run("keys", item="keys", source="keys", public_key=reader.public, paths=[path]).good()
    assert json.loads(sealed.opened(said.sealed, reader)) == {}


def contents(found: dict[str, Any]) -> dict[str, Any]:
    """Types, permissions and contents; times are test_restore's."""
    return {name: entry[:3] for name, entry in found.items()}


def recover(hub: Hub, target: Path, item: str, **fields: Any) -> Any:
    target.mkdir(exist_ok=True)
    hub.target = target
    return hub.run("recover", item=item, source=item.partition("/")[0], in_place=True, run="recovery", **fields)


def test_a_home_into_a_new_claim(hub: Hub, tmp_path: Path) -> None:
    was = tree(hub.home)
    saved(hub, "one", *WHOLE)
    target = tmp_path / "claim"
    target.mkdir()
    (target / "lost+found").mkdir()
    said = recover(hub, target, "home/ada").good()
    found = tree(target)
    assert found.pop("lost+found") and contents(found) == contents(was), (
        "nothing else, and no folder of what was replaced"
    )
    assert said.item and (said.item.item, said.item.phase) == ("home/ada", "Completed") and said.snapshots[0].id
    again = recover(hub, target, "home/ada").good()
    assert "is there already" in again.message and again.files == said.files, "one that ended unheard is not repeated"


def test_what_somebody_has_put_there_is_kept(hub: Hub, tmp_path: Path) -> None:
    saved(hub, "one", *WHOLE)
    target = tmp_path / "claim"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    said = recover(hub, target, "home/ada").good()
    assert said.replaced and (target / said.replaced / "mine.txt").read_text() == "mine"
    assert (target / "notebooks/x.ipynb").exists()


def test_a_database_is_whole_and_never_put_over_another(hub: Hub, tmp_path: Path) -> None:
    saved(hub, "one", *WHOLE)
    target = tmp_path / "claim"
    said = recover(hub, target, "database").good()
    assert "jupyterhub.sqlite: whole, as SQLite says" in said.message and [p.name for p in target.iterdir()] == [
        "jupyterhub.sqlite"
    ]
    assert "already" in recover(hub, target, "database").good().message
    database(target)  # a hub ran on it
    was = (target / "jupyterhub.sqlite").read_bytes()
    recover(hub, target, "database").bad("NotEmpty")
    assert (target / "jupyterhub.sqlite").read_bytes() == was


def test_a_damaged_database_does_not_stay_in_the_claim(hub: Hub, tmp_path: Path) -> None:
    """Of one that was damaged before it was saved: a backup refuses it, so this one is saved by hand."""
    saved(hub, "one", *WHOLE)
    broken = database(tmp_path / "by-hand" / "data" / "database")
    connection = sqlite3.connect(broken)
    connection.executemany("INSERT INTO users VALUES (?)", [(f"{n:0300}",) for n in range(500)])
    connection.execute("CREATE INDEX names ON users (name)")
    connection.commit()
    connection.close()
    with broken.open("r+b") as file:
        file.seek(broken.stat().st_size // 2)
        file.write(b"\0" * 8192)
    words = ["--host", hub.hub, "--tag", "item=database", "--tag", "run=two", "data/database"]
    environ = {**os.environ, "RESTIC_REPOSITORY": hub.location, "RESTIC_PASSWORD": PASSWORD}
    argv = [restic(), "--no-cache", "backup", *words]
    subprocess.run(argv, env=environ, cwd=tmp_path / "by-hand", check=True, capture_output=True, timeout=240)
    target = tmp_path / "claim"
    recover(hub, target, "database").bad("Damaged")
    assert list(target.iterdir()) == []
    first = planned(hub, of_run="one")["database"].id
    recover(hub, target, "database", snapshot=first).good()


def test_one_that_is_killed_is_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    (hub.home / "large.bin").write_bytes(bytes(range(256)) * 120_000)
    was = tree(hub.home)
    saved(hub, "one", *WHOLE)
    target = tmp_path / "claim"
    target.mkdir()
    hub.target = target
    process = hub.start("recover", item="home/ada", source="home", in_place=True, run="recovery")
    while process.poll() is None and not (target / STAGE / "new").exists():
        pass
    kill_all(process)
    recover(hub, target, "home/ada").good()
    assert contents(tree(target)) == contents(was)


def test_nothing_to_choose_from(empty: Hub) -> None:
    filled(empty.home)
    empty.run("plan", source="").bad("NoRepository")
