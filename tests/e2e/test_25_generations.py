"""A data manager releases: what users see is a generation, decided by labels, switched under running notebooks."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, person, variant, wait_ready
from tests.e2e.hubclient import Kernel, Person

VIEW, SPACE, FOLDER = "e2e-releases", "e2e-releases", "/archive/releases"
OTES = "orex.otes"
DIGESTS = """
found = {{}}
for where, _, files in os.walk({top!r}):
    for file in files:
        path = os.path.join(where, file)
        found[os.path.relpath(path, {top!r})] = hashlib.sha256(open(path, "rb").read()).hexdigest()
print(json.dumps(found))
"""


@dataclass
class Release:
    """The view's directories on the NAS, and the hub that shows it."""

    cluster: Cluster
    main: Path
    mission: Path
    person: Person

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("archiveview", VIEW).get("status", {})
        return found

    @property
    def shown(self) -> str:
        """The released generation's name; empty before the first."""
        return str((self.status.get("generation") or {}).get("name", ""))

    def patch(self, **spec: Any) -> None:
        self.cluster.kubectl("patch", "archiveview", VIEW, "--type=merge", "-p", json.dumps({"spec": spec}))

    def plugin(self, *words: str) -> str:
        """`kubectl pdshub …` as people type it."""
        return self.cluster.run("kubectl", "pdshub", *words, timeout=240)

    def released(self, other_than: str = "") -> str:
        """Wait for a generation that every node shows; its name."""

        def everywhere() -> str:
            name = self.shown
            nodes = self.status.get("nodes", [])
            return name if nodes and all(n.get("generation") == name for n in nodes) else ""

        found: str = eventually(
            everywhere, lambda name: name and name != other_than, within=240, what=f"not {other_than[:19]}"
        )
        return found


def spec(cluster: Cluster) -> dict[str, Any]:
    """Two exports that both have the bundle; the older copy stands first in the order of layers."""
    nas = {"server": cluster.facts["NAS_IP"]}
    return {
        "folder": "releases",
        "sources": [
            {"name": "main", "nfs": {**nas, "export": "/pds-main"}},
            {"name": "mission", "nfs": {**nas, "export": "/pds-mission"}},
        ],
        "tree": [
            {
                "path": "data",
                "layers": [{"source": "main", "path": "e2e-releases"}, {"source": "mission", "path": "e2e-releases"}],
            }
        ],
        "authority": {"settleSeconds": 0},
        "survey": {"intervalSeconds": 3600, "storage": "1Gi"},
    }


@pytest.fixture(scope="module")
def release(cluster: Cluster, sample: dict[str, Any]) -> Iterator[Release]:
    """A view of two overlapping exports, a hub that refers to it, and a person with a server."""
    main, mission = (cluster.nas_data / export / "e2e-releases" for export in ("pds-main", "pds-mission"))
    for place in (main, mission):
        shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(cluster.nas_data / "pds-main/orex/SUPERSEDED" / OTES, main / OTES)
    shutil.copytree(cluster.nas_data / "pds-mission/orex" / OTES, mission / OTES)
    namespace(cluster, SPACE)
    kind = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "ArchiveView"}
    cluster.apply({**kind, "metadata": {"name": VIEW}, "spec": spec(cluster)})
    cluster.apply(variant(sample, "releases", SPACE, archive={"viewRef": VIEW}))
    try:
        wait_ready(cluster, "releases", SPACE)
        someone = person(cluster, "ada", "releases", SPACE)
        someone.start()
        yield Release(cluster, main, mission, someone)
    finally:
        cluster.kubectl("delete", "pdshub", "releases", "-n", SPACE, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "archiveview", VIEW, "--timeout=120s", timeout=130)
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")
        for place in (main, mission):
            shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def kernel(release: Release) -> Iterator[Kernel]:
    """One kernel that runs through every release."""
    with release.person.kernel() as running:
        running.run("import hashlib, json, os\nstarted = 'before the first switch'").ok()
        yield running


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names(kernel: Kernel) -> list[str]:
    """What the notebook lists in the view."""
    found: list[str] = json.loads(kernel.run(f"print(json.dumps(sorted(os.listdir('{FOLDER}/data'))))").ok())
    return found


def generation(kernel: Kernel) -> dict[str, Any]:
    """What the notebook reads about the generation."""
    found: dict[str, Any] = json.loads(kernel.run("print(open('/archive/.pdshub/generation.json').read())").ok())
    return found


def test_labels_decide_and_the_superseded_copy_is_gone_whole(release: Release, kernel: Kernel) -> None:
    name = release.released()
    mine = generation(kernel)
    assert mine["generation"] == name and mine["form"].startswith("catalog") and mine["counts"]["files"] > 3
    paths = sorted(str(p.relative_to(release.mission)) for p in release.mission.rglob("*") if p.is_file())
    assert json.loads(kernel.run(DIGESTS.format(top=f"{FOLDER}/data")).ok()) == {
        path: digest(release.mission / path) for path in paths
    }


