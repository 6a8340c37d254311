"""Which packs are written anew as one. Pure.

Few packs are few layers of a mount, and few packs are moved again when they are merged: a pack is merged with others of
its own size, so that each object moves once for each power of ``BASE`` that its pack grows by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pdshub.archive.content.pack import MAX_BYTES, MAX_OBJECTS
from pdshub.archive.content.shelf import Shelved

BASE = 8
"""So many packs of about one size become one."""
MOST = 40
"""Packs of one view, beyond which the smallest are merged whatever their sizes."""
LIVE = 0.5
"""A pack of which less than this part is needed is written anew."""
SMALL = 1 << 20
"""Bytes: packs below this are of one size."""


def _order(size: int) -> int:
    order = 0
    while size >= SMALL:
        size //= BASE
        order += 1
    return order


def _fitting(packs: Sequence[Shelved], live: Mapping[int, tuple[int, int]]) -> list[Shelved]:
    """The first of these that are one pack together."""
    found: list[Shelved] = []
    count = size = 0
    for one in packs:
        more, much = live.get(one.number, (0, 0))
        # a tar has a header for each file, and files begin at whole blocks
        count, size = count + more, size + much + 1024 * more
        if count > MAX_OBJECTS or size > MAX_BYTES - 1024:
            break
        found.append(one)
    return found


def to_merge(packs: Sequence[Shelved], live: Mapping[int, tuple[int, int]]) -> list[Shelved]:
    """The packs that become one now; none: nothing is to be done. ``live`` as of ``Shelf.live``.

    Asked again until it answers none.
    """
    hollow = [one for one in packs if live.get(one.number, (0, 0))[0] < LIVE * one.pack.objects]
    if hollow:
        return _fitting(hollow, live) or hollow[:1]
    by_order: dict[int, list[Shelved]] = {}
    for one in packs:
        by_order.setdefault(_order(one.pack.size), []).append(one)
    for _, column in sorted(by_order.items()):
        if len(column) >= BASE and len(found := _fitting(column, live)) > 1:
            return found
    if len(packs) > MOST:
        smallest = sorted(packs, key=lambda one: (one.pack.size, one.number))
        found = _fitting(smallest[: len(packs) - MOST + 1], live)
        return found if len(found) > 1 else []
    return []
