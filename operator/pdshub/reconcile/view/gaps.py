"""Layers of the tree that a generation lacks: an entry that shows nothing is not the whole archive. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pdshub.api.generation import Gap
from pdshub.api.survey import Entry
from pdshub.api.view import ArchiveViewSpec
from pdshub.reconcile.common.conditions import ENTRY_EMPTY, LAYER_MISSING

_ABSENT = ("missing", "denied")
_FEW = 3


def gaps(entries: Iterable[Entry]) -> tuple[Gap, ...]:
    """What is missing of each entry. An empty layer beside one that has files is none."""
    found = []
    for entry in entries:
        nothing = all(layer.found != "files" for layer in entry.layers)
        found += [
            Gap(entry=entry.path, source=layer.source, path=layer.path, found=layer.found, nothing=nothing)
            for layer in entry.layers
            if layer.found in _ABSENT or (nothing and layer.found != "files")
        ]
    return tuple(found)


def reason(found: Iterable[Gap]) -> str:
    """The word for it; empty without gaps."""
    words = {ENTRY_EMPTY if gap.nothing else LAYER_MISSING for gap in found}
    return ENTRY_EMPTY if ENTRY_EMPTY in words else LAYER_MISSING if words else ""


def new(found: Iterable[Gap], known: Iterable[Gap]) -> bool:
    """Whether something lacks that users do not lack already."""
    had = {(gap.entry, gap.source, gap.path, gap.nothing) for gap in known}
    return any((gap.entry, gap.source, gap.path, gap.nothing) not in had for gap in found)


def describe(spec: ArchiveViewSpec, found: Sequence[Gap]) -> str:
    """Each gap with entry, layer, source and what to do about it."""
    said = [_describe(spec, gap) for gap in found[:_FEW]]
    more = f"; and {len(found) - _FEW} more" if len(found) > _FEW else ""
    return "; ".join(said) + more


def _describe(spec: ArchiveViewSpec, gap: Gap) -> str:
    field, where = _place(spec, gap)
    entry = f"entry {gap.entry} {'shows nothing' if gap.nothing else 'lacks a layer'}"
    layer = f"layer {gap.source}:{gap.path}{f' ({where})' if where else ''}"
    match gap.found:
        case "missing":
            what, todo = "is no directory", f"correct {field}, or make the directory"
        case "denied":
            what, todo = (
                "may not be read",
                "correct its permissions on the server, or the source's runAs",
            )
        case "settling":
            what, todo = "holds only what is still being copied", "the next survey looks again"
        case _:
            what, todo = "holds no file", f"correct {field}, or fill the directory"
    if not field:
        todo = "spec.tree names it no more: the next generation is without it"
    return f"{entry}: {layer} {what}: {todo}"


def _place(spec: ArchiveViewSpec, gap: Gap) -> tuple[str, str]:
    """The field of the spec that names the layer, and where that is; both empty when none does any more."""
    source = next((s for s in spec.sources if s.name == gap.source), None)
    where = ""
    if source is not None:
        nfs, s3, local = source.nfs, source.s3, source.local
        top = f"{nfs.server}:{nfs.export}" if nfs else s3.place if s3 else local.path if local else ""
        where = top if gap.path == "." else f"{top.rstrip('/')}/{gap.path}"
    for number, entry in enumerate(spec.tree):
        for index, layer in enumerate(entry.layers):
            if (_plain(entry.path), layer.source, _plain(layer.path)) == (gap.entry, gap.source, gap.path):
                return f"spec.tree[{number}].layers[{index}].path", where
    return "", where


def _plain(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", ".")) or "."
