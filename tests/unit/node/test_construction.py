"""Every part of the plugin is constructed once, with all that it needs: nothing is set from outside afterwards."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

NODE = Path(__file__).resolve().parents[3] / "operator/pdshub/node"


def assigned(path: Path) -> Iterator[tuple[str, int]]:
    """(object.attribute, line) of every assignment to an attribute of something else than `self`."""
    for found in ast.walk(ast.parse(path.read_text())):
        if isinstance(found, ast.Attribute) and isinstance(found.ctx, ast.Store):
            text = ast.unparse(found)
            if not text.startswith("self.") or text.count(".") > 1:
                yield text, found.lineno


def test_main_sets_nothing_in_what_it_has_constructed() -> None:
    assert not list(assigned(NODE / "main.py"))


def test_no_class_attribute_is_configuration() -> None:
    for path in NODE.rglob("*.py"):
        if "_proto" not in path.parts:
            assert not [text for text, _ in assigned(path) if text[0].isupper()], path
