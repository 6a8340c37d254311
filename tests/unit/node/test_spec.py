"""A view as a node reads it, by whoever wrote it: a newer API, or somebody who means harm."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdshub.api.view import ArchiveViewSpec, Layer, TreeEntry
from pdshub.node.hardening import SpecError
from pdshub.node.spec import parse_view

NAME = "sha256:" + "a" * 64
VIEW: dict[str, Any] = {
    "metadata": {"name": "sbn", "generation": 3},
    "spec": {
        "folder": "small-bodies",
        "form": "catalog",
        "sources": [
            {
                "name": "main",
                "nfs": {"server": "nas", "export": "/pds", "port": 2050, "version": "4.1"},
                "runAs": {"uid": 1000, "gid": 100},
                "marker": {"path": "AAREADME.TXT", "sha256": "0" * 64},
            },
            {"name": "more", "local": {"path": "/data"}},
        ],
        "tree": [{"path": "d", "layers": [{"source": "main", "path": "x"}, {"source": "more"}]}],
        "authority": {"settleSeconds": 60},
        "survey": {"intervalSeconds": 600},
    },
    "status": {
        "generation": {"name": NAME, "asOf": "2026-01-01T00:00:00Z", "counts": {"files": 1}},
        "surveyor": {"address": "10.0.0.1:9810"},
        "volumes": [{"volume": "pv", "updates": "nextServer", "maxHoldSeconds": 5}],
    },
}
OBJECTS = [
    (), ("metadata",), ("spec",), ("spec", "sources", 0), ("spec", "sources", 0, "nfs"),
    ("spec", "sources", 0, "runAs"), ("spec", "sources", 0, "marker"), ("spec", "sources", 1, "local"),
    ("spec", "tree", 0), ("spec", "tree", 0, "layers", 0), ("spec", "authority"), ("spec", "survey"), ("status",),
    ("status", "generation"), ("status", "generation", "counts"), ("status", "surveyor"), ("status", "volumes", 0),
]  # fmt: skip


def at(document: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


def changed(path: tuple[str | int, ...], key: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(VIEW)
    at(document, path)[key] = value
    return document


def depths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """Where objects are in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = {found for key, item in items for found in depths(item, (*path, key))}
    return below | ({path} if isinstance(value, dict) else set())


def test_every_depth_is_tried() -> None:
    assert depths(VIEW) - {("spec", "sources", 1), ("spec", "tree", 0, "layers", 1)} == set(OBJECTS)


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: ".".join(map(str, path)) or "top")
@pytest.mark.parametrize("value", ["x", 7, None, {"of": {"a": ["newer", "crd"]}}, []], ids=repr)
def test_an_older_plugin_survives_a_newer_crd(path: tuple[str | int, ...], value: Any) -> None:
    found, plain = parse_view(changed(path, "fieldOfTomorrow", value)), parse_view(VIEW)
    assert found == plain and found.survey_seconds == plain.survey_seconds == (60, 660)


@pytest.mark.parametrize(
    "more",
    [
        {"sources": [{"name": f"s{n}", "local": {"path": "/d"}} for n in range(40)]},
        {"release": "by-a-vote", "authority": {"superseded": "fade"}, "survey": {"keep": 1000}, "approved": "newest"},
        {"authority": 7, "survey": "often", "pin": {"generation": "x"}},
    ],
    ids=["a longer list", "new choices", "new types of what a node does not read"],
)
def test_a_rule_that_was_loosened_refuses_nothing(more: dict[str, Any]) -> None:
    document = copy.deepcopy(VIEW)
    document["spec"] |= {**more, "sources": VIEW["spec"]["sources"] + more.get("sources", [])}
    assert parse_view(document).tree == parse_view(VIEW).tree


def test_a_form_of_tomorrow_is_not_live() -> None:
    """What a survey has hidden is not shown because a word is not known."""
    assert parse_view(changed(("spec",), "form", "mosaic")).cataloged


def test_the_models_are_the_apis() -> None:
    view = parse_view(VIEW)
    assert all(type(entry) is TreeEntry and type(entry.layers[0]) is Layer for entry in view.tree)
    known = ArchiveViewSpec.model_validate(VIEW["spec"])
    assert [source.model for source in view.sources] == known.sources and list(view.tree) == known.tree


