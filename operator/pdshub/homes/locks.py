"""One at a time at a volume: among threads of the driver and among processes, such as its commands in a shell.

The lock is a file's (flock(2)): it goes with whoever holds it, however that ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POOL = "pool"
"""The lock of whoever takes room from the pool. Taken while a volume's is held, never the other way round."""


class Locks:
    """Locks by name, as files of a folder. Names are ids (names.py) and POOL."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Make the folder. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Hold the lock of ``name``, once whoever holds it has let go. Raises OSError."""
        while True:
            held = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(held, fcntl.LOCK_EX)
                if self._is_current(held, name):
                    yield
                    return
            finally:
                os.close(held)

    def forget(self, name: str) -> None:
        """Remove the file of a volume that is gone; only by who holds it."""
        (self._folder / name).unlink(missing_ok=True)

    def _is_current(self, held: int, name: str) -> bool:
        """Whether the file still has its name: one that was forgotten meanwhile is nobody else's lock."""
        try:
            now = os.stat(self._folder / name, follow_symlinks=False)  # noqa: PTH116
        except FileNotFoundError:
            return False
        return os.path.samestat(now, os.fstat(held))
