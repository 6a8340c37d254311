"""Waiting for something to be so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

_LONGEST = 30.0


async def eventually(what: str, true: Callable[[], Any]) -> None:
    """Wait until something is so; fails after half a minute."""
    end = asyncio.get_running_loop().time() + _LONGEST
    while not true():
        assert asyncio.get_running_loop().time() < end, f"never: {what}"
        await asyncio.sleep(0.005)
