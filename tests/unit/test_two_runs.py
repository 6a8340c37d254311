"""How the end-to-end tests run: groups side by side, the rest alone, one summary of both; with stand-ins for hubs."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = """
import os
from pathlib import Path

import pytest

from tests.e2e.conftest import (
    NAMESPACE, pytest_addoption, pytest_collection_modifyitems, pytest_configure, pytest_xdist_make_scheduler
)

@pytest.fixture(scope="session")
def hub():
    return NAMESPACE

@pytest.fixture(scope="session")
def release():
    return NAMESPACE

@pytest.fixture(autouse=True)
def told(request):
    with Path(os.environ["WHERE"]).open("a") as out:
        out.write(f"{request.node.name} {os.environ.get('PYTEST_XDIST_WORKER', 'alone')} {NAMESPACE}\\n")
"""
FILES = {
    "test_10_apply.py": """
import pytest
@pytest.mark.parametrize("n", range(4))
def test_hub(hub, n): pass
@pytest.mark.alone
def test_restart(hub): pass
""",
    "test_25_generations.py": """
def test_release(release): pass
def test_broken_release(release): assert "one" == "other"
""",
    "test_29_proof.py": """
def test_more_of_the_release(release): pass
""",
    "test_40_bad_input.py": """
def test_more_of_the_hub(hub): pass
""",
    "test_99_other.py": """
import pytest
def test_own_file(): pass
@pytest.mark.skip(reason="not here")
def test_skipped(): pass
""",
}

PLUGINS = ("-p", "xdist", "-p", "tests.e2e.two_runs")
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Of pytest's plugins only what these runs are about: each of their eight processes takes a second for the others."""


class Suite:
    """A directory of tests and the two runs of pytest, as hack/test does them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ran = folder, folder / "ran"
        (folder / "conftest.py").write_text(CONFTEST)
        for name, text in FILES.items():
            (folder / name).write_text(text)

    def run(self, *words: str) -> tuple[int, str]:
        """One run: its exit code and what it printed."""
        path = f"{ROOT}:{ROOT / 'operator'}:{os.environ.get('PYTHONPATH', '')}"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *PLUGINS, *words, "."],
            cwd=self.folder, env={**_outside(), **ALONE, "PYTHONPATH": path, "WHERE": str(self.ran)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def both(self, *words: str) -> tuple[int, int, str]:
        """Side by side, then alone: both exit codes and what the second printed."""
        file = str(self.folder / "told")
        side = ("-n", "3", "--dist", "loadfile", "--tell", file)
        first, _ = self.run(*side, *words)
        second, said = self.run("-m", "alone", "--told", file, f"--junitxml={self.folder}/all.xml", *words)
        return first, second, said


def _outside() -> dict[str, str]:
    """This process's variables, without those that tell pytest that it is one of xdist's workers."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Suite, int, int, str]:
    """Both runs of everything."""
    suite = Suite(tmp_path_factory.mktemp("suite"))
    return (suite, *suite.both())


def test_one_summary_of_both_runs(whole: tuple[Suite, int, int, str]) -> None:
    suite, first, second, said = whole
    assert (first, second) == (1, 1)
    assert said.splitlines()[-1].strip("=").strip().startswith("1 failed, 9 passed, 1 skipped"), said
    assert "FAILED test_25_generations.py::test_broken_release" in said and "assert 'one' == 'other'" in said
    report = ET.parse(suite.folder / "all.xml")  # noqa: S314  # written just now
    cases = [case.get("name") for case in report.getroot().iter("testcase")]
    assert len(cases) == len(set(cases)) == 11 and "test_hub[3]" in cases


def test_who_runs_where(whole: tuple[Suite, int, int, str]) -> None:
    suite = whole[0]
    where, spaces = defaultdict(set), defaultdict(set)
    lines = [line.split() for line in suite.ran.read_text().splitlines()]
    for name, process, space in lines:
        spaces[process].add(space)
        kind = next((kind for kind in ("hub", "release") if kind in name), name)
        where[kind].add(process)
    assert len(where["hub"]) == len(where["release"]) == 1, "one process makes a fixture of the session"
    assert where["test_restart"] == {"alone"} and "alone" not in where["hub"]
    assert lines[-1][0] == "test_restart", "what disturbs others comes after them"
    assert spaces["alone"] == {"e2e"} and all(spaces[p] == {f"e2e-{p}"} for p in spaces if p != "alone")


@pytest.mark.parametrize(
    ("expression", "first", "second", "summary"),
    [
        ("own_file", 0, 0, "1 passed"),
        ("restart", 5, 0, "1 passed"),
        ("nothing", 5, 5, "11 deselected"),
    ],
)
def test_a_selection_may_leave_a_run_empty(
    suite: Suite, expression: str, first: int, second: int, summary: str
) -> None:
    *codes, said = suite.both("-k", expression)
    assert codes == [first, second], said
    assert summary in said.splitlines()[-1], said


def test_without_xdist_everything_runs_in_the_order_of_the_files(suite: Suite) -> None:
    code, said = suite.run()
    assert code == 1 and "1 failed, 9 passed, 1 skipped" in said
    names = [line.split()[0] for line in suite.ran.read_text().splitlines()]
    assert names[4:6] == ["test_restart", "test_release"]


def test_a_file_that_uses_anothers_fixture_is_refused(suite: Suite) -> None:
    (suite.folder / "test_99_other.py").write_text("def test_it(release): pass")
    code, said = suite.run()
    assert code == 4 and "test_99_other.py::test_it uses release: add its file to GROUPS" in said
