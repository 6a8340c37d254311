"""In which order the sources must lie below the catalog so that each file's bytes come from its winner. Pure.

overlayfs looks a catalog entry's path up in the data layers one after another and takes the first hit. Where two
sources hold the same path the winner's source must come first; where that can't hold for all files at once, each
source gets a catalog of its own and these are stacked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def data_order(sources: Sequence[str], before: Iterable[tuple[str, str]]) -> list[str] | None:
    """Sources with each pair's first before its second, else as declared; None when the pairs form a circle."""
    pairs = set(before)
    rest = list(sources)
    order: list[str] = []
    while rest:
        free = next((s for s in rest if not any((t, s) in pairs for t in rest if t != s)), None)
        if free is None:
            return None
        order.append(free)
        rest.remove(free)
    return order


def common_directory(known: str | None, path: str) -> str:
    """The deepest directory that holds both: the data layer begins there, so that the catalog repeats less."""
    if known is None or known == path:
        return path
    shared: list[str] = []
    for a, b in zip(known.split("/"), path.split("/"), strict=False):
        if a != b:
            break
        shared.append(a)
    return "/".join(shared)
