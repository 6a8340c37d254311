"""Which change asks for a look at what."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.kube import Object
from pdshub.reconcile.common.triggers import (
    ViewIndex,
    asked_of,
    hub_key,
    lists_of,
    owner_of,
    shown_view,
    told_to_hubs,
)

A, B = ("sha256:" + letter * 64 for letter in "ab")


def hub(namespace: str, name: str = "hub", **archive: Any) -> Object:
    meta = {"namespace": namespace, "name": name, "uid": f"{namespace}/{name}", "generation": 1}
    return {"metadata": meta, "spec": {"archive": archive} if archive else {}}


def changed(item: Object, **parts: Any) -> Object:
    """The object with other metadata (by name) or another status."""
    return {**item, "metadata": {**item["metadata"], **parts.pop("metadata", {})}, **parts}


def view(**status: Any) -> Object:
    ready = {"type": "Ready", "status": "True", "reason": "Complete", "message": "on 2 nodes"}
    known = {"observedGeneration": 1, "conditions": [ready], "generation": {"name": A}, **status}
    return {"metadata": {"name": "sbn", "uid": "u", "generation": 1}, "spec": {}, "status": known}


def ready(status: str = "True", reason: str = "Complete", message: str = "on 2 nodes") -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": status, "reason": reason, "message": message}]}


@pytest.mark.parametrize(
    ("after", "hubs_look"),
    [
        (view(survey={"message": "1000 files"}), False),
        (view(nodes=[{"name": "n1"}]), False),
        (view(candidate={"name": B}), False),
        (view(generations=[{"name": B}]), False),
        (view(**ready(message="on 2 nodes; node n1 is fetching generation bbb")), False),
        (changed(view(), metadata={"resourceVersion": "9", "managedFields": [{}]}), False),
        (changed(view(), metadata={"annotations": {"pdshub.dev/refresh": "1"}}), False),
        (view(generation={"name": B}), True),
        (view(generation=None), True),
        (view(**ready(reason="Other")), True),
        (view(**ready("False", "SourceUnreachable", "nas")), True),
        (view(conditions=[]), True),
        (view(observedGeneration=2), True),
        (view(observedTree="x"), True),
        (changed(view(), metadata={"generation": 2}), True),
        (changed(view(), metadata={"uid": "another"}), True),
        (changed(view(), metadata={"deletionTimestamp": "2026"}), True),
        (changed(view(), metadata={"labels": {"pdshub.dev/hub": "h", "pdshub.dev/namespace": "n"}}), True),
        (changed(view(), status=None), True),
        (None, True),
    ],
)
def test_what_hubs_take_from_a_view(after: Object | None, hubs_look: bool) -> None:
    assert (told_to_hubs(view()) != told_to_hubs(after)) is hubs_look


def test_why_an_archive_is_not_whole_is_told_to_hubs() -> None:
    """Users read it."""
    assert told_to_hubs(view(**ready("False", "X", "a"))) != told_to_hubs(view(**ready("False", "X", "b")))


@pytest.mark.parametrize(
    ("after", "asks"),
    [
        (changed(hub("ns"), status={"conditions": []}), False),
        (changed(hub("ns"), metadata={"finalizers": ["pdshub.dev/finalizer"], "resourceVersion": "2"}), False),
        (changed(hub("ns"), metadata={"generation": 2}), True),
        (changed(hub("ns"), metadata={"annotations": {"a": "b"}}), True),
        (changed(hub("ns"), metadata={"labels": {"a": "b"}}), True),
        (changed(hub("ns"), metadata={"deletionTimestamp": "2026"}), True),
        (changed(hub("ns"), metadata={"uid": "another"}), True),
        (None, True),
    ],
)
def test_what_people_ask_of_an_object(after: Object | None, asks: bool) -> None:
    assert (asked_of(hub("ns")) != asked_of(after)) is asks


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (None, ""),
        (hub("ns"), ""),
        (hub("ns", viewRef="sbn"), "sbn"),
        (hub("ns", inline={"tree": []}), "ns-hub"),
        ({**hub("ns"), "spec": {"archive": "nonsense"}}, ""),
        ({**hub("ns"), "spec": None}, ""),
    ],
)
def test_the_view_that_a_hub_shows(item: Object | None, name: str) -> None:
    assert shown_view(item) == name


def index(*hubs: Object) -> ViewIndex:
    made = ViewIndex()
    for item in hubs:
        made.put(hub_key(item), item)
    return made


def test_the_index_follows_hubs() -> None:
    made = index(hub("a", viewRef="sbn"), hub("b", viewRef="sbn"), hub("c", viewRef="other"), hub("d", inline={"x": 1}))
    assert made.hubs("sbn") == {("a", "hub"), ("b", "hub")}
    assert made.hubs("d-hub") == {("d", "hub")} and made.hubs("nobody's") == set()
    made.put(("a", "hub"), hub("a", viewRef="other"))
    assert made.hubs("sbn") == {("b", "hub")} and made.hubs("other") == {("a", "hub"), ("c", "hub")}
    made.put(("b", "hub"), None)
    made.put(("never", "seen"), None)
    assert made.hubs("sbn") == set() and made.namespaces == {"a", "c", "d"}


def test_the_hub_that_a_view_was_made_for_looks_though_it_shows_another() -> None:
    """It has to take its own view away."""
    own = changed(view(), metadata={"labels": {"pdshub.dev/hub": "hub", "pdshub.dev/namespace": "a"}})
    made = index(hub("a", viewRef="other"), hub("b", viewRef="sbn"))
    assert owner_of(own) == ("a", "hub") and owner_of(view()) is None and owner_of(None) is None
    assert made.hubs("sbn", None, own) == {("a", "hub"), ("b", "hub")}


def test_neighbours_are_the_other_hubs_of_the_namespace() -> None:
    made = index(hub("a"), hub("a", "second"), hub("b"))
    assert made.neighbours(("a", "hub")) == {("a", "second")} and made.neighbours(("b", "hub")) == set()


PART = {"metadata": {"name": "hub", "namespace": "ns", "resourceVersion": "1"}, "data": {"a": "1"}, "status": {"x": 1}}
PARTS: list[tuple[str, Any, Any, bool]] = [
    ("made", None, PART, True),
    ("taken away", PART, None, True),
    ("its content", PART, {**PART, "data": {"a": "2"}}, True),
    ("a field", PART, {**PART, "spec": {"replicas": 0}}, True),
    ("its labels", PART, {**PART, "metadata": {**PART["metadata"], "labels": {"a": "b"}}}, True),
    ("its status", PART, {**PART, "status": {"x": 2}}, False),
    ("its version", PART, {**PART, "metadata": {**PART["metadata"], "resourceVersion": "2"}}, False),
    ("of another namespace", None, {**PART, "metadata": {**PART["metadata"], "namespace": "x"}}, False),
]


@pytest.mark.parametrize(("old", "new", "asks"), [p[1:] for p in PARTS], ids=[p[0] for p in PARTS])
def test_what_changes_a_part_of_a_hub(old: Any, new: Any, asks: bool) -> None:
    index = ViewIndex()
    index.put(("ns", "hub"), {"metadata": {"name": "hub", "namespace": "ns"}, "spec": {}})
    assert index.of_part(old, new) == ({("ns", "hub")} if asks else set())


LISTS: list[tuple[Any, set[tuple[str, str]]]] = [
    ({}, set()),
    ({"from": [{"configMap": {"name": "staff", "key": "k"}}]}, {("ConfigMap", "staff")}),
    ({"from": [{"secret": {"name": "s", "key": "k"}, "as": "admins"}]}, {("Secret", "s")}),
    ({"from": "no list"}, set()),
    ({"from": [None, {"configMap": "x"}]}, set()),
    ("no map", set()),
]


@pytest.mark.parametrize(("users", "found"), LISTS)
def test_what_a_list_of_people_comes_from_and_goes_to(users: Any, found: set[tuple[str, str]]) -> None:
    item = {**hub("ns"), "spec": {"users": users}}
    assert lists_of(item) == {("ConfigMap", "hub-people"), ("Secret", "hub-keys"), *found}
    assert lists_of(None) == frozenset()
