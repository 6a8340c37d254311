from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.backup.harness import Hub, filled


@pytest.fixture
def empty(tmp_path: Path) -> Hub:
    """A hub without a repository."""
    return Hub(tmp_path)


@pytest.fixture
def hub(empty: Hub) -> Hub:
    """A hub with a repository and a home of ada's with everything that homes have; nothing is saved yet."""
    filled(empty.home)
    empty.run("init").good()
    return empty
