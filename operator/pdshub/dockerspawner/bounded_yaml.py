"""YAML of somebody else's, read within bounds: a file of a kilobyte can describe more than a machine can hold."""

from __future__ import annotations

from typing import Any

import yaml

from pdshub.dockerspawner.source import SourceError

NODES, ALIASES, DEEPEST, PAIRS = 50_000, 500, 40, 5000
"""Values of a document, repetitions of an anchor, values inside of each other, and keys of one map."""


class _Loader(yaml.SafeLoader):
    nodes = aliases = depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.nodes += 1
        self.aliases += self.check_event(yaml.AliasEvent)
        self.depth += 1
        if self.nodes > NODES or self.aliases > ALIASES or self.depth > DEEPEST:
            raise SourceError("it holds more, or deeper, than a configuration does")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > PAIRS:  # "<<" of "<<" multiplies: here it has multiplied once at most
            raise SourceError(f"a map has more than {PAIRS} keys")


def load(text: str) -> Any:
    """What a document holds: maps, lists, texts and numbers that are no larger than its text says. Raises SourceError.

    Repetitions are copied, so that what is returned is a tree: bounded as a whole, and never a circle.
    """
    try:
        found = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
        return _tree(found, [NODES], 0)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise SourceError(f"{where}no YAML: {getattr(error, 'problem', None) or 'it can not be read'}") from None
    except (RecursionError, ValueError, TypeError) as error:
        raise SourceError(f"no YAML: {type(error).__name__}") from None


def _tree(value: Any, left: list[int], depth: int) -> Any:
    left[0] -= 1
    if left[0] < 0 or depth > DEEPEST:
        raise SourceError("it holds more, or deeper, than a configuration does")
    if isinstance(value, dict):
        return {str(key): _tree(held, left, depth + 1) for key, held in value.items()}
    if isinstance(value, list | tuple | set):
        return [_tree(held, left, depth + 1) for held in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
