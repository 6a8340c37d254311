"""An informer: a copy of some objects of the API server that a watch keeps current.

What a copy can and cannot know:

* It follows the API server by a few milliseconds. What the operator itself writes is in it when the write returns.
* After a list or a watch failed, and before the first list, it is not ``current``: nobody may be answered from it.
* A watch that goes silent though its connection is open ends after ``WATCH_SECONDS``; until then the copy is old.

So it may say that nothing is to be done, but what takes something away is decided from the API server itself.
Source: Kubernetes API Concepts, Efficient detection of changes; client-go, tools/cache/reflector.go.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pdshub.kube import Kube, KubeError, Object, Resource
from pdshub.selector import Selector
from pdshub.watch import watch

log = logging.getLogger(__name__)

WATCH_SECONDS = 300
"""Seconds after which a watch is asked for anew: the bound for one that went silent without an error."""
GAP = 5.0
"""Seconds for which a copy still counts when its watch has ended and is being asked for anew."""
FIRST = 5.0
"""Seconds that a reader waits for the first list."""
_DELAYS = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the next try, by how many in a row failed or ended at once."""

_HOPELESS = 3
"""Refusals (504) in a row after which everything is listed: a version that a restored etcd has not reached yet."""

Key = tuple[str, str]
"""Namespace and name."""
Changed = Callable[[Object | None, Object | None, bool], None]
"""What is told of a change: the object before and after it, and whether this process wrote it."""


def key_of(item: Object) -> Key:
    """Namespace (empty for what has none) and name of an object."""
    meta = item["metadata"]
    return str(meta.get("namespace") or ""), str(meta["name"])


def version_of(item: Object | None) -> int:
    """resourceVersion as a number, 0 for no object.

    Source: Kubernetes API Concepts, Resource versions: those of one kind are compared as numbers.
    """
    text = str(((item or {}).get("metadata") or {}).get("resourceVersion") or "")
    return int(text) if text.isdigit() else 0


@dataclass(frozen=True)
class Scope:
    """Which objects an informer keeps, and what of them."""

    resource: Resource
    namespace: str = ""
    """Empty: all namespaces."""
    labels: str = ""
    """A selector; empty: all objects."""
    metadata_only: bool = False
    """Neither asked for nor kept is the rest: so it is with Secrets."""
    slim: Callable[[Object], Object] = dict
    """Leaves out what nobody reads."""


