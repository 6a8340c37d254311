"""Where a chart's schema lets a text be: values, items of lists, keys and values of free maps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.render.merge import merge

Json = dict[str, Any]
Path = tuple[str, ...]
Wrap = Callable[[str], Any]


@dataclass(frozen=True)
class Place:
    """A place for a text: the way to a value, and what the value is with the text in it."""

    path: Path
    how: str
    """How the text lies in the value; empty where it is the value."""
    wrap: Wrap

    @property
    def title(self) -> str:
        """The place as an admin writes it."""
        return ".".join(self.path) + self.how


def _key(text: str) -> Any:
    return {text: "x"}


def _item(text: str) -> Any:
    return [text]


FREE: tuple[tuple[str, Wrap], ...] = (
    (".KEY", lambda text: {"f": text}),
    ("{}", _key),
    (".KEY.KEY", lambda text: {"f": {"name": text}}),
    (".KEY{}", lambda text: {"f": {text: "x"}}),
    (".KEY[]", lambda text: {"f": [text]}),
    (".KEY[].KEY", lambda text: {"f": [{"name": text}]}),
)
"""Texts in a map that may hold anything."""
ANY: tuple[tuple[str, Wrap], ...] = (("", lambda text: text), ("[]", _item), ("[].KEY", lambda text: [{"name": text}]))
"""Texts in a list, or a value, that may be anything."""


def places(schema: Json) -> list[Place]:
    """Every place of a schema where a text may be, each once."""
    found = {place.title: place for place in _below(schema, schema, (), "", lambda value: value)}
    return list(found.values())


def schema_at(root: Json, path: Path) -> Json:
    """What a schema says of the value at a path of named fields."""
    found = root
    for key in path:
        found = _meant(root, found["properties"][key])
    return found


def _meant(root: Json, schema: Any) -> Json:
    """A schema, or the one that it refers to."""
    found: Json = root["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found


def _below(root: Json, schema: Any, path: Path, how: str, around: Wrap) -> Iterator[Place]:
    """``how`` and ``around``: what lies between the last map with named fields and this schema."""
    if not isinstance(schema, Mapping):
        schema = {}
    schema = _meant(root, schema)
    kinds = schema.get("type") or []
    kinds = [kinds] if isinstance(kinds, str) else kinds
    named = schema.get("properties") or {}
    for key, below in named.items():
        if how:
            # all that a map in a list or in a free map has to have, and one of its texts
            rest = {k: "x" for k in schema.get("required", ()) if k != key}
            yield from _below(root, below, path, f"{how}.{key}", _inside(around, key, rest))
        else:
            yield from _below(root, below, (*path, key), "", lambda value: value)
    choices = schema.get("enum")
    if "string" in kinds or (choices and not kinds) or (not kinds and not named and "enum" not in schema):
        begin = "/" if schema.get("pattern") == "^/" else ""
        yield Place(path, how, _after(around, begin))
    if "array" in kinds or (not kinds and not named and not choices):
        yield from _items(root, schema.get("items"), path, how, around)
    patterns = list((schema.get("patternProperties") or {}).values())
    more = schema.get("additionalProperties")
    if patterns or (isinstance(more, Mapping) and more.get("type", more.get("$ref"))):
        for below in (*patterns, *([more] if isinstance(more, Mapping) else [])):
            yield from _below(root, below, path, f"{how}.KEY", _inside(around, "F"))
            yield Place(path, f"{how}{{}}", _keyed(around, below))
    elif (("object" in kinds) or not kinds) and not named and not choices and more is not False:
        for name, wrap in FREE:
            yield Place(path, how + name, _both(around, wrap))


def _items(root: Json, items: Any, path: Path, how: str, around: Wrap) -> Iterator[Place]:
    if isinstance(items, Mapping) and items:
        yield from _below(root, items, path, f"{how}[]", lambda value: around([value]))
        return
    for name, wrap in ANY[1:]:
        yield Place(path, how + name, _both(around, wrap))


def _inside(around: Wrap, key: str, rest: Json | None = None) -> Wrap:
    return lambda value: around({**(rest or {}), key: value})


def _after(around: Wrap, begin: str) -> Wrap:
    return lambda text: around(begin + text)


def _both(around: Wrap, wrap: Wrap) -> Wrap:
    return lambda text: around(wrap(text))


def _keyed(around: Wrap, below: Any) -> Wrap:
    """The text as a key, with a value that the schema takes there."""
    needs = below.get("required", ()) if isinstance(below, Mapping) else ()
    inside: Any = dict.fromkeys(needs, "x") if needs else "x"
    if needs and "oneOf" in below:
        inside = {"mountPath": "/f", "stringData": "x"}
    return lambda text: around({f"F{text}": inside})


def put(values: Json, *texts: tuple[Place, str]) -> Json:
    """The values with a text at each place; the others stay as they are, as far as there is room for them."""
    made = copy.deepcopy(values)
    for place, text in texts:
        inside: Any = made
        for key in place.path[:-1]:
            if not isinstance(inside.get(key), dict):
                inside[key] = {}
            inside = inside[key]
        old, new = inside.get(place.path[-1]), place.wrap(text)
        both = isinstance(old, dict) and isinstance(new, dict)
        inside[place.path[-1]] = merge(old, new) if both else new
    return made
