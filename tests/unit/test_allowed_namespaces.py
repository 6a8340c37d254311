"""Who may show a view: the operator explains and finds what a selector chooses, the nodes enforce."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from pdshub.api.hub import PDSHubSpec
from pdshub.api.namespaces import AllowedNamespaces
from pdshub.node.csi.services import Node
from pdshub.node.layout import Layout
from pdshub.node.spec import parse_view
from pdshub.reconcile.hub.archive_state import not_allowed
from pdshub.reconcile.view.audience import namespaces_of, selected
from pdshub.render.archive import ViewRef, own_view
from pdshub.render.names import Names

PUBLIC = {"matchLabels": {"audience": "public"}}
FOUND = {"matchLabels": {"audience": "public"}, "names": ["labelled"]}
CASES: list[tuple[str, Any, Any, dict[str, bool]]] = [
    ("says nothing", None, None, {"named": True, "labelled": True, "other": True, "": True}),
    ("nobody", {}, None, {"named": False, "labelled": False, "other": False, "": False}),
    ("by name", {"names": ["named"]}, None, {"named": True, "labelled": False, "name": False, "": False}),
    ("by label", {"selector": PUBLIC}, FOUND, {"named": False, "labelled": True, "other": False}),
    ("by either", {"names": ["named"], "selector": PUBLIC}, FOUND, {"named": True, "labelled": True, "other": False}),
    ("not looked at yet", {"selector": PUBLIC}, None, {"labelled": False}),
    ("of another selector", {"selector": {"matchLabels": {"audience": "staff"}}}, FOUND, {"labelled": False}),
    ("without a selector any more", {"names": ["named"]}, FOUND, {"labelled": False, "named": True}),
]
LABELS = {"named": {}, "labelled": {"audience": "public", "more": "x"}, "other": {"audience": "Public"}}


def view(allowed: Any, found: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "sources": [{"name": "m", "nfs": {"server": "nas", "export": "/x"}}],
        "tree": [{"path": ".", "layers": [{"source": "m"}]}],
        **({} if allowed is None else {"allowedNamespaces": allowed}),
    }
    return {"metadata": {"name": "sbn"}, "spec": spec, "status": {"selectedNamespaces": found} if found else {}}


@pytest.mark.parametrize(("allowed", "found", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_node_refuses_to_publish(tmp_path: Path, allowed: Any, found: Any, expected: dict[str, bool]) -> None:
    parsed = parse_view(view(allowed, found))
    views = {"sbn": parsed}
    reconciler: Any = SimpleNamespace(informer=SimpleNamespace(views=views), view_of=views.get)
    node = Node("n", Layout(tmp_path), reconciler, "pdshub-system")
    for namespace, may in expected.items():
        said = node._forbidden("sbn", namespace)
        assert (not said) is may and (may or "spec.allowedNamespaces" in said)
    assert node._forbidden("unknown", "other") == "", "what is not known is explained in the archive's place"


@pytest.mark.parametrize(
    ("allowed", "namespace", "may"),
    [
        (None, "other", True),
        ({"names": ["named"]}, "named", True),
        ({"names": ["named"]}, "other", False),
        ({"selector": PUBLIC}, "labelled", True),
        ({"selector": PUBLIC}, "other", False),
        ({"selector": {"matchLabels": {"audience": "public", "more": "y"}}}, "labelled", False),
        ({}, "named", False),
        ({"selector": {}}, "labelled", False),
        ("everybody", "named", False),
    ],
    ids=repr,
)
def test_the_operator_says_who_may(allowed: Any, namespace: str, may: bool) -> None:
    labels = {"metadata": {"name": namespace, "labels": LABELS[namespace]}}
    names = Names(namespace, "hub")
    said = not_allowed(ViewRef("sbn", "sbn", owned=False), view(allowed, None), labels, names)
    assert (not said) is may
    assert may or all(word in said for word in ("sbn", f"namespace {namespace}", "spec.allowedNamespaces", "viewRef"))
    assert not_allowed(ViewRef("sbn", "sbn", owned=True), view(allowed, None), labels, names) == ""


def test_a_view_that_is_not_there_is_another_trouble() -> None:
    assert not_allowed(ViewRef("sbn", "sbn", owned=False), None, None, Names("ns", "hub")) == ""


def hub(namespace: str, **archive: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": "hub"}, "spec": {"archive": archive}}


def test_what_nodes_are_told_of_a_selector() -> None:
    hubs = [hub("other", viewRef="sbn"), hub("labelled", viewRef="sbn"), hub("labelled", viewRef="sbn"),
            hub("elsewhere", viewRef="x"), hub("inline", inline={}), {"metadata": {"namespace": "bare"}}]  # fmt: skip
    assert namespaces_of("sbn", hubs) == ["labelled", "other"]
    allowed = AllowedNamespaces.model_validate({"names": ["named"], "selector": PUBLIC})
    found = selected(allowed, LABELS)
    assert found is not None and found.wire() == FOUND
    assert selected(None, LABELS) is None and selected(AllowedNamespaces(names=["a"]), LABELS) is None


@pytest.mark.parametrize(
    ("allowed", "names", "selector"),
    [
        (None, ["ns"], None),
        ({"names": ["z", "ns", "a"]}, ["a", "ns", "z"], None),
        ({"selector": PUBLIC}, ["ns"], PUBLIC),
    ],
)
def test_what_is_written_in_a_hub_is_that_hubs(allowed: Any, names: list[str], selector: Any) -> None:
    inline = {**view(allowed, None)["spec"]}
    spec = PDSHubSpec.model_validate({"signIn": {"development": {}}, "archive": {"inline": inline}})
    found = own_view(spec, Names("ns", "hub"))["spec"]["allowedNamespaces"]
    assert found["names"] == names and found.get("selector") == selector


@pytest.mark.parametrize(
    "wrong",
    [
        {"names": ["A B"]},
        {"selector": {"matchLabels": {}}},
        {"selector": {"matchLabels": {"a": 7}}},
        {"namespaces": []},
    ],
    ids=repr,
)
def test_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        AllowedNamespaces.model_validate(wrong)
