"""Which value is named for an object that must not be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from pdshub.reconcile.hub.manifest.blame import RUNS, by_leaving_out, by_text, field, leaves, without
from pdshub.reconcile.hub.manifest.rules import Violation

EVIL = "10.0.0.1\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: evil}\n"
FOUND = Violation("ConfigMap evil", "x", "evil", "ConfigMap")
TEXTS: list[tuple[str, Any, str]] = [
    ("a value", {"proxy": {"service": {"loadBalancerIP": EVIL}}}, "spec.values.proxy.service.loadBalancerIP"),
    ("in a list", {"hub": {"x": ["a", EVIL]}}, "spec.values.hub.x[1]"),
    ("a key", {"hub": {"labels": {EVIL: "a"}}}, "spec.values.hub.labels"),
    ("two", {"a": EVIL, "b": EVIL}, ""),
    ("none", {"a": "words\nin two lines", "b": "evil ConfigMap in one line"}, ""),
]


@pytest.mark.parametrize(("values", "named"), [t[1:] for t in TEXTS], ids=[t[0] for t in TEXTS])
def test_by_what_a_value_says(values: Any, named: str) -> None:
    assert by_text(values, FOUND).startswith(named) and bool(by_text(values, FOUND)) is bool(named)


def test_a_text_that_could_not_be_read_is_found_by_its_separator() -> None:
    assert by_text({"a": "x\n--- y"}, Violation("", "a line begins with --- and goes on")) == "spec.values.a"


def test_leaves_and_what_is_left_without_some() -> None:
    values = {"a": {"b": 1, "c": [1, {"d": 2}]}, "e": None}
    assert [field(path, "v") for path, _ in leaves(values)] == ["v.a.b", "v.a.c[0]", "v.a.c[1].d", "v.e"]
    assert without(values, [("a", "c", 1, "d"), ("e",)]) == {"a": {"b": 1, "c": [1, {}]}}
    assert without(values, [("a",)]) == {"e": None} and without(values, []) == values


@pytest.mark.parametrize("size", [1, 2, 3, 17, 1000])
@pytest.mark.parametrize("which", [0, -1])
def test_by_leaving_out_within_few_runs(size: int, which: int) -> None:
    asked = {"group": {f"k{n}": n for n in range(size)}}
    guilty = list(asked["group"])[which]
    runs: list[Any] = []

    async def tries(values: Mapping[str, Any]) -> Violation | None:
        runs.append(values)
        return FOUND if guilty in values["group"] else None

    found = asyncio.run(by_leaving_out(asked, {**asked, "rendered": 1}, tries))
    assert found == f"spec.values.group.{guilty}" and len(runs) <= RUNS
    assert all(values["rendered"] == 1 for values in runs)


def test_what_no_value_makes_has_no_value_named() -> None:
    async def always(values: Mapping[str, Any]) -> Violation | None:
        return FOUND

    assert asyncio.run(by_leaving_out({"a": 1, "b": 2}, {"a": 1, "b": 2}, always)) == ""
    assert asyncio.run(by_leaving_out({}, {}, always)) == ""


def test_what_two_values_make_together_is_blamed_on_one_of_them() -> None:
    async def both(values: Mapping[str, Any]) -> Violation | None:
        return FOUND if {"a", "b"} <= values.keys() else None

    assert asyncio.run(by_leaving_out({"a": 1, "b": 2}, {"a": 1, "b": 2}, both)) == "spec.values.a"
