"""Directories that would be shown empty only because all that they hold is hidden, withheld or shown elsewhere. Pure.

An empty directory of a generation is therefore empty in its source too, or a finding says why its content is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from pdshub.archive.placement import Contribution
from pdshub.archive.walk import DirRecord

RecordOf = Callable[[Contribution], DirRecord]


def within(place: str) -> Iterable[str]:
    """``place`` and the directories that it lies in, the innermost first; the top is ""."""
    while place:
        yield place
        place = place.rpartition("/")[0]
    yield ""


def drop_hollow(places: dict[str, list[Contribution]], record_of: RecordOf, kept: Collection[str]) -> None:
    """Removes from ``places`` the directories that show nothing though each of their sources' holds directories.

    ``kept`` stay in any case, with what they lie in: entries of the tree. What holds files, links or anything else of
    its own, what can not be read, and what is empty in a source stays.
    """
    needed = {above for place in kept for above in within(place)} | {""}
    for place in sorted(places, key=lambda p: (-len(p.split("/")) if p else 0, p)):
        if place not in needed and all(_holds_only_directories(record_of(item)) for item in places[place]):
            del places[place]
        else:
            needed.update(within(place))


def _holds_only_directories(record: DirRecord) -> bool:
    own = record.names or record.links or record.others or record.denied or record.unread
    return bool(record.dirs) and not own
