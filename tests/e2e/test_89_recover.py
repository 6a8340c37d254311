"""The recovery pages (docs/recover*.md), typed as they stand: a hub that loses one thing after the other, and the node.

Like tests/e2e/test_87_sop.py. Manifests of the pages are read by the API's models: tests/unit/test_recover_pages.py.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import sop
from tests.e2e import recover_scenes
from tests.e2e.cluster import Cluster
from tests.manual import DOCS

pytestmark = [pytest.mark.long, pytest.mark.alone]
"""Alone: the operator installs and brings back, and the node's API server is stopped."""


@pytest.fixture(scope="module")
def lost(cluster: Cluster, sample: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with recover_scenes.rescue(cluster, sample, tmp_path_factory.mktemp("s3")) as made:
        yield made


def follow(page: str, desk: sop.Desk) -> None:
    """All of a page, to its end."""
    sop.execute(DOCS / page, desk, sop.RECOVERY)
    blocks = sop.blocks(DOCS / page, sop.RECOVERY)
    assert (desk.executed, desk.skipped) == (sum(not b.skip for b in blocks), sum(bool(b.skip) for b in blocks))
    print(f"{page}: {desk.executed} blocks executed, {desk.skipped} skipped")


@pytest.mark.parametrize("page", ["recover.md", "recover-drills.md"])
def test_what_a_hub_lost(page: str, lost: recover_scenes.Rescue, tmp_path: Path) -> None:
    lost.folder = tmp_path / "desk"
    lost.folder.mkdir()
    follow(page, sop.Desk(lost.folder, {**lost.cluster.environ, **lost.environ()}, lost.scenes()))


def test_what_a_machine_lost(cluster: Cluster, sample: dict[str, Any]) -> None:
    with recover_scenes.machine(cluster, sample) as made:
        there = sop.Terminal(Path(recover_scenes.DESK), cluster.environ, made.prefix())
        try:
            follow("recover-machine.md", sop.Desk(there.folder, {}, made.scenes(), terminal=there))
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"a command on the node hangs: {error}") from None
