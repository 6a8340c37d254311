"""The pages at the root of the repository: their links lead somewhere, and they say what the manual says."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
"""SHA-256 of https://www.apache.org/licenses/LICENSE-2.0.txt"""


def section(page: str, heading: str) -> str:
    """The text below a heading of the second level."""
    return (ROOT / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def anchors(page: Path) -> set[str]:
    """The names of a page's headings in its address, as mkdocs and GitHub make them."""
    headings = re.findall(r"^#+ +(.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", h.lower()).strip()) for h in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    links = re.findall(r"\]\(([^)]+)\)", re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL))
    assert links
    for link in links:
        if "://" in link:
            continue
        name, _, anchor = "".join(link.split()).partition("#")
        target = ROOT / name
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(target), f"{page}: {link}"


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_hack_exist(page: str) -> None:
    named = set(re.findall(r"\./hack/(\w[\w-]*)", (ROOT / page).read_text()))
    assert {n for n in named if not (ROOT / "hack" / n).exists()} == set()


def test_the_readme_has_every_limit_of_the_first_page() -> None:
    heading = "What it does not do yet"
    limits = re.findall(r"^- \*\*(.*?)\*\*", section("docs/index.md", heading), re.MULTILINE)
    assert limits and limits == re.findall(r"^- \*\*(.*?)\*\*", section("README.md", heading), re.MULTILINE)


def test_the_licence_is_the_published_text_and_travels_with_the_code() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2
    assert "COPY pyproject.toml LICENSE " in (ROOT / "images/operator/Dockerfile").read_text()
    assert "!LICENSE" in (ROOT / ".dockerignore").read_text().splitlines()


def test_nobody_is_asked_to_write_to_an_address_that_may_not_exist() -> None:
    assert not re.search(r"[\w.]+@[\w.]+\.\w+", (ROOT / "SECURITY.md").read_text())
