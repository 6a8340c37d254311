"""The client of the API server whose reads are answered from copies where these can answer.

* ``get`` of an object that an informer has is answered from it; that there is none is asked of the API server.
* Lists are answered by an informer that keeps everything that the list could find.
* Nothing is answered by an informer that is not current, or while it waits to hear of an own deletion.
* Contents of Secrets are never kept: ``get`` of a Secret always asks, ``metadata`` and ``get_metadata`` need not.
* ``live`` asks always. What takes something away is decided from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pdshub.informer import Informer
from pdshub.kube import Kube, Object, Resource
from pdshub.object_cache import Changed, FedCache, Key, ObjectCache, Scope, key_of, version_number, version_of
from pdshub.selector import Selector


class Informers:
    """The copies of a process: informers that always run, those of each namespace that is followed, and fed ones.

    ``always`` are scopes with what is told of their changes, ``each`` the scopes of a followed namespace, ``fed`` those
    of kinds that somebody else watches in the whole cluster, and whose events are given to ``feed``.
    """

    def __init__(
        self,
        kube: Kube,
        always: Iterable[tuple[Scope, Changed]],
        each: Callable[[str], Sequence[tuple[Scope, Changed]]],
        fed: Iterable[tuple[Scope, Changed]] = (),
    ) -> None:
        self._kube, self._each = kube, each
        self._always = [Informer(kube, scope, changed) for scope, changed in always]
        self._fed = {scope.resource: FedCache(scope, changed) for scope, changed in fed}
        self._followed: dict[str, list[Informer]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._listed: dict[Resource, tuple[dict[Key, int], dict[Key, int]]] = {}
        """By kind: versions when it was listed last, and those that were known then."""

    def start(self) -> None:
        """Begin to watch."""
        for informer in self._always:
            informer.start()

    async def close(self) -> None:
        """End all watches."""
        await asyncio.gather(*(informer.stop() for informer in self._watching()), *self._ending)

    def follow(self, namespaces: set[str]) -> None:
        """Watch these namespaces, beside what is always watched, and no others."""
        for namespace in namespaces - self._followed.keys():
            made = [Informer(self._kube, scope, changed) for scope, changed in self._each(namespace)]
            self._followed[namespace] = made
            for informer in made:
                informer.start()
        for namespace in self._followed.keys() - namespaces:
            for informer in self._followed.pop(namespace):
                task = asyncio.create_task(informer.stop())
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)

    def _watching(self) -> list[Informer]:
        return [*self._always, *(informer for made in self._followed.values() for informer in made)]

    @property
    def caches(self) -> list[ObjectCache]:
        """Every copy, whoever feeds it."""
        return [*self._fed.values(), *self._watching()]

    def of(self, resource: Resource, namespace: str) -> Iterator[ObjectCache]:
        """Copies that may have objects of a kind; ``namespace`` is empty for all of them."""
        for informer in (*self._fed.values(), *self._always, *self._followed.get(namespace, ())):
            scope = informer.scope
            if scope.resource == resource and scope.namespace in ("", namespace):
                yield informer

    def objects(self, resource: Resource) -> list[Object]:
        """What is known of a kind that is watched in the whole cluster; empty before its first list."""
        return [item for informer in self.of(resource, "") for item in informer.objects.values()]

    def behind(self, resource: Resource, listed: Iterable[Object]) -> bool:
        """Whether a watch has gone silent: a copy does not know yet what the list before this one had.

        So it is, too, when the copy knew more then than the API server has now: its store was brought back. ``listed``
        is all of a kind, read from the API server just now.
        """
        now = {key_of(item): version_of(item) for item in listed}
        known = {key: version_of(item) for informer in self.of(resource, "") for key, item in informer.objects.items()}
        before, remembered = self._listed.get(resource, ({}, {}))
        self._listed[resource] = now, known
        if resource in self._fed and not self._fed[resource].begun:  # nobody has told of the first list yet
            return False
        missed = any(known.get(key, 0) < version for key, version in before.items() if key in now)
        newer = any(now[key] < version for key, version in remembered.items() if key in now)
        gone = (known.keys() - now.keys()) & (remembered.keys() - before.keys())
        return missed or newer or bool(gone)

    def restart(self) -> None:
        """Believe nothing until everything has been listed again."""
        for informer in self._watching():
            informer.restart()
        for cache in self._fed.values():
            cache.doubt(afresh=True)

    # --- kinds that somebody else watches

    @property
    def agreed(self) -> bool:
        """Whether every copy that is fed is current."""
        return all(cache.current for cache in self._fed.values())

    def believed(self, cache: ObjectCache) -> bool:
        """Whether a copy may count: not one that is fed while every watch of our own finds the API server away."""
        return not isinstance(cache, FedCache) or not self._always or any(each.current for each in self._always)

    def feed(self, resource: Resource, kind: str | None, item: Object) -> None:
        """Take up an event of a kind that is fed: its type, None for an object of the first list, and the object."""
        self._fed[resource].feed(kind, item)

    def compare(self, resource: Resource, listed: Iterable[Object], version: str) -> None:
        """Compare the copy of a kind that is fed with all of it, as the API server listed it just now."""
        self._fed[resource].compare(listed, version_number(version))

    def doubt(self) -> None:
        """The API server does not answer: nobody can tell whether copies that are fed are behind."""
        for cache in self._fed.values():
            cache.doubt()

    async def refill(self) -> None:
        """List the kinds that are fed, whole, and take that over. Raises KubeError."""
        for cache in self._fed.values():
            listed, version = await self._kube.snapshot(cache.scope.resource, "", labels="", metadata_only=False)
            cache.fill(listed, version_number(version))


class CachedKube(Kube):
    """A Kube over informers. Objects that it returns are shared with them: nobody may change them."""

    def __init__(self, kube: Kube, informers: Informers, *, asks: bool = False) -> None:
        super().__init__(kube._client, kube.in_cluster, kube.own)
        self._informers, self._asks = informers, asks

    @property
    def live(self) -> Kube:
        """Reads ask the API server; what is written is known to the informers all the same."""
        return self if self._asks else CachedKube(self, self._informers, asks=True)

    async def _answering(self, resource: Resource, namespace: str, metadata_only: bool) -> list[ObjectCache]:
        """Copies that may answer now."""
        if self._asks:
            return []
        found = [
            informer
            for informer in self._informers.of(resource, namespace if resource.namespaced else "")
            if metadata_only or not informer.scope.metadata_only
        ]
        return [informer for informer in found if await informer.ready() and self._informers.believed(informer)]

    async def _known(self, resource: Resource, name: str, namespace: str | None, metadata_only: bool) -> Object | None:
        key = (namespace or "" if resource.namespaced else "", name)
        for informer in await self._answering(resource, key[0], metadata_only):
            if not informer.unsure(key) and (found := informer.objects.get(key)) is not None:
                return found
        return None

    async def _found(
        self, resource: Resource, namespace: str, labels: str, metadata_only: bool, fields: str = ""
    ) -> list[Object] | None:
        wanted = Selector.parse(labels)
        for informer in await self._answering(resource, namespace, metadata_only):
            if informer.scope.fields == fields and wanted.within(informer.selector) and not informer.unsure():
                return [
                    item
                    for (where, _), item in sorted(informer.objects.items())
                    if namespace in ("", where) and wanted.matches(item["metadata"].get("labels") or {})
                ]
        return None

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """One object, None when there is none."""
        known = await self._known(resource, name, namespace, False)
        return known if known is not None else await super().get(resource, name, namespace)

    async def get_metadata(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """Metadata alone of one object, None when there is none."""
        known = await self._known(resource, name, namespace, True)
        return known if known is not None else await super().get_metadata(resource, name, namespace)

    async def items(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> list[Object]:
        """All objects of a kind, of one namespace or all of them."""
        known = await self._found(resource, namespace or "", labels, False, fields)
        return known if known is not None else await super().items(resource, namespace, labels=labels, fields=fields)

    async def metadata(self, resource: Resource, namespace: str, *, labels: str) -> list[Object]:
        """Metadata alone of the objects of a kind."""
        known = await self._found(resource, namespace, labels, True)
        return known if known is not None else await super().metadata(resource, namespace, labels=labels)

    @contextmanager
    def _writing(
        self, resource: Resource, name: str, namespace: str | None
    ) -> Iterator[Callable[[Object | None], None]]:
        """A write; what the API server returned is to be given to the function, None for "there is none"."""
        key = (namespace or "" if resource.namespaced else "", name)
        informers = list(self._informers.of(resource, key[0]))
        with ExitStack() as stack:
            told = [stack.enter_context(informer.writing(key)) for informer in informers]

            def wrote(item: Object | None) -> None:
                for informer, tell in zip(informers, told, strict=True):
                    if item is None or _ended(item):
                        informer.deleted(key)
                    else:
                        tell(item)

            yield wrote

    async def _post(self, resource: Resource, body: Object) -> Object | None:
        meta = body["metadata"]
        with self._writing(resource, str(meta.get("name", "")), meta.get("namespace")) as wrote:
            made = await super()._post(resource, body)
            if made is not None:
                wrote(made)
        return made

    async def apply(self, resource: Resource, body: Object, manager: str) -> Object:
        """Server-side apply with force: the fields of ``body`` are ours."""
        meta = body["metadata"]
        with self._writing(resource, str(meta["name"]), meta.get("namespace")) as wrote:
            made = await super().apply(resource, body, manager)
            wrote(made)
        return made

    async def patch(
        self, resource: Resource, name: str, body: Object, namespace: str | None = None, subresource: str = ""
    ) -> Object | None:
        """Merge patch (lists replace, null deletes); None when the object is gone."""
        with self._writing(resource, name, namespace) as wrote:
            made = await super().patch(resource, name, body, namespace, subresource)
            wrote(made)
        return made

    async def _remove(self, resource: Resource, name: str, namespace: str | None, grace: int | None) -> Object | None:
        with self._writing(resource, name, namespace) as wrote:
            gone = await super()._remove(resource, name, namespace, grace)
            # the answer is a Status, or the object: with the time of its deletion while something holds it
            wrote(gone if gone and (gone.get("metadata") or {}).get("deletionTimestamp") else None)
        return gone


def _ended(item: Object) -> bool:
    """Whether nothing holds a deleted object any more."""
    meta = item["metadata"]
    held = meta.get("finalizers") or meta.get("deletionGracePeriodSeconds")
    return bool(meta.get("deletionTimestamp")) and not held
