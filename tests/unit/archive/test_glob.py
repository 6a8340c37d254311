"""Path patterns: what they fit, and that none of them takes long."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdshub.archive.glob import _Automaton, _tokens, glob

FITS: list[tuple[str, str, bool]] = [
    ("a/*", "a/b", True), ("a/*", "a/b/c", False), ("a/*", "a/", True), ("a/**", "a/b/c", True), ("**/c", "c", True),
    ("**/c", "a/b/c", True), ("**/c", "a/bc", False), ("a/**/c", "a/c", True), ("a/**/c", "a/b/b/c", True),
    ("a/**/c", "ac", False), ("?", "a", True), ("?", "/", False), ("[ab]c", "bc", True), ("[!ab]c", "bc", False),
    ("[", "[", True), ("[]", "[]", True), ("[z-a]", "[z-a]", True), ("a.b", "axb", False), ("**", "", True),
    ("*/*/*/x", "a/b/c/x", True), ("*/*/*/x", "a/b/x", False), ("**/**/**/x", "x", True),
    ("**/a/**/b/**/c", "z/a/b/y/c", True), ("**/a/**/b/**/c", "z/a/y/c", False), ("*a*a*a*", "aaa", True),
    ("*a*a*a*", "aa", False), ("*a*a*a*", "a/aa", False), ("***x", "a/b/x", True), ("**/**/**/[a", "q/[a", True),
    ("*[z-a]***", "*[z-a]***", True),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "path", "fits"), FITS)
def test_what_fits(pattern: str, path: str, fits: bool) -> None:
    assert bool(glob(pattern).fullmatch(path)) is fits


PIECES = ["*", "**", "**/", "a", "b", "/", "?", "[ab]", "[!a]", "é"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=7).map("".join), st.text("ab/é\n", max_size=9))
def test_the_automaton_is_the_expression(pattern: str, path: str) -> None:
    tokens = list(_tokens(pattern))
    expression = re.compile("".join(token.text for token in tokens), re.DOTALL)
    assert bool(_Automaton(tokens).fullmatch(path)) is bool(expression.fullmatch(path))


STORMS = [
    ("*a" * 30 + "b", "a" * 255),
    ("**/" * 30 + "x", "a/" * 1500),
    ("**a" * 30 + "b", "a" * 3000),
    ("**/*a" * 10 + "b", "aaa/" * 700),
    ("?*" * 100 + "/", "a" * 255),
]


@pytest.mark.parametrize(("pattern", "path"), STORMS)
def test_many_wildcards_take_a_step_for_each_character(pattern: str, path: str) -> None:
    """An expression would try for ever; how long this takes is not looked at, that it ends is enough."""
    found = glob(pattern)
    assert isinstance(found, _Automaton) and found.fullmatch(path) is None


@pytest.mark.parametrize("pattern", ["data/**/superseded/*", "*/old", "**", "n/*", "**/*.xml"])
def test_ordinary_patterns_are_expressions(pattern: str) -> None:
    assert isinstance(glob(pattern), re.Pattern)
