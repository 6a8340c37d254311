"""Helm's rules of merging, and equality of values that went through Helm."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.render.merge import merge, same


@pytest.mark.parametrize(
    ("below", "above", "expected"),
    [
        ({}, {}, {}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"b": None, "c": 2}}),
        ({}, {"a": None}, {"a": None}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": None}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_merge(below: dict[str, Any], above: dict[str, Any], expected: dict[str, Any]) -> None:
    assert merge(below, above) == expected


def test_merge_changes_neither_and_shares_nothing() -> None:
    below, above = {"a": {"b": [1]}}, {"c": {"d": [2]}}
    result = merge(below, above)
    result["a"]["b"].append(9)
    result["c"]["d"].append(9)
    assert below == {"a": {"b": [1]}} and above == {"c": {"d": [2]}}


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ({"a": 2}, {"a": 2.0}, True),
        ({"a": True}, {"a": 1}, False),
        ({"a": None}, {}, False),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2.0}]}, True),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": "1"}, {"a": 1}, False),
        ([], {}, False),
    ],
)
def test_same(a: Any, b: Any, equal: bool) -> None:
    assert same(a, b) is equal
