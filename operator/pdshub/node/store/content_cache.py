"""Keeps what travels with the generations of this node: fetches it when it is there, makes images of packs.

A generation is shown without waiting for it. One at a time: an image takes a processor for seconds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdshub.api.decision import plain
from pdshub.archive.content import document
from pdshub.archive.content.document import Content, DocumentError
from pdshub.archive.content.pack import Pack
from pdshub.generation_id import short
from pdshub.node.image.inspection import ImageRefused
from pdshub.node.pack import build
from pdshub.node.pack.build import PackRefused
from pdshub.node.store.cache import LONGEST
from pdshub.node.store.contents import Contents
from pdshub.node.store.fetch import Inspect, Origin, Where, copy
from pdshub.node.store.generations import MAX_IMAGE, Store

log = logging.getLogger(__name__)

RETRY_SECONDS = (5.0, 300.0)
"""The first and the longest wait after a failure."""
NEEDS = "layers for data alone are there from Linux 6.5 on"
_TOLD = 100  # contents whose words are remembered
MAX_BYTES = 32 << 30
"""Of all packs' images of a node."""


class ContentRefused(Exception):
    """It is not what a surveyor makes; the text says why."""


def able(release: str) -> bool:
    """Whether a kernel takes packs: it has data-only layers from Linux 6.5 on. ``release`` as of uname(2)."""
    return tuple(int(part) for part in re.findall(r"\d+", release)[:2]) >= (6, 5)


@dataclass(frozen=True)
class Wanted:
    """What travels with a generation: where it is, and the digest that was said of it."""

    where: Where
    digest: str


class Fetch:
    """One attempt, in a thread of its own. `stop` ends it from another one."""

    def __init__(
        self, generation: str, origin: Origin, store: Store, contents: Contents, inspect: Inspect, most: int
    ) -> None:
        """`most`: bytes that all images of packs may take."""
        self._generation, self._origin, self._store, self._contents = generation, origin, store, contents
        self._inspect, self._most = inspect, most
        self.bytes = 0
        self._stop = threading.Event()

    def stop(self) -> None:
        """Let `run` end with OSError soon."""
        self._stop.set()

    def _go_on(self, count: int) -> None:
        self.bytes += count
        if self._stop.is_set():
            raise OSError("stopped")

    def run(self) -> Content:
        """Raises OSError, http.client.HTTPException, ContentRefused, PackRefused, ImageRefused, GenerationError."""
        raw = self._document()
        try:
            content = document.parse(raw)
        except DocumentError as error:
            raise ContentRefused(str(error)) from None
        held = self._store.get(self._generation)
        if held is None:
            raise OSError(f"generation {short(self._generation)} is not here any more")
        if content.generation != self._generation:
            raise ContentRefused(f"it is of {content.generation}")
        named = [(document.image_name(image.name), image.source) for image in held.images]
        if [(image.name, image.source) for image in content.images] != named:
            raise ContentRefused("its catalogs are not those of the generation")
        if any(image.size > MAX_IMAGE for image in content.images):
            raise ContentRefused("a catalog is too large")
        for pack in self._contents.lacking(content):
            self._pack(pack)
        made = Path(tempfile.mkdtemp(prefix=".content-", dir=self._store.path(self._generation)))
        try:
            for image in content.images:
                with closing(self._origin.image(self._generation, image)) as stream:
                    copy(stream, made / image.name, image.size, image.digest, self._go_on)
                self._inspect(made / image.name, image.digest, image.size, held.top)
            (made / document.FILE).write_bytes(raw)
            self._contents.put(made, self._store.path(self._generation))
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return content

    def _document(self) -> bytes:
        with closing(self._origin.content(self._generation)) as stream:
            raw = stream.read(document.MAX_BYTES + 1)
        self._go_on(len(raw))
        return raw

    def _pack(self, pack: Pack) -> None:
        free = self._most - self._contents.size()
        if build.room(pack) > free:
            raise OSError(f"packs take more than nodePlugin.packs.maxBytes: {free >> 20} MiB of it are free")
        with closing(self._origin.pack(pack)) as stream:
            self._contents.put_pack(build.build(stream, pack, self._contents.aside, self._go_on), pack)


