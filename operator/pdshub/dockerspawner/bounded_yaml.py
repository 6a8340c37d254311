"""YAML of somebody else's, read within bounds: a file of a kilobyte can describe more than a machine can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from pdshub.dockerspawner.source import SourceError

NODES, ALIASES, DEEPEST, PAIRS, DIGITS = 50_000, 500, 40, 5000, 40
"""Values of a document, repetitions of an anchor, values inside of each other, keys of a map, digits of a number."""


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


def _number(made: Callable[[_Loader, yaml.ScalarNode], Any]) -> Callable[[_Loader, yaml.ScalarNode], Any]:
    """Numbers as YAML 1.2 and Compose have them: ``22:22`` is no number to the base of 60, and a long one is a text."""

    def constructed(loader: _Loader, node: yaml.ScalarNode) -> Any:
        text = str(loader.construct_scalar(node))
        return text if ":" in text or len(text) > DIGITS else made(loader, node)

    return constructed


_Loader.add_constructor("tag:yaml.org,2002:int", _number(yaml.SafeLoader.construct_yaml_int))
_Loader.add_constructor("tag:yaml.org,2002:float", _number(yaml.SafeLoader.construct_yaml_float))


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
    except (RecursionError, ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
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
