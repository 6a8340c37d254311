"""Keeps the generations that this node needs: fetches what is released, drops what nobody needs any more."""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pdshub import generation_id
from pdshub.api.decision import plain
from pdshub.api.report import FetchReason
from pdshub.node.image.inspection import ImageRefused, Inspector
from pdshub.node.store.fetch import DirectoryOrigin, Fetch, Inspect, Origin, SurveyorOrigin, Where
from pdshub.node.store.generations import Generation, Store
from pdshub.node.store.room import NoRoom, Room

log = logging.getLogger(__name__)

LONGEST = 500  # characters of why a fetch failed: some are the surveyor's
RETRY_SECONDS = (2.0, 60.0)  # the first and the longest wait after a failure
MAX_BYTES = 4 << 30
"""Of all generations of a node, where the installation says nothing else (nodePlugin.generations.maxBytes)."""
THREADS = 8
"""Generations that are fetched, or looked at, at the same time."""
_NOWHERE = Where("", "")
"""Of a generation that is here already."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Trouble:
    """Why the last attempt at a generation failed. `reason`: where it is one that an administrator has to end.
    `needed`, `missing`: bytes that it takes, and that would have to go for it."""

    text: str
    reason: FetchReason | None = None
    needed: int = 0
    missing: int = 0


def trouble(error: Exception) -> Trouble:
    """What an attempt ended with, in words and as a code. Pure."""
    text = plain(str(error) or repr(error), LONGEST)
    if isinstance(error, NoRoom):
        return Trouble(text, FetchReason.NO_ROOM, error.needed, error.missing)
    if isinstance(error, ImageRefused):
        return Trouble(text, FetchReason.REFUSED)
    if isinstance(error, OSError) and error.errno in _FULL:
        return Trouble("the disk of the node is full", FetchReason.NO_ROOM)
    return Trouble(text)


class GenerationCache:
    """One fetch a generation at a time, tried again until it succeeds or nobody needs the generation any more."""

    def __init__(
        self,
        store: Store,
        certificates: Path,
        changed: Callable[[], None],
        folder: Path | None = None,
        most: int = MAX_BYTES,
        inspect: Inspect | None = None,
    ) -> None:
        """`certificates`: directory of ca.crt, tls.crt and tls.key for the surveyors. `changed` is called when a
        generation has arrived, or could not be fetched for a new reason. `folder`: a directory of generations, instead
        of the surveyors. `most`: bytes of all generations together. `inspect`: whether an image may be mounted; an
        Inspector that knows the images that are here."""
        self.store, self.room = store, Room(store, most)
        self.inspect = inspect or _inspector(store)
        self.fetches = 0
        self.fetched_bytes = 0
        self.fetch_seconds = 0.0
        self.failures: dict[str, Trouble] = {}  # generation -> why the last attempt failed
        self._again: dict[str, asyncio.Event] = {}  # generation -> set when it is worth another attempt
        self._certificates, self._folder, self._changed = certificates, folder, changed
        self._running: dict[str, tuple[Fetch | None, asyncio.Task[None], Where]] = {}
        # its own: a surveyor that drips bytes keeps a thread, and nothing else may wait for it
        self._threads = ThreadPoolExecutor(THREADS, "fetch")

    def origin(self, where: Where) -> Origin:
        """How the surveyor of a view is asked."""
        return DirectoryOrigin(self._folder) if self._folder else SurveyorOrigin(where, self._certificates)

    def need(self, wanted: Mapping[str, Where]) -> None:
        """`wanted`: generation -> a surveyor that has it."""
        # fetched by an older plugin: they are here, and wait for a look at their images
        here = {name for name in self.store.names() if self.store.unlooked(name)}
        wanted = {**dict.fromkeys(here, _NOWHERE), **wanted}
        for name, (_, _, where) in list(self._running.items()):
            if wanted.get(name) != where:
                self._end(name)
        for name in self.failures.keys() - wanted.keys() - self._running.keys():
            del self.failures[name]
        for name, where in wanted.items():
            if name in self._running or self._refused(name) or self.store.get(name) is not None:
                continue
            if where.address or self._folder or name in here:
                self._running[name] = (None, asyncio.create_task(self._bring(name, where)), where)

    def _refused(self, name: str) -> bool:
        """Its bytes are what its name says: they will be no better next time."""
        return name in self.failures and self.failures[name].reason is FetchReason.REFUSED

    def again(self, name: str) -> None:
        """Try at once what waits for its next attempt: why the last one failed does not hold any more."""
        self.failures.pop(name, None)
        if name in self._again:
            self._again[name].set()

    def progress(self, name: str) -> str:
        """In words, what keeps a generation from being here."""
        short = generation_id.short(name)
        if name in self.failures:
            failed = self.failures[name]
            if failed.reason is FetchReason.NO_ROOM:
                advice = "; raise nodePlugin.generations.maxBytes" if failed.missing else ""
                return f"no room for generation {short}: {failed.text}{advice}"
            if failed.reason is FetchReason.REFUSED:
                return f"generation {short} is not mounted, no surveyor makes such an image: {failed.text}"
            return f"generation {short} can't be fetched: {failed.text}"
        fetch = self._running.get(name, (None,))[0]
        if fetch and fetch.size:
            return f"generation {short} is being fetched: {fetch.done * 100 // fetch.size} %"
        return (
            f"generation {short} is being fetched" if name in self._running else f"generation {short} is not here yet"
        )

    def keep_only(self, names: Collection[str]) -> None:
        """Drop every other generation from the disk; what is mounted lives on until it is not."""
        for name in self.store.keep_only(names):
            log.info("dropped generation %s", name)

    async def _bring(self, name: str, where: Where) -> None:
        wait = RETRY_SECONDS[0]
        while True:
            fetch = Fetch(name, self.origin(where), self.store, self.room, self.inspect)
            self._running[name] = (fetch, self._running[name][1], where)
            started = time.monotonic()
            try:
                await asyncio.get_running_loop().run_in_executor(self._threads, fetch.run)
            except asyncio.CancelledError:
                fetch.stop()
                raise
            except Exception as error:
                failed = trouble(error)
                if self.failures.get(name) != failed:
                    log.warning("generation %s from %s: %s", name, where.address or self._folder, failed.text)
                    self.failures[name] = failed
                    self._changed()
                if failed.reason is FetchReason.REFUSED:
                    self._running.pop(name, None)
                    return
            else:
                break
            await self._wait(name, wait)
            wait = min(2 * wait, RETRY_SECONDS[1])
        self.fetches += 1
        self.fetched_bytes += fetch.done
        self.fetch_seconds += time.monotonic() - started
        self.failures.pop(name, None)
        self._running.pop(name, None)
        log.info("generation %s is here: %d bytes in %.1f s", name, fetch.done, time.monotonic() - started)
        self._changed()

    async def _wait(self, name: str, seconds: float) -> None:
        """Until the next attempt: so many seconds, or until `again`."""
        self._again[name] = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._again[name].wait()
        except TimeoutError:
            pass
        finally:
            self._again.pop(name, None)

    def _end(self, name: str) -> None:
        fetch, task, _ = self._running.pop(name)
        if fetch:
            fetch.stop()
        task.cancel()
        self.room.give_back(name)
        self.failures.pop(name, None)

    def get(self, name: str) -> Generation | None:
        """A generation that is here, else None."""
        return self.store.get(name)

    async def close(self) -> None:
        """Stop all fetches and wait for their end."""
        tasks = [task for _, task, _ in self._running.values()]
        for name in list(self._running):
            self._end(name)
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)


def _inspector(store: Store) -> Inspector:
    """One that knows the images of the generations that are here."""
    made = Inspector()
    made.trust((image.digest, found.top) for found in store.all().values() for image in found.images)
    return made