class Informer:
    """The copy of one scope, by namespace and name. Its objects are shared: nobody may change them."""

    def __init__(self, kube: Kube, scope: Scope, changed: Changed) -> None:
        self.scope = scope
        self.selector = Selector.parse(scope.labels)
        self.objects: dict[Key, Object] = {}
        self._kube, self._changed = kube, changed
        self._version = ""
        """From where the watch goes on; empty when everything has to be listed."""
        self._afresh = False
        """What is listed next counts though its versions are older: the API server's store was brought back."""
        self._open = False
        self._ended = 0.0
        self._tried = asyncio.Event()
        self._unsure: dict[Key, str] = {}
        """Objects that were deleted by this process, and their uid, until the watch says so."""
        self._writing: dict[Key, int] = {}
        self._held: dict[Key, list[tuple[Object | None, int]]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to list and watch."""
        self._task = asyncio.create_task(self._run(), name=f"informer {self.scope.resource.plural}")

    async def stop(self) -> None:
        """End the watch."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def restart(self) -> None:
        """Believe nothing of the copy until everything has been listed again."""
        if self._task:
            self._task.cancel()
        self._version, self._afresh, self._open, self._ended = "", True, False, 0.0
        self.start()

    @property
    def current(self) -> bool:
        """Whether readers may be answered from the copy."""
        return bool(self._version) and (self._open or time.monotonic() - self._ended < GAP)

    async def ready(self) -> bool:
        """Whether the copy may answer, after the first list was tried."""
        if not self._tried.is_set():
            try:
                await asyncio.wait_for(self._tried.wait(), FIRST)
            except TimeoutError:
                return False
        return self.current

    def unsure(self, key: Key | None = None) -> bool:
        """Whether this process deleted the object (any object, without a key) and the watch has not said so yet."""
        return bool(self._unsure) if key is None else key in self._unsure

    # --- following the API server

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                failures = 0 if await self._follow() else failures + 1
            except KubeError as error:
                failures += 1
                if error.status == 410:  # what happened meanwhile is not known any more
                    self._version = ""
                elif error.status == 504 and failures >= _HOPELESS:
                    self._version, self._afresh = "", True
                if failures > 1:
                    log.warning("watching %s: %s", self.scope.resource.plural, error)
            except Exception:
                failures += 1
                self._version = ""
                log.exception("watching %s", self.scope.resource.plural)
            self._tried.set()
            await asyncio.sleep(_DELAYS[min(failures, len(_DELAYS) - 1)])

    async def _follow(self) -> bool:
        """List where that is needed, and watch until the watch ends. True when it lasted, or told something."""
        scope, told, began = self.scope, False, time.monotonic()
        if not self._version:
            found, version = await self._kube.snapshot(
                scope.resource, scope.namespace, labels=scope.labels, metadata_only=scope.metadata_only
            )
            self._replace(found, int(version or 0))
            self._version = version or "0"
        async with watch(
            self._kube,
            scope.resource,
            scope.namespace,
            self._version,
            labels=scope.labels,
            metadata_only=scope.metadata_only,
            seconds=WATCH_SECONDS,
        ) as events:
            self._open = True
            self._tried.set()
            try:
                async for kind, item in events:
                    told = True
                    if kind != "BOOKMARK":
                        self._hear(key_of(item), None if kind == "DELETED" else item, version_of(item))
                    self._version = str(item["metadata"]["resourceVersion"])
            finally:
                self._open, self._ended = False, time.monotonic()
        return told or time.monotonic() - began > _DELAYS[-1]

    def _replace(self, found: list[Object], version: int) -> None:
        """Everything as of a version; what this process has written since then stays."""
        listed = {key_of(item): item for item in found}
        if self._afresh:
            self.objects = {key: _unversioned(item) for key, item in self.objects.items()}
            self._afresh = False
        for key in [key for key in self.objects if key not in listed]:
            self._hear(key, None, version)
        for key in [key for key in self._unsure if key not in listed]:
            del self._unsure[key]
        for key, item in listed.items():
            self._hear(key, item, version_of(item))

    def _hear(self, key: Key, item: Object | None, version: int) -> None:
        if key in self._writing:
            self._held.setdefault(key, []).append((item, version))
        else:
            self._keep(key, item, version, own=False)

    def _keep(self, key: Key, item: Object | None, version: int, *, own: bool) -> None:
        old = self.objects.get(key)
        uid = self._unsure.get(key)
        if uid is not None and (item is None or item["metadata"].get("uid") != uid):
            del self._unsure[key]
        # a deletion has the version of the last write where that write ended the object
        if version < version_of(old) or (item is not None and version == version_of(old)):
            return
        new = None if item is None else self._shaped(item)
        if new is None:
            self.objects.pop(key, None)
        else:
            self.objects[key] = new
        if old is not None or new is not None:
            self._changed(old, new, own)

    def _shaped(self, item: Object) -> Object:
        if self.scope.metadata_only:
            return self.scope.slim({"metadata": item["metadata"]})
        resource = self.scope.resource
        return self.scope.slim({**item, "apiVersion": resource.api, "kind": resource.kind})

    # --- writes of this process

    @contextmanager
    def writing(self, key: Key) -> Iterator[Callable[[Object], None]]:
        """A write of this process; what it returned is to be given to the function.

        What the watch tells of the object meanwhile waits: else an own write would look like somebody else's.
        """

        def wrote(item: Object) -> None:
            if self.selector.matches(item["metadata"].get("labels") or {}):
                self._keep(key, item, version_of(item), own=True)

        self._writing[key] = self._writing.get(key, 0) + 1
        try:
            yield wrote
        finally:
            self._writing[key] -= 1
            if not self._writing[key]:
                del self._writing[key]
                for item, version in self._held.pop(key, []):
                    self._keep(key, item, version, own=False)

    def deleted(self, key: Key) -> None:
        """This process deleted the object, or was told that there is none: readers ask the API server until then."""
        if (known := self.objects.get(key)) is not None:
            self._unsure[key] = str(known["metadata"].get("uid") or "")


def _unversioned(item: Object) -> Object:
    """An object that every other version replaces."""
    return {**item, "metadata": {k: v for k, v in item["metadata"].items() if k != "resourceVersion"}}
