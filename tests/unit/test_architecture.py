"""The map in docs/architecture.md: every room of the source is on it, in the order in which rooms may import."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "operator" / "pdshub"
PAGE = ROOT / "docs" / "architecture.md"
GENERATED = {"node/_proto"}
"""Rooms that are there only once hack/generate has run."""


def on_the_map() -> list[str]:
    """Rooms in the table below the heading "Rooms", in its order."""
    section = PAGE.read_text().partition("\n## Rooms\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([\w/]+)` \| \S.*\|$", section, re.MULTILINE)


def in_the_source(source: Path) -> set[str]:
    """Packages that hold code, at any depth, and modules directly below ``source``."""
    packages = {p.parent for p in source.rglob("*/__init__.py")}
    holding = {p for p in packages if any(f.name != "__init__.py" for f in p.rglob("*.py"))}
    modules = {p.with_suffix("") for p in source.glob("*.py") if p.name != "__init__.py"}
    return {str(p.relative_to(source)) for p in holding | modules}


def layers() -> list[set[str]]:
    """Rooms of each layer of the import linter, from the top."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (rooms,) = (c for c in contracts if c["name"].startswith("Rooms:"))
    return [set(re.findall(r"pdshub\.(\w+)", layer)) for layer in rooms["layers"]]


def test_every_room_is_on_the_map_and_every_name_is_a_room() -> None:
    found = on_the_map()
    assert len(found) == len(set(found)), "a room is named twice"
    assert set(found) | GENERATED == in_the_source(SOURCE) | GENERATED


def test_the_map_is_in_the_order_of_imports() -> None:
    of = {room: n for n, layer in enumerate(layers()) for room in layer}
    top = [room for room in on_the_map() if "/" not in room]
    assert set(top) == set(of), "a room has no layer in pyproject.toml"
    assert [of[room] for room in top] == sorted(of.values())


def test_a_package_stands_below_its_own() -> None:
    found = on_the_map()
    for n, room in enumerate(found):
        if "/" in room:
            parent = room.rpartition("/")[0]
            assert parent in found[:n] and found[n - 1].startswith(parent), room


def test_a_room_that_is_not_on_the_map_is_found(tmp_path: Path) -> None:
    for name in ("a/__init__.py", "a/b/__init__.py", "a/b/c.py", "empty/__init__.py", "d.py", "__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert in_the_source(tmp_path) == {"a", "a/b", "d"}


@pytest.mark.parametrize("picture", ["architecture.svg", "parts.svg"])
def test_pictures_are_whole(picture: str) -> None:
    root = ElementTree.fromstring((ROOT / "docs" / "img" / picture).read_text())  # noqa: S314 our own file
    assert root.find("{http://www.w3.org/2000/svg}title") is not None, "what the picture shows, in words"


def test_the_architectures_picture_has_colours_for_light_and_dark() -> None:
    text = (ROOT / "docs/img/architecture.svg").read_text()
    light, dark = text.partition("@media (prefers-color-scheme:dark){")[::2]
    coloured = set(re.findall(r"\.([a-z]\w*)[,{]", light))
    used = set(re.findall(r'class="([^"]+)"', text))
    assert {name for words in used for name in words.split()} <= coloured
    assert coloured - {"flow"} <= set(re.findall(r"\.([a-z]\w*)[,{]", dark.partition("</style>")[0]))
