"""How much of the node's disk generations may take: never more, whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pdshub.node.store.generations import Generation, Store


class NoRoom(Exception):
    """The generation does not fit beside those that are kept. `needed`, `missing`: bytes that it takes, and that would
    have to go for it."""

    def __init__(self, needed: int, most: int, missing: int) -> None:
        """All in bytes. `needed`: by the generation; `most`: by all of them."""
        super().__init__(f"it takes {mib(needed)}, and {mib(max(needed - missing, 0))} of {mib(most)} are free")
        self.needed, self.missing = needed, missing


def mib(count: int) -> str:
    """Bytes for people: no less than there are."""
    return f"{-(-count >> 20)} MiB"


class Room:
    """The bound over what is stored and what is being fetched. For several threads."""

    def __init__(self, store: Store, most: int) -> None:
        """`most`: bytes of all generations together."""
        self._store, self.most = store, most
        self._claimed: dict[str, int] = {}  # generation -> bytes it will have
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes that are taken, or claimed by those who fetch."""
        with self._lock:
            return self._used()

    def _used(self) -> int:
        return sum({**self._store.sizes(), **self._claimed}.values()) + self._store.shared()

    def reserve(self, name: str, count: int) -> None:
        """Keep bytes that were freed for a generation, so that no other one takes them before it is fetched."""
        with self._lock:
            self._claimed[name] = count

    def give_back(self, name: str) -> None:
        """It is not needed any more, or has its own files now."""
        with self._lock:
            self._claimed.pop(name, None)

    @contextmanager
    def claim(self, generation: Generation, manifest: int) -> Iterator[None]:
        """Keep room for a generation until it is stored or given up. `manifest`: bytes of it. Raises NoRoom."""
        name, needed = generation.name, self._store.lacking(generation) + manifest
        with self._lock:
            self._claimed.pop(name, None)  # what was reserved for it
            missing = self._used() + needed - self.most
            if missing > 0:
                raise NoRoom(needed, self.most, missing)
            self._claimed[name] = needed
        try:
            yield
        finally:
            self.give_back(name)
