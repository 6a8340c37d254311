"""Which generations are dropped. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pdshub.generation_id import named


def doomed(newest_first: Sequence[str], keep: int, held: Iterable[str | None]) -> list[str]:
    """Names to drop: all but the newest ``keep`` and those that a reference in ``held`` means.

    ``held``: what the operator released or somebody mounts, pinned or approved, whole names or their beginnings.
    The newest one always stays: the next survey is an increment of it.
    """
    references = [reference for reference in held if reference]
    return [
        name for name in newest_first[max(1, keep) :] if not any(named(reference, name) for reference in references)
    ]


def baseline(newest_first: Sequence[tuple[str, bool]], approved: Iterable[str | None]) -> str | None:
    """The generation that users have, as far as the surveyor can know: the newest that was not refused.

    ``newest_first``: names, and whether the guard accepted them. One that was refused counts once it is approved:
    otherwise a second survey of an empty export would be compared with the first one and pass.
    """
    references = [reference for reference in approved if reference]
    for name, accepted in newest_first:
        if accepted or any(named(reference, name) for reference in references):
            return name
    return None
