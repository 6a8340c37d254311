"""Resolves what a rule names (an identifier or a path of the tree) to datasets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pdshub.api.authority import Authority
from pdshub.archive.datasets import Dataset
from pdshub.archive.glob import glob
from pdshub.archive.label_pds3 import split_data_set_id


def is_path(ref: str) -> bool:
    """True for a path (pattern), False for an identifier."""
    return not ref.startswith(("urn:", "pds3:"))


def split_path(ref: str, sources: Iterable[str]) -> tuple[str | None, str]:
    """``nas:orex/ola`` as ("nas", "orex/ola"); without a known source's name before the colon (None, ref)."""
    head, colon, rest = ref.partition(":")
    return (head, rest.strip("/")) if colon and head in set(sources) else (None, ref.strip("/"))


def declared_paths(authority: Authority, sources: Sequence[str]) -> list[tuple[str | None, str]]:
    """Paths in rules that make a directory a dataset even if no label says so."""
    refs: list[str] = []
    for rule in authority.rules:
        if rule.supersedes:
            refs += [rule.supersedes.winner, rule.supersedes.loser]
        refs += [r for r in (rule.hide, rule.pin.dataset if rule.pin else None) if r]
    return sorted({split_path(r, sources) for r in refs if is_path(r)}, key=lambda p: (p[0] or "", p[1]))


def resolve(ref: str, datasets: Sequence[Dataset], sources: Sequence[str]) -> set[int]:
    """Indexes of the datasets that ``ref`` names. An identifier with ::M.m names that version only."""
    if is_path(ref):
        source, pattern = split_path(ref, sources)
        wanted = glob(pattern)
        return {d.index for d in datasets if source in (None, d.layer.source) and wanted.fullmatch(d.place)}
    name, _, version = ref.partition("::")
    if name.startswith("pds3:"):
        base, in_name = split_data_set_id(name[5:])
        version = version or (".".join(map(str, in_name)) if in_name else "")
        name = f"pds3:{base}"
    return {d.index for d in datasets if d.key == name and (not version or d.version_text == version)}
