"""What a data manager is told and decides: an entry that shows nothing, a first approval, a rejection, a deletion."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, variant

VIEW, SPACE, DIRECTORY = "e2e-decisions", "e2e-decisions", "e2e-decisions"
OTES = "orex.otes"


class Desk:
    """A view without a hub at first, its directories on the NAS, and the plugin."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.main, self.mission = (cluster.nas_data / export / DIRECTORY for export in ("pds-main", "pds-mission"))

    def apply(self, path: str = DIRECTORY, **more: Any) -> None:
        nas = {"server": self.cluster.facts["NAS_IP"]}
        layers = [{"source": "main", "path": path}, {"source": "mission", "path": DIRECTORY}]
        spec = {
            "sources": [
                {"name": "main", "nfs": {**nas, "export": "/pds-main"}},
                {"name": "mission", "nfs": {**nas, "export": "/pds-mission"}},
            ],
            "tree": [{"path": "data", "layers": layers if path == DIRECTORY else layers[:1]}],
            "authority": {"settleSeconds": 0},
            "survey": {"intervalSeconds": 3600, "storage": "1Gi"},
            **more,
        }
        kind = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "ArchiveView"}
        self.cluster.apply({**kind, "metadata": {"name": VIEW}, "spec": spec})

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("archiveview", VIEW).get("status", {})
        return found

    def condition(self, kind: str) -> dict[str, Any]:
        return self.cluster.condition("archiveview", VIEW, kind)

    def plugin(self, *words: str) -> str:
        return self.cluster.run("kubectl", "pdshub", "archive", *words, timeout=240)

    def candidate(self, other_than: str = "") -> dict[str, Any]:
        """Wait for a generation that waits, and for what it changes."""
        found: dict[str, Any] = eventually(
            lambda: self.status.get("candidate") or {},
            lambda c: c.get("name") not in (None, other_than) and c.get("changes"),
            within=240,
            what="a candidate with its changes",
        )
        return found

    def events(self) -> list[dict[str, Any]]:
        every = self.cluster.items("events", "default")
        return [e for e in every if e["involvedObject"].get("name") == VIEW]


@pytest.fixture(scope="module")
def desk(cluster: Cluster) -> Iterator[Desk]:
    """Two exports that both have the bundle; the older copy stands first in the order of layers."""
    made = Desk(cluster)
    for place in (made.main, made.mission):
        shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(cluster.nas_data / "pds-main/orex/SUPERSEDED" / OTES, made.main / OTES)
    shutil.copytree(cluster.nas_data / "pds-mission/orex" / OTES, made.mission / OTES)
    (made.main / OTES / "only_in_the_old_copy.txt").write_text("live users see this, a generation hides it\n")
    try:
        yield made
    finally:
        cluster.dismiss(SPACE, "decisions", VIEW)
        for place in (made.main, made.mission):
            shutil.rmtree(place, ignore_errors=True)


def files(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}


def test_a_wrong_path_is_said_and_not_released(desk: Desk) -> None:
    desk.apply("e2e-decisionss")
    candidate = eventually(lambda: desk.status.get("candidate"), within=240, what="the first generation waits")
    assert candidate["reason"] == "EntryEmpty" and "spec.tree[0].layers[0].path" in candidate["message"]
    assert "generation" not in desk.status
    said = desk.condition("Released")
    assert (said["status"], said["reason"]) == ("False", "EntryEmpty") and "e2e-decisionss" in said["message"]
    assert desk.condition("Ready")["status"] == "False"
    assert "EntryEmpty" in desk.cluster.kubectl("get", "archiveview", VIEW, "-o", "wide")
    assert "EntryEmpty" in desk.plugin("status")


