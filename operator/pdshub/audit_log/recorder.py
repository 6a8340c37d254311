"""The operator's way to its audit log: it never waits for a disk, and nothing is lost without a word.

What the operator itself has to say is queued and written as soon as it can be. Entries of hubs are kept by the hubs
until they are written. Where there is no volume, entries are lines of the operator's own log.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pdshub.audit_log import entry
from pdshub.audit_log.entry import Entry
from pdshub.audit_log.log import AuditLog, LockedError, Memory

log = logging.getLogger(__name__)

QUEUE = 10_000
"""Entries of the operator's own that wait for a disk; what comes then is counted, and lost."""
RETRY = 5.0
"""Seconds before the disk is tried again."""

Tell = Callable[[bool, str, str], None]
"""Says something as an event of Kubernetes: whether it is a warning, its reason, its message."""


@dataclass
class Figures:
    """What metrics say of the log."""

    enabled: bool = False
    written: int = 0
    """Entries that were written since the operator's start."""
    failed: int = 0
    """Attempts to write that failed."""
    lost: int = 0
    """Entries of the operator's own that could not be kept."""
    number: int = 0
    """Of the last entry."""
    pulled: Mapping[str, float] = field(default_factory=dict)
    """By hub, NAMESPACE/NAME: Unix time at which it answered last, 0 for never."""


class Recorder:
    """Writes entries, of the operator's own and of hubs. ``to``: the log, None where there is no volume."""

    def __init__(self, to: AuditLog | None = None, tell: Tell = lambda _warning, _reason, _message: None) -> None:
        self._log, self._tell = to, tell
        self.figures = Figures(enabled=to is not None)
        self._queue: deque[dict[str, Any]] = deque()
        self._wake, self._opened = asyncio.Event(), asyncio.Event()
        self._turn, self._flushing = asyncio.Lock(), asyncio.Lock()
        self._memory = Memory()
        self._failing = ""
        self._lost = 0

    # --- what others call

    def record(self, event: str, hub: str = "", **fields: Any) -> None:
        """Say that something happened. ``hub``: NAMESPACE/NAME. Returns at once."""
        made = {"event": event, **({"hub": hub} if hub else {}), **fields}
        if len(self._queue) >= QUEUE:
            self._lost += 1
            self.figures.lost += 1
            return
        self._queue.append(made)
        self._wake.set()

    async def keep(self, entries: Sequence[Entry]) -> bool:
        """Write entries of a hub now; False when that failed, and then none of them is written."""
        return await asyncio.shield(self._write(entries)) if entries else True

    async def memory(self) -> Memory:
        """What the log knows of hubs; waits until it is open."""
        await self._opened.wait()
        return self._memory

    @property
    def opened(self) -> bool:
        """Whether the log is open."""
        return self._opened.is_set()

    # --- the loop

    async def run(self) -> None:
        """Open the log, and write what is queued, for ever."""
        await _until(self._open)
        while True:
            await self._wake.wait()
            self._wake.clear()
            await _until(self.flush)

    async def flush(self) -> bool:
        """Write what is queued; False when that failed. Begun, it is done to its end, whoever is told to stop."""
        return await asyncio.shield(self._flush())

    async def _flush(self) -> bool:
        async with self._flushing:
            return await self._flush_queue()

    async def _flush_queue(self) -> bool:
        waiting = list(self._queue)
        lost = self._lost
        said = [{"event": entry.FAILED, "lost": lost, "why": self._failing}] if self._failing or lost else []
        if not waiting and not said:
            return True
        if not await self._write([*said, *waiting]):
            return False
        for _ in waiting:
            self._queue.popleft()
        self._lost -= lost
        return True

    async def close(self) -> None:
        """Write what is left, and let go of the log."""
        if self._opened.is_set():
            await self.flush()
        if self._log is not None:
            await asyncio.to_thread(self._log.close)

    # --- within

    async def _open(self) -> bool:
        if self._log is not None:
            try:
                await asyncio.to_thread(self._log.open)
            except (OSError, LockedError) as error:
                self._trouble(str(error))
                return False
            self._memory = self._log.memory
            self.figures.number = self._memory.number
        self._opened.set()
        return True

    async def _write(self, entries: Sequence[Entry]) -> bool:
        await self._opened.wait()
        async with self._turn:
            if self._log is None:
                for each in entries:
                    log.info("audit %s", json.dumps(entry.bounded(each), sort_keys=True))
                    self._learn(each)
                self.figures.written += len(entries)
                return True
            try:
                await asyncio.to_thread(self._log.append, entries)
            except OSError as error:
                self._trouble(str(error))
                return False
            self.figures.written += len(entries)
            self.figures.number = self._memory.number
            if self._failing:
                self._tell(False, "AuditLogWritten", "the audit log is written again")
                if not any(each.get("event") == entry.FAILED for each in entries):
                    self._queue.appendleft({"event": entry.FAILED, "lost": 0, "why": self._failing})
                    self._wake.set()
                self._failing = ""
            return True

    def _learn(self, each: Entry) -> None:
        """Without a volume only this process remembers how far hubs were read."""
        self._memory.learn(json.dumps(entry.bounded(each)).encode())

    def _trouble(self, why: str) -> None:
        self.figures.failed += 1
        if not self._failing:
            log.error("the audit log cannot be written: %s", why)
            self._tell(True, "AuditLogFailed", f"the audit log cannot be written: {why}; hubs keep what they can")
        self._failing = why[:200]


async def _until(work: Callable[[], Awaitable[bool]]) -> None:
    """Try again until it is done."""
    while True:
        if await work():
            return
        await asyncio.sleep(RETRY)
