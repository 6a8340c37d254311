from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.backup.cheap_key import cheapen
from tests.unit.backup.harness import PASSWORD, Hub, filled


@pytest.fixture(scope="session")
def with_repository(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Hub], Hub]:
    """Gives a hub a repository, a copy of one that was made for all tests and costs no time to be opened."""
    first = Hub(tmp_path_factory.mktemp("repository"))
    first.run("init").good()
    cheapen(first.repository, PASSWORD)

    def given(hub: Hub) -> Hub:
        shutil.copytree(first.repository, hub.repository)
        hub.number += 1  # as if it had been this hub's first run
        return hub

    return given


@pytest.fixture
def empty(tmp_path: Path) -> Hub:
    """A hub without a repository."""
    return Hub(tmp_path)


@pytest.fixture
def hub(empty: Hub, with_repository: Callable[[Hub], Hub]) -> Hub:
    """A hub with a repository and a home of ada's with everything that homes have; nothing is saved yet."""
    filled(empty.home)
    return with_repository(empty)
