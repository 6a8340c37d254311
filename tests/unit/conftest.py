"""The programs of hack/ are no package: they are found here. No test leaves its umask to the next one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdshub.node.pack import build
from tests import programs

sys.path.insert(0, str(Path(__file__).parents[2] / "hack" / "lib"))


@pytest.fixture(autouse=True)
def mask() -> Iterator[None]:
    """Programs that tests run in this process set theirs for good."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def sqfstar() -> Iterator[str]:
    """The program that makes images of packs, where nobody may run it."""
    before = os.environ.get("PDSHUB_SQFSTAR")
    with programs.for_nobody(build.sqfstar()) as found:
        os.environ["PDSHUB_SQFSTAR"] = found
        yield found
    os.environ.pop("PDSHUB_SQFSTAR")
    if before is not None:
        os.environ["PDSHUB_SQFSTAR"] = before
