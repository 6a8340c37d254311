"""Pages for researchers (docs/kb) tell the truth: their cells and commands run here, in a home beside an archive."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import yaml

from pdshub.node.mount.volume_root import say_generation
from pdshub.node.reconcile.view_health import document
from pdshub.node.spec import View
from pdshub.node.store.generations import Generation
from tests.manual import DOCS, Same, blocks
from tests.unit.node.views import released
from tests.unit.test_readme import anchors

PAGES = sorted(page.stem for page in (DOCS / "kb").glob("*.md") if page.stem != "index")
pages = pytest.mark.parametrize("page", PAGES)
EXECUTED = ("python", "bash")
SKIPPED = {"install-a-package": 2}
"""Blocks that nothing runs here: they ask a package index on the internet. May not grow."""
GENERATION = "sha256:" + "8a1b9c" * 10 + "0d2e"
AS_OF = "2026-11-20T02:00:11Z"
NOTEBOOK = {
    "cells": [
        {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": 1, "source": "print(6 * 7)",
         "outputs": [{"output_type": "stream", "name": "stdout", "text": "before " * 1000}]},
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip
Read = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a server has at /archive: the generated archive as view sbn, and what the node says of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS.parent / "hack"))
        from archive import layout
        from archive.tree import Tree
    mount = tmp_path_factory.mktemp("archive")
    tree = Tree(mount / "sbn")
    tree.clear()
    layout.volumes(tree)
    layout.bundles(tree)
    view = View("sbn", folder="sbn", released=released(GENERATION, AS_OF))
    stored = Generation(GENERATION, "sbn", AS_OF, False, "sbn", (), (), {"files": 99})
    (mount / ".pdshub").mkdir()
    say_generation(mount, document(view, GENERATION, "catalog", stored), {})
    return mount


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with what pages speak of."""
    made = tmp_path / "home"
    (made / ".cache").mkdir(parents=True)
    for name in ("mine", "big"):
        (made / f"{name}.ipynb").write_text(json.dumps(NOTEBOOK))
    (made / "notes.txt").write_text("of today\n")
    (made / "restored-example").mkdir()
    (made / "restored-example/notes.txt").write_text("of before\n")
    kernel = made / ".local/share/jupyter/kernels/python3"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    return made


@pytest.fixture
def read(archive: Path, home: Path) -> Read:
    """Reads a page: does what it says, and returns what came back of each block."""
    for library in ("pdr", "pds4_tools", "nbconvert", "ipykernel"):
        pytest.importorskip(library)
    env = {
        "HOME": str(home), "PDSHUB_ARCHIVE": str(archive / "sbn"), "LANG": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip

    def typed(page: str) -> list[str]:
        todo = [block for block in blocks(f"kb/{page}.md") if block[0] in EXECUTED]
        driver = Path(__file__).with_name("page_driver.py")
        done = subprocess.run([sys.executable, driver], input=json.dumps(todo), env=env, capture_output=True, text=True,
                              check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return cast(list[str], json.loads(done.stdout))

    return typed


@pages
def test_what_a_page_shows_is_what_comes(page: str, read: Read) -> None:
    real, same, compared = read(page), Same(), 0
    shown = blocks(f"kb/{page}.md")
    for (language, text), (following, said) in itertools.pairwise([*shown, ("", "")]):
        if language in EXECUTED:
            came = real.pop(0)
            if following == "text":
                assert not (wrong := same.difference(tuple(said.rstrip("\n").split("\n")), came)), f"{text}\n{wrong}"
                compared += 1
    assert not real
    assert compared == sum(language == "text" for language, _ in shown)


@pytest.mark.parametrize(
    ("page", "left", "gone"),
    [
        ("how-much-room", ["big.ipynb", "notes.txt"], [".cache"]),
        ("share-a-notebook", ["checked.ipynb", "mine.html", "work/mine.ipynb", "work/.git"], []),
        ("get-a-file-back", ["notes.txt", "notes-of-before.txt"], ["restored-example"]),
        ("cite-a-generation", ["generation-of-my-paper.json"], []),
        ("install-a-package", ["requirements.txt"], []),
    ],
)
def test_what_a_page_leaves_in_the_home(page: str, left: list[str], gone: list[str], read: Read, home: Path) -> None:
    read(page)
    assert [name for name in left if not (home / name).exists()] == []
    assert [name for name in gone if (home / name).exists()] == []
    assert (home / "notes.txt").read_text() == "of today\n"
    if page == "how-much-room":
        assert json.loads((home / "big.ipynb").read_text())["cells"][0]["outputs"] == []
    if page == "share-a-notebook":
        assert "42" in (home / "checked.ipynb").read_text()
        assert json.loads((home / "work/mine.ipynb").read_text())["cells"][0]["outputs"] == []


@pages
def test_no_other_block_is_left_unexecuted(page: str) -> None:
    found = [language for language, _ in blocks(f"kb/{page}.md")]
    assert set(found) <= {*EXECUTED, "text", "ipython"}
    assert found.count("ipython") == SKIPPED.get(page, 0)


@pages
def test_a_page_is_one_question_and_is_found(page: str) -> None:
    text = (DOCS / f"kb/{page}.md").read_text()
    headings = re.findall(r"^#+ .*", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    assert len(headings) == 1 and headings[0].endswith("?")
    assert f"({page}.md)" in (DOCS / "kb/index.md").read_text()
    (entry,) = [part["Researcher"] for part in yaml.safe_load((DOCS.parent / "mkdocs.yml").read_text())["nav"]
                if isinstance(part, dict) and "Researcher" in part]  # fmt: skip
    assert f"kb/{page}.md" in entry


@pytest.mark.parametrize("page", [*PAGES, "index"])
def test_links_lead_to_pages_and_headings(page: str) -> None:
    text = re.sub(r"```.*?```", "", (DOCS / f"kb/{page}.md").read_text(), flags=re.S)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = DOCS / "kb" / name
        assert target.exists() and (not anchor or anchor in anchors(target)), link