def test_a_notebook_cites_what_it_saw(release: Release) -> None:
    name = release.released()
    release.person.stop()
    release.person.start()
    with release.person.kernel() as fresh:
        assert fresh.run("import os; print(os.environ['PDSHUB_ARCHIVE_GENERATION'])").ok() == name


@pytest.fixture(scope="module")
def running(release: Release) -> Iterator[Kernel]:
    """A kernel of the restarted server."""
    with release.person.kernel() as kernel:
        kernel.run("import hashlib, json, os\nstarted = 'before the switch'").ok()
        yield kernel


def test_a_release_reaches_running_notebooks_and_helm_never_ran(release: Release, running: Kernel) -> None:
    before = release.released()
    history = release.cluster.run("helm", "history", "releases", "-n", SPACE, "-o", "json")
    held = f"kept = open('{FOLDER}/data/{OTES}/bundle_{OTES}.xml', 'rb')"
    running.run(held).ok()
    shutil.copytree(release.cluster.nas_data / "pds-mission/orex/orex.ola", release.mission / "orex.ola")
    release.plugin("archive", "refresh", VIEW, "--wait")
    after = release.released(before)
    # whoever holds a file of the old tree keeps that tree, until it is closed or spec.archive.maxHoldSeconds are over
    assert running.run("print(started, len(kept.read()) > 100); kept.close()").ok() == "before the switch True"
    eventually(lambda: names(running), lambda found: found == ["orex.ola", OTES], what="the new bundle is there")
    eventually(lambda: generation(running)["generation"], lambda name: name == after, what="generation.json follows")
    assert release.cluster.run("helm", "history", "releases", "-n", SPACE, "-o", "json") == history
    said = json.loads(release.plugin("archive", "diff", VIEW, before, after, "--output", "json"))
    assert "orex.ola" in json.dumps(said)


def test_a_pin_rolls_back_and_taking_it_away_follows_again(release: Release, running: Kernel) -> None:
    newest = release.released()
    older = next(g["name"] for g in release.status["generations"] if g["name"] != newest)
    release.plugin("archive", "pin", VIEW, older[:19])
    eventually(lambda: names(running), lambda found: found == [OTES], what="the generation before is shown")
    assert release.released(newest) == older
    assert release.cluster.condition("archiveview", VIEW, "Released")["reason"] == "Pinned"
    release.plugin("archive", "unpin", VIEW)
    eventually(lambda: names(running), lambda found: "orex.ola" in found, what="the newest is shown again")


def test_a_loss_waits_until_somebody_approves(release: Release, running: Kernel) -> None:
    before = release.released()
    aside = release.mission.parent / "e2e-aside"
    os.rename(release.mission / "orex.ola", aside)
    try:
        release.plugin("archive", "refresh", VIEW, "--wait")
        candidate = eventually(lambda: release.status.get("candidate"), what="a candidate waits")
        assert candidate["reason"] == "Shrunk" and candidate["changes"]["datasetsRemoved"] >= 1
        assert release.shown == before and "orex.ola" in names(running)
        said = release.cluster.condition("archiveview", VIEW, "Released")
        assert said["status"] == "False" and candidate["name"][7:19] in said["message"]
        release.plugin("archive", "approve", VIEW, candidate["name"])
        eventually(lambda: names(running), lambda found: found == [OTES], what="the loss is released")
        assert release.released(before) == candidate["name"]
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def test_explain_says_who_won_and_who_had_it_too(release: Release) -> None:
    path = f"data/{OTES}/bundle_{OTES}.xml"
    found = json.loads(release.plugin("archive", "explain", VIEW, path, "--output", "json"))
    assert found["from"][0]["source"] == "mission"
    assert "version" in json.dumps(found).lower()


def test_the_archive_proves_itself_unwritable_and_intact(release: Release, running: Kernel) -> None:
    proven = eventually(
        lambda: release.cluster.condition("archiveview", VIEW, "Intact"),
        lambda c: c.get("status") == "True",
        within=240,
        what="a first proof on every node",
    )
    assert proven["message"]
    running.connect()  # a channel that nobody read for so long is closed by the server
    health = json.loads(running.run("print(open('/archive/.pdshub/health.json').read())").ok())
    assert "proof" in json.dumps(health)


def test_the_surveyor_is_restricted_and_has_no_token(release: Release) -> None:
    pods = release.cluster.items("pods", "pdshub-system", "app.kubernetes.io/component=surveyor")
    mine = [p for p in pods if VIEW in p["metadata"]["name"]]
    assert len(mine) == 1
    body = mine[0]["spec"]
    assert body["automountServiceAccountToken"] is False and body["securityContext"]["runAsNonRoot"] is True
    assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in body["containers"])
