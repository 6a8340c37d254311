"""Fixtures of the lab: one NAS for all tests, one node for those that don't kill its plugin.

These tests need the machine that hack/lab boots: kernel NFS, root, and a network of its own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from nas import Nas
from node import Node


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: too long for every change; hack/lab --long")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a failure at once: a machine that is stopped for taking too long prints no summary."""
    report = yield
    terminal = item.config.pluginmanager.get_plugin("terminalreporter")
    if report.failed and terminal:
        terminal.write(f"\n{report.longreprtext}\n")
        for made in getattr(item, "funcargs", {}).values():
            if isinstance(made, Node):
                mounts = "\n".join(f"{m.id} {m.parent} {m.point} {m.fstype}" for m in made.mounts())
                terminal.write(f"the plugin's last words:\n{made.log()[-4000:]}\nmounts:\n{mounts}\n")
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "LAB_VENV" not in os.environ:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="runs in the virtual machine of hack/lab only"))


@pytest.fixture(scope="session")
def kernel() -> tuple[int, int]:
    """(major, minor) of the running kernel."""
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int(minor)


@pytest.fixture(scope="session")
def nas() -> Nas:
    return Nas()


def _folder() -> Path:
    """A folder that everybody may enter, as /var/lib/kubelet/pods/*/volumes may be by a container's user."""
    folder = Path(tempfile.mkdtemp(prefix="node-", dir="/run/lab"))
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def node(nas: Nas) -> Iterator[Node]:
    """A node whose plugin runs through all tests."""
    made = Node(_folder())
    made.start()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def views_end_with_their_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each source of a view is probed by a process every few seconds: left behind, they would take all the time of
    an emulated machine. Views of a module's fixture stay.
    """
    shared = request.getfixturevalue("node") if "node" in request.fixturenames else None
    before = set(shared.views.iterdir()) if shared else set()
    yield
    for view in set(shared.views.iterdir()) - before if shared else ():
        view.unlink()


@pytest.fixture
def own_node(nas: Nas) -> Iterator[Node]:
    """A node for one test; its plugin is not started yet."""
    made = Node(_folder())
    yield made
    made.close()