class ContentCache:
    """One fetch at a time, of what is wanted and not here."""

    def __init__(
        self, store: Store, contents: Contents, origin: Callable[[Where], Origin], inspect: Inspect,
        changed: Callable[[], None], most: int = MAX_BYTES,
    ) -> None:  # fmt: skip
        """`origin`: how a surveyor is asked. `changed` is called when a content has arrived, or failed anew."""
        self.contents, self._store, self._origin, self._inspect = contents, store, origin, inspect
        self._changed, self.most = changed, most
        self.failures: dict[str, str] = {}  # generation -> why it could not be had
        self.used = contents.size()
        """Bytes that the packs' images take."""
        self.fetches = 0
        self.fetched_bytes = 0
        self._wanted: dict[str, Wanted] = {}
        self._told: dict[str, dict[str, Any]] = {}  # by digest: one that is mounted outlives its files
        self._refused: dict[str, str] = {}  # generation -> digest of what is no better next time
        self._again: dict[str, tuple[float, float]] = {}  # generation -> not before (monotonic), wait
        self._busy: tuple[str, Fetch] | None = None
        self._task: asyncio.Task[None] | None = None
        self._able = able(os.uname().release)

    def held(self, names: Collection[str]) -> dict[str, str]:
        """Generation -> digest of what travels with it and is here."""
        found = {name: self.contents.get(self._store.path(name)) for name in names} if self._able else {}
        return {name: held.digest for name, held in found.items() if held is not None}

    def why(self, name: str) -> str:
        """Why a generation's content is not here, where it is not on its way."""
        if not self._able:
            return f"Linux {os.uname().release} reads all bytes from the sources: {NEEDS}"
        return self.failures.get(name, "")

    def said(self, mounted: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """What users are told of it. `mounted`: generation -> digest of the content whose catalog is mounted."""
        for name in mounted:
            held = self.contents.get(self._store.path(name))
            if held is not None:
                local, wanted = held.content.local, held.content.wanted
                self._told[held.digest] = {
                    "digest": held.digest, "complete": held.content.complete, "files": local.files,
                    "bytes": local.bytes, "wantedFiles": wanted.files, "wantedBytes": wanted.bytes,
                }  # fmt: skip
        self._told = dict(list(self._told.items())[-_TOLD:])
        return {name: self._told[digest] for name, digest in mounted.items() if digest in self._told}

    def need(self, wanted: Mapping[str, Wanted]) -> None:
        """What shall be here, by generation; of those that are stored the first that is not here is fetched."""
        self._wanted = dict(wanted)
        for known in (self.failures, self._again, self._refused):
            for gone in known.keys() - wanted.keys():
                del known[gone]
        if self._busy and self._busy[0] not in wanted:
            self._busy[1].stop()
        name = self._next() if self._able and self._task is None else None
        if name is not None:
            fetch = Fetch(name, self._origin(wanted[name].where), self._store, self.contents, self._inspect, self.most)
            self._busy = (name, fetch)
            self._task = asyncio.create_task(self._bring(name, wanted[name], fetch))

    def _next(self) -> str | None:
        now = time.monotonic()
        here = self.held([name for name in self._wanted if self._store.get(name)])
        for name, one in self._wanted.items():
            waits = self._again.get(name, (0.0, 0.0))[0] > now or self._refused.get(name) == one.digest
            if not waits and self._store.get(name) and here.get(name) != one.digest and one.where.address:
                return name
        return None

    async def _bring(self, name: str, wanted: Wanted, fetch: Fetch) -> None:
        started = time.monotonic()
        try:
            content = await asyncio.to_thread(fetch.run)
        except (ContentRefused, PackRefused, ImageRefused) as error:
            self._failed(name, f"refused: {error}")
            self._refused[name] = wanted.digest
        except Exception as error:
            self._failed(name, str(error) or repr(error))
            wait = min(2 * self._again.get(name, (0.0, RETRY_SECONDS[0] / 2))[1], RETRY_SECONDS[1])
            self._again[name] = (time.monotonic() + wait, wait)
        else:
            self.failures.pop(name, None)
            # what came may be older than what was said, or newer: the operator says it in a moment
            self._again[name] = (time.monotonic() + RETRY_SECONDS[0], RETRY_SECONDS[0] / 2)
            self.fetches += 1
            log.info(
                "%d files travel with generation %s: %d bytes in %.1f s",
                content.local.files, short(name), fetch.bytes, time.monotonic() - started,
            )  # fmt: skip
            self._changed()
        finally:
            self.fetched_bytes += fetch.bytes
            self._task = self._busy = None
            self.used = self.contents.size()

    def _failed(self, name: str, text: str) -> None:
        text = plain(text, LONGEST)
        if self.failures.get(name) != text:
            log.warning("what travels with generation %s: %s", short(name), text)
            self.failures[name] = text
            self._changed()

    def keep_only(self, names: Collection[str]) -> None:
        """Drop the images of packs that none of these generations' contents names."""
        if self._task is not None:
            return  # one that was made just now is named in a moment
        held = (self.contents.get(self._store.path(name)) for name in names)
        for digest in self.contents.keep_only({one.digest for found in held if found for one in found.content.packs}):
            log.info("dropped pack %s", short(digest))
        self.used = self.contents.size()

    async def close(self) -> None:
        """Stop what runs and wait for its end."""
        if self._busy and self._task:
            self._busy[1].stop()
            await asyncio.gather(self._task, return_exceptions=True)
