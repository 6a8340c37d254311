"""``kubectl pdshub backup``, ``restore``, ``homes`` and what ends a home, as an administrator types them.

Tests go by each other. The repository is a claim of the namespace: what other kinds of repositories do is not of the
command line. Names and files are of the development sign-in.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person

pytestmark = pytest.mark.long
SPACE, HUB = "e2e-backup-cli", "saved"
NOTEBOOK = "notebooks/x.txt"
OTHER_CLASS = "standard"  # kind's own, without sizes
ITEMS = {"home/ada", "home/bela", "database", "keys", "objects"}


@pytest.fixture(scope="module")
def saved(cluster: Cluster, sample: dict[str, Any]) -> Iterator[Cluster]:
    """A hub without an archive, whose backups lie in a claim, with two homes that have files."""
    namespace(cluster, SPACE)
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": "backups", "namespace": SPACE}
    cluster.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": claim})
    # by hand alone: a run by schedule in between would be another newest snapshot
    backup = {"schedule": "@monthly", "suspend": True, "repository": {"claim": {"name": "backups"}}}
    users = {"allowed": ["ada", "bela"], "admins": ["root-admin"], "shrinkLimit": 90}
    cluster.apply(variant(sample, HUB, SPACE, archive=None, users=users, backup=backup))
    try:
        wait_ready(cluster, HUB, SPACE)
        for name in ("ada", "bela"):
            someone = person(cluster, name, HUB, SPACE)
            someone.start()
            write(someone, NOTEBOOK, f"first of {name}")
            if name == "bela":
                with someone.kernel() as kernel:
                    kernel.run("import pathlib; pathlib.Path.home().joinpath('.jupyter').mkdir(exist_ok=True)").ok()
            someone.stop()
        known = cluster.get("configmap", f"{HUB}-homes", SPACE)
        assert known["binaryData"]
        yield cluster
    finally:
        cluster.dismiss(SPACE, HUB)
        # a move that a test left half way would meet the next run of these tests, whose names are the same
        for volume in cluster.volumes_of(SPACE):
            cluster.let_go(volume)


def plugin(cluster: Cluster, *words: str, timeout: float = 600) -> str:
    return cluster.run("kubectl", "pdshub", *words, "--hub", f"{SPACE}/{HUB}", timeout=timeout)


def answer(cluster: Cluster, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(plugin(cluster, *words, "-o", "json"))
    return found


def write(someone: Person, path: str, text: str) -> None:
    """As the file browser does."""
    base = f"/user/{someone.slug}/api/contents"
    folder = path.rpartition("/")[0]
    if folder:
        assert someone.call("PUT", f"{base}/{folder}", json={"type": "directory"}).status_code in (200, 201)
    body = {"type": "file", "format": "text", "content": text}
    reply = someone.call("PUT", f"{base}/{path}", json=body)
    assert reply.status_code in (200, 201), reply.text


def read(someone: Person, path: str) -> str:
    reply = someone.call("GET", f"/user/{someone.slug}/api/contents/{path}", params={"content": "1"})
    assert reply.status_code == 200, reply.text
    return str(reply.json()["content"])


def pods_of(cluster: Cluster, name: str) -> list[str]:
    found = cluster.items("pods", SPACE, "component=singleuser-server")
    return [
        p["metadata"]["name"]
        for p in found
        if (p["metadata"].get("annotations") or {}).get("hub.jupyter.org/username") == name
    ]


def snapshots(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    return list(answer(cluster, "restore", "user", name, "--list")["snapshots"])


def test_the_key_is_shown_kept_and_declared(saved: Cluster, tmp_path: Path) -> None:
    eventually(lambda: saved.get("secret", f"{HUB}-backup-key", SPACE), within=120, what="the operator made a key")
    said = plugin(saved, "backup", "key")
    assert "no copy outside of the cluster is declared" in said
    file = tmp_path / "key"
    plugin(saved, "backup", "key", "--to", str(file))
    assert file.stat().st_mode & 0o777 == 0o600 and len(file.read_text().strip()) >= 32
    assert file.read_text().strip() not in said
    assert saved.condition("pdshub", HUB, "KeyEscrowed", SPACE)["status"] == "False"
    plugin(saved, "backup", "key", "--declare", "in the safe")
    eventually(
        lambda: saved.condition("pdshub", HUB, "KeyEscrowed", SPACE).get("status"),
        lambda status: status == "True",
        within=120,
        what="the declaration is seen",
    )


def test_one_now_saves_every_home_and_the_rest(saved: Cluster) -> None:
    planned = answer(saved, "backup", "now", "--dry-run")
    assert planned["dryRun"] and planned["backup"] is None
    assert saved.items("hubbackups.pdshub.dev", SPACE) == []
    done = answer(saved, "backup", "now")
    assert done["ended"] and done["backup"]["phase"] == "Completed", done
    assert {item["item"] for item in done["backup"]["items"]} == ITEMS
    assert all(len(item["snapshot"]) == 64 for item in done["backup"]["items"])
    assert done["backup"]["name"] in plugin(saved, "backup", "list")
    assert "home/ada" in plugin(saved, "backup", "show", done["backup"]["name"])


def test_one_home_alone_is_kept(saved: Cluster) -> None:
    done = answer(saved, "backup", "now", "--user", "bela", "--keep")
    assert [item["item"] for item in done["backup"]["items"]] == ["home/bela"]
    assert [one["keep"] for one in snapshots(saved, "bela")] == [True, False]
    with pytest.raises(CommandFailed, match="nobody: no home in namespace"):
        plugin(saved, "backup", "now", "--user", "nobody")


def test_a_file_comes_back_beside_while_its_owner_works(saved: Cluster) -> None:
    ada = person(saved, "ada", HUB, SPACE)
    ada.start()
    before = pods_of(saved, "ada")
    write(ada, NOTEBOOK, "second of ada")
    began = time.monotonic()
    done = answer(saved, "restore", "user", "ada", "--path", NOTEBOOK)
    spent = time.monotonic() - began
    assert done["restore"]["phase"] == "Completed" and done["restore"]["files"] == 1, done
    assert read(ada, done["restore"]["where"]) == "first of ada"
    assert read(ada, NOTEBOOK) == "second of ada"
    assert pods_of(saved, "ada") == before, "the server goes on"
    print(f"one file back: {spent:.1f} s from command to file")


def test_a_moment_before_the_first_backup_has_nothing(saved: Cluster) -> None:
    with pytest.raises(CommandFailed) as error:
        plugin(saved, "restore", "user", "ada", "--path", NOTEBOOK, "--at", "2020-01-01")
    assert error.value.code == 1 and "NotFound" in error.value.out


def test_in_its_place_what_was_there_is_kept(saved: Cluster) -> None:
    with pytest.raises(CommandFailed, match="Nobody is there to be asked"):
        plugin(saved, "restore", "user", "ada", "--path", NOTEBOOK, "--in-place")
    done = answer(saved, "restore", "user", "ada", "--path", NOTEBOOK, "--in-place", "--warn", "5", "--yes")
    assert done["restore"]["phase"] == "Completed" and done["restore"]["replaced"], done
    assert pods_of(saved, "ada") == [], "the server was stopped"
    ada = person(saved, "ada", HUB, SPACE)
    ada.start()
    assert read(ada, NOTEBOOK) == "first of ada"
    assert done["restore"]["replaced"].startswith("replaced-")
    ada.stop()


def test_settings_are_moved_aside(saved: Cluster) -> None:
    bela = person(saved, "bela", HUB, SPACE)
    bela.start()
    with pytest.raises(CommandFailed, match="still has claim claim-bela"):
        plugin(saved, "homes", "reset", "bela", "--yes")
    bela.stop()
    eventually(lambda: pods_of(saved, "bela"), lambda found: not found, within=120, what="the server is gone")
    plugin(saved, "homes", "reset", "bela", "--dry-run")
    done = answer(saved, "homes", "reset", "bela", "--yes")
    assert ".jupyter" in done["moved"] and not done["kept"] and done["backup"], done
    bela.start()
    with bela.kernel() as kernel:
        found = kernel.run(f"import os; print(os.listdir(os.path.expanduser('~/{done['folder']}')))").ok()
    assert ".jupyter" in found and read(bela, NOTEBOOK) == "first of bela"
    bela.stop()


def test_a_home_moves_to_another_volume_and_its_former_one_goes_later(saved: Cluster) -> None:
    before = saved.get("pvc", "claim-bela", SPACE)
    bela = person(saved, "bela", HUB, SPACE)
    bela.start()
    with bela.kernel() as kernel:
        kernel.run(
            "import os, pathlib; h = pathlib.Path.home(); (h / 'one').write_text('1'); os.link(h / 'one', h / 'two');"
            "f = open(h / 'holes', 'wb'); f.truncate(64 << 20); f.close(); os.utime(h / 'one', (1, 1500000000));"
            "os.mkfifo(h / 'fifo'); (h / 'odd\\nname').write_text('odd')"
        ).ok()
    with pytest.raises(CommandFailed, match="is too small"):
        plugin(saved, "homes", "move", "bela", "--size", "1Mi", "--yes")
    assert pods_of(saved, "bela"), "refused before anybody is stopped"
    grown = answer(saved, "homes", "move", "bela", "--size", "2Gi", "--yes")
    assert grown["how"] == "grow" and pods_of(saved, "bela"), "larger is had in place, while its owner works"
    assert saved.get("pvc", "claim-bela", SPACE)["spec"]["volumeName"] == before["spec"]["volumeName"]
    plugin(saved, "homes", "move", "bela", "--class", OTHER_CLASS, "--dry-run")
    began = time.monotonic()
    done = answer(saved, "homes", "move", "bela", "--class", OTHER_CLASS, "--yes")
    print(f"a home moved: {time.monotonic() - began:.1f} s, {done['copied']['used']} bytes")
    after = saved.get("pvc", "claim-bela", SPACE)
    assert done["how"] == "copy" and done["copied"]["equal"], done
    assert after["spec"]["volumeName"] != before["spec"]["volumeName"]
    assert after["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert after["spec"]["storageClassName"] == OTHER_CLASS
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    kept = saved.get("pvc", done["kept"]["claim"], SPACE)
    assert kept["spec"]["volumeName"] == before["spec"]["volumeName"] and kept["status"]["phase"] == "Bound"
    eventually(
        lambda: saved.condition("pdshub", HUB, "HomesKnown", SPACE).get("status"),
        lambda status: status == "True",
        within=120,
        what="the home is the one recorded",
    )
    bela = person(saved, "bela", HUB, SPACE)
    bela.start()
    assert read(bela, NOTEBOOK) == "first of bela"
    with bela.kernel() as kernel:
        found = kernel.run(
            "import os; os.chdir(os.path.expanduser('~')); s = os.stat('one');"
            "print(s.st_nlink, int(s.st_mtime), os.stat('holes').st_blocks, open('odd\\nname').read())"
        ).ok()
    assert "2 1500000000 0 odd" in found, found
    bela.stop()
    eventually(lambda: pods_of(saved, "bela"), lambda left: not left, within=120, what="the server is gone")
    gone = answer(saved, "homes", "move", "bela", "--remove-old", "--yes")
    assert gone["removed"] == [done["kept"]["claim"]]
    with pytest.raises(CommandFailed, match="NotFound"):
        saved.get("pv", before["spec"]["volumeName"])
    assert saved.get("pvc", "claim-bela", SPACE)["status"]["phase"] == "Bound"


def test_what_was_saved_is_shown(saved: Cluster) -> None:
    (found,) = answer(saved, "backup", "status")["hubs"]
    assert found["conditions"]["BackedUp"]["status"] in ("True", "Unknown"), found
    # a repository that is a claim can not be mounted where drills are done
    assert found["conditions"]["RestoreVerified"] is None or found["conditions"]["RestoreVerified"]["status"] != "True"
    assert found["last"]["phase"] == "Completed" and found["restores"][0]["user"] == "ada"
    assert "restored-" in plugin(saved, "backup", "status")


def test_a_home_goes_into_the_repository_and_comes_back(saved: Cluster) -> None:
    volume = saved.get("pvc", "claim-ada", SPACE)["spec"]["volumeName"]
    line = ("users", "offboard", "ada", "--archive", "--yes", "--timeout", "240")
    kept = answer(saved, *line)
    assert kept["archive"]["phase"] == "Completed" and kept["removed"] == [], "nothing goes unconfirmed"
    assert saved.get("pvc", "claim-ada", SPACE)["status"]["phase"] == "Bound"
    with pytest.raises(CommandFailed, match="nothing was removed"):
        plugin(saved, *line, "--confirm-name", "ada", "--confirm-date", "2020-01-01")
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    gone = answer(saved, *line, "--confirm-name", "ada", "--confirm-date", today)
    assert gone["removed"] == ["claim-ada"]
    for kind, name, where in (("pvc", "claim-ada", SPACE), ("pv", volume, None)):
        with pytest.raises(CommandFailed, match="NotFound"):
            saved.get(kind, name, where)
    plugin(saved, "users", "add", "ada", "--timeout", "180")
    with pytest.raises(CommandFailed, match="ada: no home in namespace"):
        plugin(saved, "restore", "user", "ada", "--path", ".")
    ada = person(saved, "ada", HUB, SPACE)
    ada.start()
    assert ada.call("GET", f"/user/ada/api/contents/{NOTEBOOK}").status_code == 404, "a new home"
    done = answer(saved, "restore", "user", "ada", "--path", ".", "--in-place", "--warn", "5", "--yes")
    assert done["restore"]["phase"] == "Completed", done
    ada = person(saved, "ada", HUB, SPACE)
    ada.start()
    assert read(ada, NOTEBOOK) == "first of ada"
    ada.stop()


def test_a_hub_that_was_deleted_comes_back(saved: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "saved.yaml"
    file.write_text(yaml.safe_dump(saved.get("pdshub", HUB, SPACE)))
    words = ("kubectl", "pdshub", "restore-deleted", "--file", str(file))
    with pytest.raises(CommandFailed, match="is there: nothing has to be brought back"):
        saved.run(*words, "--yes")
    saved.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=300s", timeout=320)
    looked = json.loads(saved.run(*words, "--dry-run", "-o", "json"))
    assert [point["kind"] for point in looked["points"]] == ["found", "found", "found"], looked
    saved.run(*words, "--yes")
    wait_ready(saved, HUB, SPACE)
    bela = person(saved, "bela", HUB, SPACE)
    bela.start()
    assert read(bela, NOTEBOOK) == "first of bela"
    bela.stop()
    assert answer(saved, "backup", "now", "--user", "bela")["backup"]["phase"] == "Completed", "with its own key"
