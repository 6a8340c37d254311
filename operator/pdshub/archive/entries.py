"""What a survey found of each entry of the tree: whether its layers are there and hold anything. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pdshub.archive.findings import Findings
from pdshub.archive.view import SurveyedView
from pdshub.archive.walk import Scan

FILES, MISSING, DENIED, EMPTY, SETTLING = "files", "missing", "denied", "empty", "settling"
"""Of one layer: it holds files, its directory is not there, may not be read, holds none, only such as still change."""


class Seen(NamedTuple):
    """One layer's directory: ``found`` is one of the words above, ``files`` counts files and links at any depth."""

    found: str
    files: int


def look(view: SurveyedView, scans: Mapping[str, Scan]) -> list[Seen]:
    """What each layer of the view holds, in the order of ``view.layers``."""
    seen = []
    for layer in view.layers:
        dirs = scans[layer.source].dirs
        files = sum(len(d.sizes) + len(d.links) for path, d in dirs.items() if layer.holds(path))
        top = dirs.get(layer.path)
        found = FILES if files else MISSING if top is None else DENIED if top.denied or top.unread else EMPTY
        seen.append(Seen(found, files))
    return seen


def report(view: SurveyedView, read: Sequence[Seen], kept: Sequence[Seen], findings: Findings) -> list[dict[str, Any]]:
    """Every entry with its layers, for the plan. ``read``: as the sources are; ``kept``: without what still changes.

    An entry of which nothing is left is a finding.
    """
    said: dict[str, list[dict[str, Any]]] = {}
    for layer, before, after in zip(view.layers, read, kept, strict=True):
        found = FILES if after.files else SETTLING if before.files else before.found
        item = {"source": layer.source, "path": layer.path or ".", "found": found, "files": after.files}
        said.setdefault(layer.tree or ".", []).append(item)
    for path, layers in said.items():
        if all(layer["found"] != FILES for layer in layers):
            why = ", ".join(f"{layer['source']}:{layer['path']} is {layer['found']}" for layer in layers)
            findings.add("error", "entry-empty", f"{path}: the entry shows nothing: {why}")
    return [{"path": path, "layers": layers} for path, layers in said.items()]
