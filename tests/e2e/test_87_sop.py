"""The runbooks of docs/sop, typed on a cluster to which what they are about has happened, block by block as they stand.

``--record`` writes the day, the commit and the counts into each page that was executed to its end.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests import sop
from tests.e2e import sop_scenes
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import ROOT

pytestmark = [pytest.mark.long, pytest.mark.alone]
"""Alone: NAS, kubelet, operator and the installation are everybody's."""
WHAT_RUNS = ("operator", "hub", "charts", "images", "tests", "pyproject.toml")
"""What a recorded commit has to be the state of."""


def git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="session")
def commit(request: pytest.FixtureRequest) -> str:
    """The commit that runs are recorded with; empty without ``--record``. Fails where what runs is no commit."""
    if not request.config.getoption("--record"):
        return ""
    changed = git("status", "--porcelain", "--untracked-files=no", "--", *WHAT_RUNS)
    assert not changed, f"--record names a commit: commit these first\n{changed}"
    for page in sop.PAGES:
        at_head = git("show", f"HEAD:{page.relative_to(ROOT)}")
        assert sop.unrecorded(at_head) == sop.unrecorded(page.read_text()), f"{page.name} is not as it was committed"
    return git("rev-parse", "HEAD").strip()


@pytest.fixture(scope="module")
def house(cluster: Cluster, sample: dict[str, Any]) -> Iterator[sop_scenes.House]:
    with sop_scenes.house(cluster, sample) as made:
        yield made


@pytest.fixture(scope="module")
def gate(cluster: Cluster, sample: dict[str, Any]) -> Iterator[sop_scenes.Gate]:
    with sop_scenes.gate(cluster, sample) as made:
        yield made


def test_no_more_is_skipped_than_before() -> None:
    skipped = [f"{page.name}: {block.skip}" for page in sop.PAGES for block in sop.blocks(page) if block.skip]
    assert len(skipped) <= sop.MOST_SKIPPED, "\n".join(skipped)


@pytest.mark.parametrize("page", sop.PAGES, ids=lambda page: page.stem)
def test_a_runbook(page: Path, commit: str, cluster: Cluster, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    world = request.getfixturevalue("gate" if page.stem == "certificate-ends" else "house")
    world.folder = tmp_path / "desk"
    world.folder.mkdir()
    names = world.environ() | ({"NAMESPACE": sop_scenes.NEW_SPACE, "HUB": "first"} if page.stem == "deploy" else {})
    desk = sop.Desk(world.folder, {**cluster.environ, **names}, world.scenes())
    try:
        sop.execute(page, desk)
    finally:
        if isinstance(world, sop_scenes.House):
            world.healed()
    blocks = sop.blocks(page)
    assert (desk.executed, desk.skipped) == (sum(not b.skip for b in blocks), sum(bool(b.skip) for b in blocks))
    print(f"{page.stem}: {desk.executed} blocks executed, {desk.skipped} skipped")
    if commit:
        day = datetime.now(UTC).date().isoformat()
        page.write_text(sop.recorded(page.read_text(), day, commit, desk))
