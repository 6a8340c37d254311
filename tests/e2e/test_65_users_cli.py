"""``kubectl pdshub users`` and ``homes``: each command ends when it is in effect, and the hub restarts for none.

Tests go by each other: who was let in is taken out. Names and files are of the development sign-in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person, SignInRefused

SPACE, HUB = "e2e-users", "people"
LIST = "# the node's people\n\nfay   # of the OREX team\ngus\n"
USER_KEYS = {"name", "admin", "suspended", "lastActivity", "server", "home", "size", "listed", "sources"}
HOME_KEYS = {
    "claim", "user", "size", "usedBytes", "usedUnknown", "lastUsed", "orphan", "offboarded", "storageClass", "volume",
    "created",
}  # fmt: skip


@pytest.fixture(scope="module")
def listed(cluster: Cluster, sample: dict[str, Any]) -> Iterator[Cluster]:
    """A hub without an archive whose list is of its spec and of a ConfigMap."""
    namespace(cluster, SPACE)
    meta = {"name": "pds-users", "namespace": SPACE}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"users.txt": LIST}})
    users = {
        "allowed": ["ada", "bela"],
        "admins": ["root-admin"],
        "from": [{"configMap": {"name": "pds-users", "key": "users.txt"}}],
        "shrinkLimit": 90,  # few names: each removal is a large share
    }
    cluster.apply(variant(sample, HUB, SPACE, archive=None, users=users))
    try:
        wait_ready(cluster, HUB, SPACE)
        yield cluster
    finally:
        cluster.dismiss(SPACE, HUB)


@pytest.fixture(autouse=True)
def no_restart(listed: Cluster) -> Iterator[None]:
    """No command restarts the hub."""
    before = hub_pods(listed)
    yield
    assert hub_pods(listed) == before


def hub_pods(cluster: Cluster) -> list[tuple[str, int]]:
    pods = cluster.items("pods", SPACE, "component=hub")
    return [(p["metadata"]["uid"], sum(c["restartCount"] for c in p["status"]["containerStatuses"])) for p in pods]


def plugin(cluster: Cluster, *words: str) -> str:
    return cluster.run("kubectl", "pdshub", *words, "--hub", f"{SPACE}/{HUB}", timeout=240)


def change(cluster: Cluster, *words: str) -> dict[str, Any]:
    """A change that is in effect when this returns."""
    found: dict[str, Any] = json.loads(plugin(cluster, "users", *words, "--yes", "--timeout", "180", "-o", "json"))
    assert found["waited"] and found["waited"]["enforced"], found
    return found


def signs_in(cluster: Cluster, name: str) -> Person:
    return person(cluster, name, HUB, SPACE)


def refused(cluster: Cluster, name: str) -> None:
    with pytest.raises(SignInRefused):
        signs_in(cluster, name)


def cut_off(cluster: Cluster, someone: Person) -> None:
    """Nothing that somebody had from before opens anything, and no pod of theirs is left."""
    assert someone.call("GET", f"/hub/api/users/{someone.slug}").status_code in (401, 403, 404)
    page = someone.session.get(someone.url("/hub/home"), timeout=30)
    assert "/hub/login" in page.url
    refused(cluster, someone.name)
    pods = cluster.items("pods", SPACE, "component=singleuser-server")
    assert someone.name not in [(p["metadata"].get("annotations") or {}).get("hub.jupyter.org/username") for p in pods]


def homes(cluster: Cluster) -> dict[str, dict[str, Any]]:
    found = json.loads(plugin(cluster, "homes", "-o", "json"))["hubs"][0]
    return {row["claim"]: row for row in found["homes"]}


def people(cluster: Cluster) -> dict[str, dict[str, Any]]:
    found = json.loads(plugin(cluster, "users", "list", "-o", "json"))["hubs"][0]
    return {row["name"]: row for row in found["users"]}


def test_who_is_added_signs_in(listed: Cluster) -> None:
    refused(listed, "cyd")
    change(listed, "add", "Cyd")
    signs_in(listed, "cyd")
    hub = listed.get("pdshub", HUB, SPACE)
    assert hub["spec"]["users"]["allowed"] == ["ada", "bela", "cyd"]
    by = json.loads(hub["metadata"]["annotations"]["pdshub.dev/changed-by"])
    assert by["by"] and by["command"] == "users add Cyd", "as it was typed"
    assert people(listed)["cyd"]["sources"] == ["spec.users.allowed"]


def test_who_is_removed_is_out_and_the_home_stays(listed: Cluster) -> None:
    cyd = signs_in(listed, "cyd")
    cyd.start()
    said = change(listed, "remove", "cyd")
    assert said["changed"] == [{"name": "cyd", "change": "removed", "place": "spec.users.allowed"}]
    cut_off(listed, cyd)
    assert listed.get("pvc", "claim-cyd", SPACE)["status"]["phase"] == "Bound"


def test_who_stands_in_a_file_is_taken_out_of_it_alone(listed: Cluster) -> None:
    fay = signs_in(listed, "fay")
    change(listed, "remove", "fay")
    text = listed.get("configmap", "pds-users", SPACE)["data"]["users.txt"]
    assert text == "# the node's people\n\n# of the OREX team\ngus\n"
    cut_off(listed, fay)
    signs_in(listed, "gus")


def test_who_is_suspended_is_out_until_that_is_undone(listed: Cluster) -> None:
    bela = signs_in(listed, "bela")
    bela.start()
    change(listed, "suspend", "bela")
    cut_off(listed, bela)
    assert people(listed)["bela"]["suspended"]
    with pytest.raises(CommandFailed, match="--undo lets them in again"):
        plugin(listed, "users", "add", "bela")
    change(listed, "suspend", "bela", "--undo")
    signs_in(listed, "bela")


def test_an_admin_is_made_and_unmade(listed: Cluster) -> None:
    change(listed, "admin", "ada", "on")
    assert signs_in(listed, "ada").call("GET", "/hub/api/users").status_code == 200
    change(listed, "admin", "ada", "off")
    assert signs_in(listed, "ada").call("GET", "/hub/api/users").status_code == 403


def test_an_offboarded_home_is_kept_and_listed_as_such(listed: Cluster) -> None:
    bela = signs_in(listed, "bela")
    said = change(listed, "offboard", "bela")
    assert said["homes"] == ["claim-bela"]
    cut_off(listed, bela)
    marked = listed.items("pvc", SPACE, "pdshub.dev/offboarded")
    assert [claim["metadata"]["name"] for claim in marked] == ["claim-bela"]
    row = eventually(
        lambda: homes(listed).get("claim-bela", {}),
        lambda found: found.get("offboarded"),
        within=180,
        what="the census says that the home is of somebody who left",
    )
    assert row["user"] == "bela" and row["size"]
    change(listed, "add", "bela")
    assert listed.items("pvc", SPACE, "pdshub.dev/offboarded") == []


def test_what_programs_read_has_the_same_keys_always(listed: Cluster) -> None:
    eventually(lambda: homes(listed), lambda found: {"claim-bela", "claim-cyd"} <= found.keys(), within=180)
    assert all(set(row) == HOME_KEYS for row in homes(listed).values())
    found = people(listed)
    assert all(set(row) == USER_KEYS for row in found.values())
    assert found["root-admin"]["admin"] and found["gus"]["sources"] == ["configMap pds-users/users.txt"]


def test_a_dry_run_is_checked_by_the_api_server_and_changes_nothing(listed: Cluster) -> None:
    before = listed.get("pdshub", HUB, SPACE)["spec"]
    said = json.loads(plugin(listed, "users", "remove", "ada", "--dry-run", "-o", "json"))
    assert said["dryRun"] and said["changed"] and said["waited"] is None
    assert listed.get("pdshub", HUB, SPACE)["spec"] == before
    signs_in(listed, "ada")
