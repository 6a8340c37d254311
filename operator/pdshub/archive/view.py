"""The view that a survey works for: the API's model, reduced to what a survey decides with.

What a view may be, and what its fields mean, is said once, in pdshub.api.view. Here its layers stand in one row, with
their paths as the walk has them. A plan's header holds just this, so that a plan can be explained without the spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import yaml
from pydantic import ValidationError

from pdshub.api.authority import Authority
from pdshub.api.refusal import refusal_words
from pdshub.api.view import ArchiveViewSpec


class ViewError(ValueError):
    """The manifest can not be used; the text names the field and the remedy."""


@dataclass(frozen=True, slots=True)
class PlacedLayer:
    """A layer of the API's model, and the entry of the tree that it takes part in."""

    entry: int  # index into spec.tree
    rank: int  # order of precedence inside the entry, 0 wins
    tree: str  # path in the view, "" is its folder itself
    source: str
    path: str  # below the source's root, "" is the root

    def place(self, path: str) -> str:
        """Where a directory of the source, which the layer holds, lies in the tree before any decision."""
        rest = path[len(self.path) + 1 :] if self.path else path
        return "/".join(part for part in (self.tree, rest) if part)

    def holds(self, path: str) -> bool:
        """Whether a path of the source is the layer's directory or lies below it."""
        return not self.path or path == self.path or path.startswith(self.path + "/")


@dataclass(frozen=True, slots=True)
class SurveyedView:
    """All that a survey needs of a view to decide what users see."""

    name: str
    sources: tuple[str, ...]
    layers: tuple[PlacedLayer, ...]
    authority: Authority
    live: tuple[str, ...] = ()  # paths of entries that nodes mount straight from the sources: empty directories

    @classmethod
    def of(cls, name: str, spec: ArchiveViewSpec) -> Self:
        """The view ``name`` with this spec; entries that are live have no layers here."""
        layers = tuple(
            PlacedLayer(number, rank, _clean(entry.path), layer.source, _clean(layer.path))
            for number, entry in enumerate(spec.tree)
            if not entry.live
            for rank, layer in enumerate(entry.layers)
        )
        live = tuple(_clean(entry.path) for entry in spec.tree if entry.live)
        return cls(name, tuple(source.name for source in spec.sources), layers, spec.authority, live)


def checked_spec(spec: Any) -> ArchiveViewSpec:
    """The spec of an ArchiveView as it is on the wire, as the API's model. Raises ViewError."""
    try:
        return ArchiveViewSpec.model_validate(spec)
    except ValidationError as error:
        raise ViewError(refusal_words(error)) from None


def view_from_spec(name: str, spec: Any) -> SurveyedView:
    """The view ``name`` from its spec as it is on the wire. Raises ViewError."""
    return SurveyedView.of(name, checked_spec(spec))


def load_view(text: str) -> SurveyedView:
    """The view of an ArchiveView manifest (YAML or JSON); one without a name is called "view". Raises ViewError."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ViewError(f"no YAML: {error}") from None
    if not isinstance(document, Mapping) or document.get("kind") != "ArchiveView":
        raise ViewError("kind: write one manifest of kind ArchiveView")
    metadata = document.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise ViewError("metadata: write an object with the view's name")
    return view_from_spec(str(metadata.get("name", "view")), document.get("spec") or {})


def _clean(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))
