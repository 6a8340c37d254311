"""What travels with generations, on a node with real mounts (content_scenarios.py)."""

from __future__ import annotations

import os
import shutil

import pytest

from pdshub.node.pack import build
from pdshub.node.store.content_cache import able
from tests.unit.node import apart, content_scenarios, generations

pytestmark = [
    pytest.mark.usefixtures("sqfstar"),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root"),
    pytest.mark.skipif(not generations.able(), reason="needs mkfs.erofs >= 1.8 (PATH or $PDSHUB_MKFS_EROFS)"),
    pytest.mark.skipif(not shutil.which(build.sqfstar()), reason="needs sqfstar >= 4.6 (PATH or $PDSHUB_SQFSTAR)"),
    pytest.mark.skipif(not able(os.uname().release), reason="needs a kernel with data-only layers (6.5)"),
]


@pytest.mark.parametrize("name", content_scenarios.ALL)
def test_scenario(name: str) -> None:
    apart.run("content_scenarios", name)
