"""Whether one catalog can serve all sources. Pure.

overlayfs looks a catalog entry's path up in the data layers one after another and takes the first hit, also after
an error: with the winner's server away the reader would be given the bytes of a loser that has the same path (tried
on Linux 6.18). So where two sources hold the same path each source gets a catalog of its own, over that source
alone, and these are stacked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def data_order(sources: Sequence[str], shared: Iterable[tuple[str, str]]) -> list[str] | None:
    """The sources as data layers of one catalog; None when two of them hold the same path (pairs in ``shared``)."""
    return None if any(one in sources and other in sources for one, other in shared) else list(sources)


def data_roots(bases: Mapping[str, str]) -> dict[str, str]:
    """Where each source's data layer begins. Of several all begin at the source's own root: paths that count from
    different directories could meet by chance."""
    return dict(bases) if len(bases) < 2 else dict.fromkeys(bases, "")


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
