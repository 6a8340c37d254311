"""The first days of docs/onboarding, done as they stand: commands in a terminal, cells in a notebook of a real server.

Pages follow each other at one practice hub; the administrator's, which takes it away, is the last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import sop
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.onboarding_scenes import SPACE, School, school
from tests.manual import DOCS

pytestmark = pytest.mark.long
FOLDER = DOCS / "onboarding"
RUN_ALL = "jupyter nbconvert --to notebook --execute --output run-all.ipynb first.ipynb"


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[School]:
    with school(cluster) as made:
        yield made


def follow(page: str, place: School, folder: Path) -> sop.Desk:
    """Do all of a page, in an empty folder, as somebody new."""
    place.forget()
    place.folder = folder / "desk"
    place.folder.mkdir()
    desk = sop.Desk(place.folder, {**place.cluster.environ, **place.environ()}, place.scenes(), place.notebook)
    if page == "researcher":
        desk.terminal = place.terminal
    sop.execute(FOLDER / f"{page}.md", desk, sop.COURSE)
    blocks = sop.blocks(FOLDER / f"{page}.md", sop.COURSE)
    assert (desk.executed, desk.skipped) == (len(blocks), 0)
    print(f"{page}: {desk.executed} blocks executed")
    return desk


def test_a_new_user(place: School, tmp_path: Path) -> None:
    place.made()
    follow("researcher", place, tmp_path)


def test_their_notebook_runs_from_its_beginning(place: School) -> None:
    """*Run All*, of all cells of the page in one notebook: each cell needs only those before it."""
    blocks = sop.blocks(FOLDER / "researcher.md", sop.COURSE)
    cells: list[dict[str, object]] = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None, "outputs": [], "source": b.text}
        for n, b in enumerate(blocks)
        if b.language == sop.PYTHON
    ]
    book = {"cells": cells, "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            "nbformat": 4, "nbformat_minor": 5}  # fmt: skip
    reply = place.contents("PUT", "first.ipynb", type="notebook", format="json", content=book)
    assert reply.status_code in (200, 201), reply.text
    code, said = place.terminal(RUN_ALL)
    assert code == 0, said
    ran = place.contents("GET", "run-all.ipynb").json()["content"]["cells"]
    assert len(ran) == len(cells) > 4 and all(cell["outputs"] for cell in ran[:2]), json.dumps(ran)[:2000]


def test_a_new_data_manager(place: School, tmp_path: Path) -> None:
    follow("data-manager", place, tmp_path)


def test_a_new_administrator(place: School, tmp_path: Path) -> None:
    follow("administrator", place, tmp_path)
    eventually(place.volumes, lambda left: left == [], within=180, what="volumes of the practice hub go")
    assert SPACE not in {one["metadata"]["name"] for one in place.cluster.items("namespaces")}
