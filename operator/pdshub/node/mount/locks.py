"""Locks by name that are there for as long as somebody holds or awaits them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Locks:
    """One holder a name at a time. Names come and go with volumes and views: a lock that nobody awaits is forgotten,
    never one that somebody does, or the next who asks would get another one and go in beside the holder."""

    def __init__(self) -> None:
        """Nobody holds anything."""
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}  # with the number of those who hold or await it

    @asynccontextmanager
    async def __call__(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of `name`, once whoever holds it has left."""
        lock, users = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[name]
            if users > 1:
                self._locks[name] = (lock, users - 1)
            else:
                del self._locks[name]

    def __len__(self) -> int:
        """Names that are held or awaited."""
        return len(self._locks)
