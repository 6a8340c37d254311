"""``kubectl pdshub import dockerspawner`` into the cluster: people find their files, groups and servers at the new hub.

The old side is made here: homes as Docker leaves them, and a database by JupyterHub's own program. Names are of the
development sign-in, which has no addresses.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import Cluster, CommandFailed
from tests.e2e.conftest import namespace, person, variant, wait_ready
from tests.unit.cli.local_pods import state

SPACE, HUB = "e2e-import", "moved"
PEOPLE = ("ada", "bela.b")
FOLDERS = {"ada": "ada", "bela.b": "bela-2eb"}
CONFIG = """
c.JupyterHub.spawner_class = "docker"
c.DockerSpawner.volumes = {
    "/srv/homes/{username}": "/home/jovyan",
    "/pds": {"bind": "/home/jovyan/archive", "mode": "ro"},
}
c.Authenticator.allowed_users = {"ada", "bela.b"}
c.Authenticator.admin_users = {"ada"}
c.Spawner.mem_limit = "1G"
"""


@dataclass(frozen=True)
class Old:
    """The machine that people come from."""

    folder: Path
    homes: Path
    database: Path
    out: Path


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Old:
    root = tmp_path_factory.mktemp("old")
    made = Old(root / "hub", root / "homes", root / "jupyterhub.sqlite", root / "out")
    made.folder.mkdir()
    (made.folder / "jupyterhub_config.py").write_text(CONFIG)
    for name, folder in FOLDERS.items():
        (made.homes / folder / "notebooks").mkdir(parents=True)
        (made.homes / folder / "archive").mkdir()
        (made.homes / folder / "notebooks" / "note.txt").write_text(f"of {name}")
        for number in range(20):
            (made.homes / folder / f"data{number}.bin").write_bytes(os.urandom(200_000))
    orm = pytest.importorskip("jupyterhub.orm")
    session = orm.new_session_factory(f"sqlite:///{made.database}")()
    people = [orm.User(name=name, admin=name == "ada") for name in PEOPLE]
    group = orm.Group(name="orex")
    session.add_all([*people, group])
    group.users.append(people[1])
    server = orm.Server(ip="172.18.0.9", port=8888)
    session.add(orm.Spawner(user=people[0], name="", server=server, state={"object_id": "0123"}))
    session.commit()
    session.close()
    return made


def moved(cluster: Cluster, old: Old, *more: str) -> dict[str, Any]:
    words = ["import", "dockerspawner", str(old.folder), "--name", HUB, "-n", SPACE, "--to", str(old.out), "-o", "json"]
    line = ["kubectl", "pdshub", *words, "--homes", str(old.homes), "--size", "1Gi", *more]
    found: dict[str, Any] = json.loads(cluster.run(*line, timeout=600))
    return found


@pytest.fixture(scope="module")
def hub(cluster: Cluster, sample: dict[str, Any], old: Old) -> Iterator[dict[str, Any]]:
    """The new hub, after both passes. What the import wrote, with the development sign-in."""
    before = state(old.homes), old.database.read_bytes()
    namespace(cluster, SPACE)
    first = moved(cluster, old)
    (old.homes / "ada" / "notebooks" / "note.txt").write_text("of ada, changed while the old hub ran")
    (old.homes / "ada" / "data0.bin").unlink()
    before = state(old.homes), old.database.read_bytes()
    second = moved(cluster, old, "--final", "--database", str(old.database), "--load-database")
    assert (state(old.homes), old.database.read_bytes()) == before, "the old side is only read"
    spec = yaml.safe_load((old.out / "hub.yaml").read_text())["spec"]
    cluster.apply(variant(sample, HUB, SPACE, archive=None, users=spec["users"], server=spec["server"]))
    try:
        wait_ready(cluster, HUB, SPACE)
        yield {"first": first, "second": second}
    finally:
        cluster.dismiss(SPACE, HUB)


def test_the_second_pass_sent_the_difference_and_all_is_equal(hub: dict[str, Any]) -> None:
    rows = {row["user"]: row for row in hub["second"]["homes"]["homes"]}
    assert (rows["ada"]["sent"], rows["ada"]["removed"]) == (1, 1) and rows["bela.b"]["sent"] == 0
    assert all(row["equal"] and row["stubs"] == ["archive"] for row in rows.values())


def test_people_find_their_files(cluster: Cluster, hub: dict[str, Any]) -> None:
    for name, wanted in (("ada", "of ada, changed while the old hub ran"), ("bela.b", "of bela.b")):
        someone = person(cluster, name, HUB, SPACE)
        someone.start()
        with someone.kernel() as kernel:
            path = "Path.home() / 'notebooks' / 'note.txt'"
            assert kernel.run(f"from pathlib import Path; print(({path}).read_text())").ok() == wanted
            kernel.run(f"({path}).write_text('mine'); (Path.home() / 'archive').exists()").ok()


def test_the_homes_are_the_recorded_ones(cluster: Cluster, hub: dict[str, Any]) -> None:
    found = json.loads(cluster.run("kubectl", "pdshub", "homes", "--hub", f"{SPACE}/{HUB}", "-o", "json"))
    rows = {row["user"]: row for row in found["hubs"][0]["homes"]}
    assert set(rows) == set(PEOPLE) and not any(row["orphan"] for row in rows.values())
    assert cluster.condition("pdshub", HUB, "HomesKnown", SPACE)["status"] == "True"


def test_groups_and_admins_came_along_and_servers_did_not(cluster: Cluster, hub: dict[str, Any]) -> None:
    ada = person(cluster, "ada", HUB, SPACE)
    assert ada.call("GET", "/hub/api/users/bela.b").json()["groups"] == ["orex"]
    assert ada.model()["admin"]


def test_a_database_under_a_running_hub_is_refused(cluster: Cluster, hub: dict[str, Any], old: Old) -> None:
    with pytest.raises(CommandFailed, match="a hub runs"):
        moved(cluster, old, "--user", "ada", "--database", str(old.database), "--load-database")


def test_the_way_back(hub: dict[str, Any], old: Old) -> None:
    """The old hub's database still has its servers and states: it would go on where it was."""
    opened = sqlite3.connect(f"file:{old.database}?immutable=1", uri=True)
    assert opened.execute("SELECT count(*) FROM servers").fetchone() == (1,)
    assert opened.execute("SELECT state FROM spawners").fetchone() == ('{"object_id": "0123"}',)
    opened.close()