def test_the_first_approval_says_what_users_lose(desk: Desk) -> None:
    before = desk.status["candidate"]["name"]
    desk.apply(release="approve")
    candidate = desk.candidate(before)
    assert (candidate["reason"], candidate["against"]) == ("WaitsForApproval", "live")
    hidden = files(desk.main) - files(desk.mission)
    assert f"{OTES}/only_in_the_old_copy.txt" in hidden
    assert candidate["changes"]["filesRemoved"] == len(hidden) and candidate["changes"]["filesAdded"] == 0
    said = json.loads(desk.plugin("diff", VIEW, "--output", "json"))
    assert (said["from"], said["to"]) == ("live", candidate["name"])
    assert set(said["files"]["removed"]["paths"]) == {f"data/{path}" for path in hidden}
    assert "first generation:" in desk.plugin("status", VIEW)


def test_an_approval_raises_no_warning_and_says_who(desk: Desk) -> None:
    eventually(lambda: desk.condition("Ready"), lambda c: c.get("status") == "True", what="every source is reached")
    since, known = desk.condition("Ready")["lastTransitionTime"], {e["metadata"]["name"] for e in desk.events()}
    waits = desk.status["candidate"]["name"]
    assert "first generation:" in desk.plugin("approve", VIEW, "--reason", "a look at the diff")

    def shown() -> bool:
        status = desk.status
        nodes = status.get("nodes", [])
        everywhere = bool(nodes) and all(n.get("generation") == waits for n in nodes)
        return everywhere and (status.get("generation") or {}).get("name") == waits

    eventually(shown, within=240, what="every node shows the approved generation")
    assert desk.condition("Ready")["lastTransitionTime"] == since, "Ready did not flap"
    new = [e for e in desk.events() if e["metadata"]["name"] not in known]
    assert [e for e in new if e["type"] != "Normal"] == []
    assert {"Approved", "GenerationReleased"} <= {e["reason"] for e in new}
    (decision,) = desk.status["decisions"]
    assert (decision["kind"], decision["manager"], decision["reason"]) == (
        "Approved", "kubectl-pdshub", "a look at the diff",
    )  # fmt: skip
    assert decision["at"] and "a look at the diff" in desk.plugin("status", VIEW)


def test_a_rejection_ends_with_its_successor(desk: Desk) -> None:
    shown = desk.status["generation"]["name"]
    (desk.mission / OTES / "unwanted.txt").write_text("not yet\n")
    desk.plugin("refresh", VIEW, "--wait")
    waits = desk.candidate()
    desk.plugin("reject", VIEW, "--reason", "too early")
    eventually(lambda: desk.condition("Released"), lambda c: c.get("reason") == "Rejected", what="it is rejected")
    assert "too early" in desk.condition("Released")["message"] and not desk.status.get("candidate")
    assert desk.status["generation"]["name"] == shown
    (desk.mission / OTES / "wanted.txt").write_text("now\n")
    desk.plugin("refresh", VIEW, "--wait")
    assert desk.candidate(waits["name"])["against"] == shown


def test_a_view_in_use_is_not_deleted_by_mistake(desk: Desk, sample: dict[str, Any]) -> None:
    namespace(desk.cluster, SPACE)
    desk.cluster.apply(variant(sample, "decisions", SPACE, archive={"viewRef": VIEW}))
    eventually(lambda: desk.status.get("volumes"), what="the view knows its hub")
    desk.cluster.kubectl("delete", "archiveview", VIEW, "--wait=false")
    said = eventually(lambda: desk.condition("Deleting"), lambda c: c.get("status") == "True", what="it waits")
    assert said["reason"] == "InUse" and f"{SPACE}/decisions" in said["message"]
    assert desk.condition("Ready")["status"] == "True" and desk.status["generation"]["name"]
    desk.cluster.kubectl("annotate", "archiveview", VIEW, f"pdshub.dev/confirm-delete={VIEW}")
    names = ("get", "archiveviews", "-o", "name")
    eventually(lambda: VIEW not in desk.cluster.kubectl(*names), what="the confirmed view is gone")
