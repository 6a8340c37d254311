"""The view that a survey works for: an ArchiveView manifest with its authority block."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml
from pydantic import ValidationError

from pdshub.api.authority import Authority
from pdshub.api.view import ArchiveViewSpec


class ViewError(ValueError):
    """The manifest can not be used; the text names the field and the remedy."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A directory of a source that takes part in an entry of the tree."""

    entry: int
    rank: int  # order of precedence inside the entry, 0 wins
    tree: str  # path in the view, "" is its folder itself
    source: str
    path: str  # below the source's root, "" is the root

    def place(self, path: str) -> str:
        """Where a directory of the source lies in the tree, before any decision."""
        rest = path[len(self.path) + 1 :] if self.path else path
        return "/".join(part for part in (self.tree, rest) if part)

    def holds(self, path: str) -> bool:
        return not self.path or path == self.path or path.startswith(self.path + "/")


@dataclass(frozen=True, slots=True)
class View:
    """A view as the survey sees it."""

    name: str
    sources: tuple[str, ...]
    layers: tuple[Layer, ...]
    authority: Authority
    live: tuple[str, ...] = ()  # paths of entries that nodes mount straight from the sources: empty directories


def load_view(text: str) -> View:
    """Reads an ArchiveView (YAML or JSON). Raises ViewError."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ViewError(f"no YAML: {error}") from None
    if not isinstance(document, Mapping) or document.get("kind") != "ArchiveView":
        raise ViewError("no manifest of kind ArchiveView")
    name = (document.get("metadata") or {}).get("name", "view")
    spec = dict(document.get("spec") or {})
    return view_from_spec(str(name), spec)


def view_from_spec(name: str, spec: Mapping[str, Any]) -> View:
    """The same from the spec of an ArchiveView as it is on the wire. Raises ViewError."""
    try:
        model = ArchiveViewSpec.model_validate(spec)
    except ValidationError as error:
        raise ViewError("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from None
    layers = tuple(
        Layer(number, rank, _clean(entry.path), layer.source, _clean(layer.path))
        for number, entry in enumerate(model.tree)
        if not entry.live  # nodes mount these straight from the sources
        for rank, layer in enumerate(entry.layers)
    )
    live = tuple(_clean(entry.path) for entry in model.tree if entry.live)
    return View(name, tuple(s.name for s in model.sources), layers, model.authority, live)


def _clean(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


@lru_cache(maxsize=1024)
def glob(pattern: str) -> re.Pattern[str]:
    """A path pattern: ``*`` and ``?`` stay inside one name, ``**`` crosses, ``[…]`` is a set; whole path."""
    out, i = "", 0
    while i < len(pattern):
        char = pattern[i]
        if pattern.startswith("**/", i):
            out, i = out + "(?:[^/]+/)*", i + 3
        elif pattern.startswith("**", i):
            out, i = out + ".*", i + 2
        elif char == "*":
            out, i = out + "[^/]*", i + 1
        elif char == "?":
            out, i = out + "[^/]", i + 1
        elif char == "[" and (end := pattern.find("]", i + 2)) > 0:
            inner = pattern[i + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out, i = (
                out + "[" + ("^" + inner[1:] if inner[0] == "!" else inner.replace("^", "\\^")) + "]",
                end + 1,
            )
        else:
            out, i = out + re.escape(char), i + 1
    try:
        return re.compile(out, re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern))
