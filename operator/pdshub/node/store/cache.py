"""Keeps the generations that this node needs: fetches what is released, drops what nobody needs any more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from pdshub import generation_id
from pdshub.api.decision import plain
from pdshub.node.store.fetch import DirectoryOrigin, Fetch, Origin, SurveyorOrigin
from pdshub.node.store.generations import Generation, Store

log = logging.getLogger(__name__)

LONGEST = 500  # characters of why a fetch failed: some are the surveyor's
RETRY_SECONDS = (2.0, 60.0)  # the first and the longest wait after a failure


class GenerationCache:
    """One fetch a generation at a time, tried again until it succeeds or nobody needs the generation any more."""

    def __init__(
        self, store: Store, certificates: Path, changed: Callable[[], None], folder: Path | None = None
    ) -> None:
        """`certificates`: directory of ca.crt, tls.crt and tls.key for the surveyors. `changed` is called when a
        generation has arrived, or could not be fetched for a new reason. `folder`: a directory of generations, instead
        of the surveyors."""
        self.store = store
        self.fetches = 0
        self.fetched_bytes = 0
        self.fetch_seconds = 0.0
        self.failures: dict[str, str] = {}  # generation -> why the last attempt failed
        self._certificates, self._folder, self._changed = certificates, folder, changed
        self._running: dict[str, tuple[Fetch | None, asyncio.Task[None], str]] = {}

    def _origin(self, address: str) -> Origin:
        return DirectoryOrigin(self._folder) if self._folder else SurveyorOrigin(address, self._certificates)

    def need(self, wanted: Mapping[str, str]) -> None:
        """`wanted`: generation -> address of a surveyor that has it."""
        for name, (_, _, address) in list(self._running.items()):
            if wanted.get(name) != address:
                self._end(name)
        for name, address in wanted.items():
            if name not in self._running and (address or self._folder) and self.store.get(name) is None:
                self._running[name] = (None, asyncio.create_task(self._bring(name, address)), address)

    def progress(self, name: str) -> str:
        """In words, what keeps a generation from being here."""
        short = generation_id.short(name)
        if name in self.failures:
            return f"generation {short} can't be fetched: {self.failures[name]}"
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

    async def _bring(self, name: str, address: str) -> None:
        wait = RETRY_SECONDS[0]
        while True:
            fetch = Fetch(name, self._origin(address), self.store)
            self._running[name] = (fetch, self._running[name][1], address)
            started = time.monotonic()
            try:
                await asyncio.to_thread(fetch.run)
            except asyncio.CancelledError:
                fetch.stop()
                raise
            except Exception as error:
                text = plain(str(error) or repr(error), LONGEST)
                if self.failures.get(name) != text:
                    log.warning("generation %s from %s: %s", name, address or self._folder, text)
                    self.failures[name] = text
                    self._changed()
            else:
                break
            await asyncio.sleep(wait)
            wait = min(2 * wait, RETRY_SECONDS[1])
        self.fetches += 1
        self.fetched_bytes += fetch.done
        self.fetch_seconds += time.monotonic() - started
        self.failures.pop(name, None)
        self._running.pop(name, None)
        log.info("generation %s is here: %d bytes in %.1f s", name, fetch.done, time.monotonic() - started)
        self._changed()

    def _end(self, name: str) -> None:
        fetch, task, _ = self._running.pop(name)
        if fetch:
            fetch.stop()
        task.cancel()
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
