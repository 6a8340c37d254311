"""Sizes of volumes in bytes: what a request may get."""

from __future__ import annotations

from pdshub.homes.errors import RangeError

LEAST = 300 << 20
"""What mkfs.xfs makes at least. Source: xfsprogs 5.19, mkfs.xfs(8)."""
STEP = 4 << 20
"""Sizes are multiples of this: an extent of LVM, as vgcreate(8) makes them."""
USUAL = 1 << 30
"""Where a request names no size."""


def rounded(size: int) -> int:
    """The smallest size of a volume that has ``size`` bytes."""
    return max(LEAST, -(-size // STEP) * STEP)


def chosen(required: int, limit: int) -> int:
    """The size for a capacity range of CSI, in which 0 stands for no bound. Raises RangeError where none fulfils it."""
    if required < 0 or limit < 0 or (limit and required > limit):
        raise RangeError(f"no size has at least {required} and at most {limit} bytes")
    size = rounded(required or min(USUAL, limit or USUAL))
    if limit and size > limit:
        raise RangeError(f"the smallest volume with {required} bytes has {size}, more than the limit of {limit}")
    return size


def fulfils(size: int, required: int, limit: int) -> bool:
    """Whether a volume that is there already is what a capacity range asks for."""
    return size >= required and not (limit and size > limit)
