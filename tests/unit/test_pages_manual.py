"""The manual's pages for users have each page's words, and its picture."""

from __future__ import annotations

import pytest

from tests.pages import FOLDER, HEADINGS, ROOT

MANUAL = ROOT / "docs" / "researcher.md"


@pytest.mark.parametrize("name", HEADINGS)
def test_the_manual_quotes_what_pages_say(name: str) -> None:
    assert HEADINGS[name] in MANUAL.read_text()


def test_the_manual_shows_every_picture_that_there_is_and_no_other() -> None:
    text = MANUAL.read_text()
    for file in FOLDER.glob("*.png"):
        assert file.stem in HEADINGS, file.name
        assert f"(img/pages/{file.name})" in text, file.name
    shown = {part.partition(")")[0] for part in text.split("(img/pages/")[1:]}
    assert shown == {file.name for file in FOLDER.glob("*.png")}


def test_pictures_are_small() -> None:
    assert all(file.stat().st_size < 200_000 for file in FOLDER.glob("*.png"))
