"""Looks at the stamp file of a release, from a thread that a dead server may block for good."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path


class Stamp:
    """Looks at a file without waiting for a dead server: while one look hangs, there is no other."""

    def __init__(self) -> None:
        self._looking = False

    async def look(self, path: Path, seconds: float = 5.0) -> str | None:
        """The file's state as text, "" when there is none; None when it can not be told now."""
        if self._looking:
            return None
        self._looking = True
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str | None] = loop.create_future()

        def settle(value: str | None) -> None:
            self._looking = False
            if not answer.done():
                answer.set_result(value)

        def work() -> None:
            value = _state(path)
            try:
                loop.call_soon_threadsafe(settle, value)
            except RuntimeError:
                return  # the program ends

        threading.Thread(target=work, name="stamp", daemon=True).start()
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            return None


def _state(path: Path) -> str | None:
    try:
        st = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError:
        return None
    return f"{st.st_size} {st.st_mtime_ns} {st.st_ctime_ns} {st.st_ino}"
