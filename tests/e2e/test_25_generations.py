"""A data manager releases: what users see is a generation, decided by labels, switched under running notebooks."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import eventually
from tests.e2e.conftest import SURVEYORS
from tests.e2e.hubclient import Kernel
from tests.e2e.releases import FOLDER, OTES, SPACE, VIEW, Release

DIGESTS = """
found = {{}}
for where, _, files in os.walk({top!r}):
    for file in files:
        path = os.path.join(where, file)
        found[os.path.relpath(path, {top!r})] = hashlib.sha256(open(path, "rb").read()).hexdigest()
print(json.dumps(found))
"""


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


def test_the_surveyor_is_restricted_and_has_no_token(release: Release) -> None:
    pods = release.cluster.items("pods", SURVEYORS, "app.kubernetes.io/component=surveyor")
    mine = [p for p in pods if VIEW in p["metadata"]["name"]]
    assert len(mine) == 1
    body = mine[0]["spec"]
    assert body["automountServiceAccountToken"] is False and body["securityContext"]["runAsNonRoot"] is True
    assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in body["containers"])
