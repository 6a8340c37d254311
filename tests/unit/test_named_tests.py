"""The manual names tests for what it promises: each is there, and so is each function that is named with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "docs/benchmarks/tests.md"
"""Says what ran, also when it has another name today."""
PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "tests").rglob("*.md"),
        *(ROOT / "charts").rglob("*.md"),
    }
    - {RECORD}
)
NAMED = re.compile(r"(?<![\w/])(tests/[\w./*-]*\w)(?:::(\w+))?")


def named(text: str) -> Iterator[tuple[str, str]]:
    """Path and function of each test that a text names; the function may be empty."""
    yield from dict.fromkeys((m[1], m[2] or "") for m in NAMED.finditer(text))


def trouble(root: Path, path: str, function: str) -> str:
    """What is wrong with a name; empty when it is right."""
    found = [file for file in root.glob(path) if file.name != "__pycache__"]
    if not found:
        return f"{path} is not there"
    if function and not re.search(rf"^(async )?def {function}\(", found[0].read_text(), re.MULTILINE):
        return f"{path} has no {function}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    assert [why for path, function in named(page.read_text()) if (why := trouble(ROOT, path, function))] == []


def test_the_page_of_promises_names_a_test_or_a_check_in_each_row() -> None:
    text = (ROOT / "docs/security.md").read_text().partition("\n## Promises\n")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 40
    shown = re.compile(r"`tests/|condition `\w+`|check \d")
    assert [row for row in rows if not shown.search(row.split(" | ")[-1])] == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("`tests/a.py`, then `tests/e2e/b.py::test_c[x]`.", [("tests/a.py", ""), ("tests/e2e/b.py", "test_c")]),
        ("`tests/unit/x` and (tests/lab/test_a.py).", [("tests/unit/x", ""), ("tests/lab/test_a.py", "")]),
        ("`tests/unit/node/*_scenarios.py`", [("tests/unit/node/*_scenarios.py", "")]),
        ("cache/tests/a.py and tests.json", []),
    ],
)  # fmt: skip
def test_names_in_a_text(text: str, names: list[tuple[str, str]]) -> None:
    assert list(named(text)) == names


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text("def test_b() -> None:\n    pass\n")
    assert trouble(tmp_path, "tests/test_a.py", "test_b") == trouble(tmp_path, "tests/*_a.py", "") == ""
    assert trouble(tmp_path, "tests/test_b.py", "") and trouble(tmp_path, "tests/test_a.py", "test_c")
