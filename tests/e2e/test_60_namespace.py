"""A namespace that is deleted takes the hub along, but neither home nor database: the manual says how they return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pdshub.render.names import DATABASE_CLAIM, VIEW_LABEL, Names
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import ROOT, namespace, person, variant, wait_ready
from tests.e2e.test_30_homes import read, write

NAMES = Names("e2e-leaving", "leaving")
WHERE, HUB, CLAIM = NAMES.namespace, NAMES.name, "claim-ada"
MANUAL = ROOT / "docs" / "administrator.md"
SECTION = "#### Bring them back by hand"


def blocks(section: str) -> list[str]:
    """The commands that the manual gives in a section."""
    text = MANUAL.read_text().partition(f"\n{section}\n")[2].partition("\n#")[0]
    return text.split("\n```\n")[1::2]


def shell(cluster: Cluster, script: str, **variables: str) -> str:
    """Run commands as an admin would paste them."""
    words = [f"{name}={value}" for name, value in variables.items()]
    return cluster.run("env", *words, "bash", "-euo", "pipefail", "-c", script, timeout=180)


def leave(cluster: Cluster) -> None:
    """Delete the hub's namespace with everything in it."""
    cluster.kubectl("delete", "namespace", WHERE, "--ignore-not-found", "--timeout=240s", timeout=250)


def claimed(cluster: Cluster) -> list[dict[str, Any]]:
    """Volumes that belong, or belonged, to claims of the namespace."""
    return [v for v in cluster.items("pv") if (v["spec"].get("claimRef") or {}).get("namespace") == WHERE]


@pytest.fixture(scope="module")
def hub_spec(sample: dict[str, Any]) -> dict[str, Any]:
    """A hub in a namespace of its own."""
    return variant(sample, HUB, WHERE)


@pytest.fixture(scope="module")
def volume(cluster: Cluster, hub_spec: dict[str, Any]) -> Iterator[str]:
    """The volume of a home with a file in it, after its hub's namespace was deleted."""
    namespace(cluster, WHERE)
    try:
        cluster.apply(hub_spec)
        wait_ready(cluster, HUB, WHERE)
        ada = person(cluster, "ada", HUB, WHERE)
        ada.start()
        write(ada, "lasting.txt", "outlives the namespace")
        name = str(cluster.get("pvc", CLAIM, WHERE)["spec"]["volumeName"])
        eventually(
            lambda: cluster.get("pv", name)["spec"]["persistentVolumeReclaimPolicy"],
            lambda policy: policy == "Retain",
            what="the home's volume is kept",
        )
        leave(cluster)
        yield name
    finally:
        for kept in claimed(cluster):
            if VIEW_LABEL not in kept["metadata"].get("labels", {}):
                cluster.let_go(kept["metadata"]["name"])
        leave(cluster)


def test_the_home_is_released_with_its_data(cluster: Cluster, volume: str) -> None:
    kept = eventually(lambda: cluster.get("pv", volume), lambda v: v["status"]["phase"] == "Released")
    assert kept["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert (kept["spec"]["claimRef"]["namespace"], kept["spec"]["claimRef"]["name"]) == (WHERE, CLAIM)
    place = (kept["spec"].get("local") or kept["spec"].get("hostPath") or {}).get("path")
    if place:  # storage of hack/up: a directory of the node
        assert cluster.node("cat", f"{place}/lasting.txt") == "outlives the namespace"


def test_nothing_but_data_is_left(cluster: Cluster, volume: str) -> None:
    assert WHERE not in {n["metadata"]["name"] for n in cluster.items("namespaces")}
    assert NAMES.own_view not in {v["metadata"]["name"] for v in cluster.items("archiveviews")}
    assert {v["spec"]["claimRef"]["name"] for v in claimed(cluster)} == {CLAIM, DATABASE_CLAIM}


def test_the_manual_brings_home_and_database_back(cluster: Cluster, volume: str, hub_spec: dict[str, Any]) -> None:
    look, give_back = blocks(SECTION)
    line = next(line.split() for line in shell(cluster, look).splitlines() if volume in line)
    assert line == [volume, WHERE, CLAIM, "Released"]
    kept = {v["spec"]["claimRef"]["name"]: str(v["metadata"]["name"]) for v in claimed(cluster)}
    namespace(cluster, WHERE)
    for claim in (CLAIM, DATABASE_CLAIM):
        shell(cluster, give_back, NAMESPACE=WHERE, HUB=HUB, CLAIM=claim, VOLUME=kept[claim])
    cluster.apply(hub_spec)
    wait_ready(cluster, HUB, WHERE)
    ada = person(cluster, "ada", HUB, WHERE)
    ada.start()
    assert read(ada, "lasting.txt") == "outlives the namespace"
    for claim in (CLAIM, DATABASE_CLAIM):
        assert cluster.get("pvc", claim, WHERE)["spec"]["volumeName"] == kept[claim]