@pytest.mark.parametrize(
    ("source", "digest"),
    [
        ({"nfs": {"server": "nas", "export": "/pds/"}}, "2781170cda8353ba"),
        (
            {"nfs": {"server": "fd00::1", "export": "/pds", "port": 20049, "version": "4"},
             "runAs": {"uid": 1000, "gid": 100}}, "358d2cf816a7db14",
        ),
        ({"local": {"path": "/data/x/"}}, "8e8b8413bfe2ed32"),
        (
            {"local": {"path": "/data"}, "marker": {"path": "./a//b", "sha256": "0" * 64},
             "runAs": {"uid": 0, "gid": 0}}, "b1e526dce8690981",
        ),
    ],
)  # fmt: skip
def test_names_on_disk_do_not_change(source: dict[str, Any], digest: str) -> None:
    """An upgraded plugin finds the mounts of the one before: plugins/archive.pdshub.dev/sources/<digest>. Another
    reader is another source: what was read as root by default is mounted anew, and switched to."""
    tree = [{"path": ".", "layers": [{"source": "a"}]}]
    document = {"metadata": {"name": "sbn"}, "spec": {"sources": [{"name": "a", **source}], "tree": tree}}
    assert parse_view(document).source("a").digest == digest


@pytest.mark.parametrize(
    ("path", "key", "value", "says"),
    [
        (("metadata",), "name", ".", "plain name"),
        (("metadata",), "name", "a/b", "plain name"),
        (("metadata",), "name", "sbn#sources", "plain name"),
        (("metadata",), "generation", "x", "not an ArchiveView"),
        (("spec",), "folder", 7, "folder"),
        (("spec",), "sources", {}, "not an ArchiveView: sources"),
        (("spec",), "tree", None, "not an ArchiveView: tree"),
        (("spec", "sources", 0), "name", "../x", "names of folders"),
        (("spec", "sources", 0), "name", "x#y", "names of folders"),
        (("spec", "sources", 0), "name", "more", "same name"),
        (("spec", "sources", 0), "local", {"path": "/etc"}, "exactly one"),
        (("spec", "sources", 0), "nfs", None, "exactly one"),
        (("spec", "sources", 0, "nfs"), "server", "", "host name"),
        (("spec", "sources", 0, "nfs"), "server", "nas,addr=evil", "host name"),
        (("spec", "sources", 0, "nfs"), "server", "nas\0", "host name"),
        (("spec", "sources", 0, "nfs"), "export", "/pds/../etc", "without"),
        (("spec", "sources", 0, "nfs"), "export", "/pds\n", "absolute"),
        (("spec", "sources", 0, "nfs"), "export", "/pds\0", "absolute"),
        (("spec", "sources", 0, "nfs"), "version", "3", "none of 4, 4.2"),
        (("spec", "sources", 0, "nfs"), "version", "4.2,soft", "none of 4, 4.2"),
        (("spec", "sources", 0, "nfs"), "port", 0, "TCP port"),
        (("spec", "sources", 0, "nfs"), "port", "two", "port"),
        (("spec", "sources", 0, "nfs"), "port", 65536, "TCP port"),
        (("spec", "sources", 0, "runAs"), "uid", -1, "ids are numbers"),
        (("spec", "sources", 0, "runAs"), "gid", 2**32 - 1, "ids are numbers"),
        (("spec", "sources", 0, "runAs"), "gid", None, "gid"),
        (("spec", "sources", 0, "marker"), "path", "../x", "'..'"),
        (("spec", "sources", 0, "marker"), "sha256", "0" * 63 + "G", "SHA-256"),
        (("spec", "sources", 0, "marker"), "sha256", "0" * 64 + "\n", "SHA-256"),
        (("spec", "sources", 1, "local"), "path", "data", "absolute"),
        (("spec", "sources", 1, "local"), "path", "/a/../b", "without"),
        (("spec", "tree", 0), "path", "a/../../b", "'..'"),
        (("spec", "tree", 0), "layers", [], "empty"),
        (("spec", "tree", 0, "layers", 0), "path", "/etc", "relative"),
        (("spec", "tree", 0, "layers", 0), "source", "other", "no source is called"),
        (("status", "generation"), "name", "sha256:../../x", "hexadecimal"),
        (("status", "generation"), "name", NAME + "\n", "hexadecimal"),
        (("status",), "volumes", [7], "not an ArchiveView"),
        (("status", "volumes", 0), "maxHoldSeconds", "long", "maxHoldSeconds"),
    ],
)
def test_hardening(path: tuple[str | int, ...], key: str, value: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says.replace(".", r"\.")):
        parse_view(changed(path, key, value))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["..", "/", "#"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(OBJECTS), st.data())
def test_whatever_is_written_is_a_view_or_refused(path: tuple[str | int, ...], data: st.DataObject) -> None:
    """Never another error: it would end the informer's loop, for all views."""
    document = copy.deepcopy(VIEW)
    part = at(document, path)
    key = data.draw(st.sampled_from(sorted(part)))
    part[key] = data.draw(ANYTHING)
    try:
        view = parse_view(document)
    except SpecError:
        return
    folders = [view.at(entry) for entry in view.tree] + [source.name for source in view.sources]
    assert not any(".." in folder.split("/") or folder.startswith("/") for folder in folders)
    assert view.survey_seconds[0] >= 0 and json.dumps([source.digest for source in view.sources])
