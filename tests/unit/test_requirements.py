"""The page of requirements: each line names a feature, a section of the manual, and tests, that are there."""

from __future__ import annotations

import re

import pytest

from tests.manual import DOCS, broken_links
from tests.unit.test_named_tests import ROOT, named, trouble

PAGE = DOCS / "requirements.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| **", "| it had"))
]


def test_there_are_lines_of_every_part() -> None:
    assert len(ROWS) > 30
    parts = re.findall(r"^\| \*\*(.*?)\*\*", PAGE.read_text(), re.MULTILINE)
    assert len(parts) == 8, parts


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_line_has_a_feature_a_page_and_tests_that_are_there(row: list[str]) -> None:
    had, here, page, shown = row
    assert had and here and re.search(r"\]\([\w./-]+\.md", page)
    tests = list(named(shown))
    assert tests and [why for path, function in tests if (why := trouble(ROOT, path, function))] == []


def test_links_lead_to_headings() -> None:
    assert broken_links(PAGE) == []
