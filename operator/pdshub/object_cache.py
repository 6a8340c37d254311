"""A copy of some objects of the API server, whoever keeps it current: an informer's watch, or kopf's events.

What a copy can and cannot know:

* It follows the API server by a few milliseconds. What the operator itself writes is in it when the write returns.
* While it is not ``current`` nobody may be answered from it.
* A watch that goes silent though its connection is open is noticed late; until then the copy is old.

So it may say that nothing is to be done, but what takes something away is decided from the API server itself.
Source: Kubernetes API Concepts, Efficient detection of changes; client-go, tools/cache.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pdshub.kube import Object, Resource
from pdshub.selector import Selector

FIRST = 5.0
"""Seconds that readers wait for the first list, once."""

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
    return version_number(str(((item or {}).get("metadata") or {}).get("resourceVersion") or ""))


def version_number(text: str) -> int:
    """A resourceVersion as a number, 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() else 0


@dataclass(frozen=True)
class Scope:
    """Which objects an informer keeps, and what of them."""

    resource: Resource
    namespace: str = ""
    """Empty: all namespaces."""
    labels: str = ""
    """A selector; empty: all objects."""
    fields: str = ""
    """A selector by fields; empty: all objects. Lists are answered that have the same, and no others."""
    metadata_only: bool = False
    """Neither asked for nor kept is the rest: so it is with Secrets."""
    slim: Callable[[Object], Object] = dict
    """Leaves out what nobody reads."""


class ObjectCache(ABC):
    """The copy of one scope, by namespace and name. Its objects are shared: nobody may change them."""

    def __init__(self, scope: Scope, changed: Changed) -> None:
        self.scope = scope
        self.selector = Selector.parse(scope.labels)
        self.objects: dict[Key, Object] = {}
        self._changed = changed
        self._afresh = False
        """What is listed next counts though its versions are older: the API server's store was brought back."""
        self._tried = asyncio.Event()
        self._unsure: dict[Key, str] = {}
        """Objects that were deleted by this process, and their uid, until the API server says so."""
        self._writing: dict[Key, int] = {}
        self._held: dict[Key, list[tuple[Object | None, int]]] = {}

    @property
    @abstractmethod
    def current(self) -> bool:
        """Whether readers may be answered from the copy."""

    async def ready(self) -> bool:
        """Whether the copy may answer, after the first list was tried."""
        if not self._tried.is_set():
            try:
                await asyncio.wait_for(self._tried.wait(), FIRST)
            except TimeoutError:
                self._tried.set()
        return self.current

    def unsure(self, key: Key | None = None) -> bool:
        """Whether this process deleted the object (any object, without a key) and the watch has not said so yet."""
        return bool(self._unsure) if key is None else key in self._unsure

    # --- what the API server tells

    def _replace(self, found: list[Object], version: int) -> None:
        """Everything as of a version; what this process has written since then stays."""
        listed = {key_of(item): item for item in found}
        if self._afresh:
            self.objects = {key: _unversioned(item) for key, item in self.objects.items()}
            self._afresh = False
        self._drop(listed, version)
        for key, item in listed.items():
            self._hear(key, item, version_of(item))

    def _drop(self, listed: Container[Key], version: int) -> None:
        """Take away what a list of that version no longer has."""
        for key in [key for key in self.objects if key not in listed]:
            self._hear(key, None, version)
        for key in [key for key in self._unsure if key not in listed]:
            del self._unsure[key]

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


class FedCache(ObjectCache):
    """A copy that is fed with the events of somebody else's watch, kopf's, and compared with lists.

    Such events name no deletion that was missed while the watch was away, and nobody says whether it is away: only a
    list tells. The copy is current from the first list on that has nothing which it lacks.
    """

    def __init__(self, scope: Scope, changed: Changed) -> None:
        super().__init__(scope, changed)
        self._agreed = False
        self.begun = False
        """Whether a list has ever agreed: until then the first events are still on their way."""

    @property
    def current(self) -> bool:
        """Whether a list agreed, and the API server has answered since."""
        return self._agreed

    def feed(self, kind: str | None, item: Object) -> None:
        """Take up an event: its type (None for an object of the first list), and the object."""
        self._hear(key_of(item), None if kind == "DELETED" else item, version_of(item))

    def compare(self, listed: Iterable[Object], version: int) -> None:
        """Take away what a list (metadata is enough) no longer has; believe the copy where it lacks nothing."""
        versions = {key_of(item): version_of(item) for item in listed}
        self._drop(versions, version)
        if all(version_of(self.objects.get(key)) >= of for key, of in versions.items()):
            self._agree()

    def fill(self, listed: list[Object], version: int) -> None:
        """Take over a list of whole objects."""
        self._replace(listed, version)
        self._agree()

    def _agree(self) -> None:
        self._agreed = self.begun = True
        self._tried.set()

    def doubt(self, *, afresh: bool = False) -> None:
        """Believe nothing until a list agrees. ``afresh``: nor that what is listed then must not be older."""
        self._agreed, self._afresh = False, self._afresh or afresh
        self._tried.set()


def _unversioned(item: Object) -> Object:
    """An object that every other version replaces."""
    return {**item, "metadata": {k: v for k, v in item["metadata"].items() if k != "resourceVersion"}}
