"""The survey's view is the API's: what it is refused for, and how its layers come out."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from pdshub.api.view import ArchiveViewSpec
from pdshub.archive.glob import glob
from pdshub.archive.view import PlacedLayer, SurveyedView, ViewError, load_view

SPEC: dict[str, Any] = {
    "sources": [
        {"name": "main", "nfs": {"server": "nas", "export": "/main"}},
        {"name": "mission", "nfs": {"server": "nas", "export": "/mission"}},
    ],
    "tree": [
        {"path": "now", "live": True, "layers": [{"source": "main", "path": "incoming"}]},
        {"path": "orex", "layers": [{"source": "mission", "path": "./orex/"}, {"source": "main"}]},
    ],
    "authority": {"superseded": "sibling"},
}


def manifest(**spec: Any) -> str:
    return yaml.safe_dump({"kind": "ArchiveView", "metadata": {"name": "sbn"}, "spec": {**SPEC, **spec}})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "no YAML"),
        ("[" * 20000, "no YAML"),
        ("[]", "kind: write one manifest of kind ArchiveView"),
        ("kind: PDSHub", "kind: write one manifest of kind ArchiveView"),
        ("kind: ArchiveView", "spec.sources: Field required; spec.tree: Field required"),
        ("{kind: ArchiveView, metadata: sbn}", "metadata: write an object"),
        ("{kind: ArchiveView, spec: [a]}", "spec: Input should be"),
        (manifest(sources=[]), "spec.sources: List should have at least 1 item"),
        (
            manifest(tree=[{"path": "a", "layers": [{"source": "x"}]}]),
            "tree[0].layers[0].source: 'x' is not in sources",
        ),
        (manifest(tree=[{"path": "/a", "layers": [{"source": "main"}]}]), "spec.tree.0.path: '/a' must be relative"),
        (manifest(authority={"hid": "x"}), "spec.authority.hid: Extra inputs are not permitted"),
    ],
)
def test_a_manifest_that_can_not_be_used_names_the_field_and_the_fix(text: str, words: str) -> None:
    with pytest.raises(ViewError, match=re.escape(words)):
        load_view(text)


def test_layers_are_those_of_the_api_in_one_row() -> None:
    view = load_view(manifest())
    assert view == SurveyedView.of("sbn", ArchiveViewSpec.model_validate(SPEC))
    assert (view.name, view.sources, view.live) == ("sbn", ("main", "mission"), ("now",))
    assert view.layers == (PlacedLayer(1, 0, "orex", "mission", "orex"), PlacedLayer(1, 1, "orex", "main", ""))
    assert view.authority.superseded == "sibling"


@pytest.mark.parametrize(
    ("layer", "path", "holds", "place"),
    [
        (PlacedLayer(0, 0, "orex", "main", ""), "", True, "orex"),
        (PlacedLayer(0, 0, "orex", "main", ""), "a/b", True, "orex/a/b"),
        (PlacedLayer(0, 0, "", "main", "x"), "x/a", True, "a"),
        (PlacedLayer(0, 0, "", "main", "x"), "xa", False, ""),
        (PlacedLayer(0, 0, "t", "main", "x/y"), "x", False, ""),
    ],
)
def test_a_layer_knows_what_it_holds_and_where(layer: PlacedLayer, path: str, holds: bool, place: str) -> None:
    assert layer.holds(path) is holds
    assert not holds or layer.place(path) == place


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("a/*", "a/b", True), ("a/*", "a/b/c", False), ("**/c", "c", True), ("**/c", "a/b/c", True),
        ("a/**", "a/b/c", True), ("n?", "n1", True), ("n?", "n/", False), ("[ab]x", "bx", True),
        ("[!a]x", "ax", False), ("[!a]x", "bx", True), ("[z-a]", "[z-a]", True), ("a.b", "axb", False),
    ],
)  # fmt: skip
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    assert bool(glob(pattern).fullmatch(path)) is matches
