"""An informer: a copy of some objects of the API server that a watch keeps current.

After a list or a watch failed, and before the first list, it is not ``current``: nobody may be answered from it. A
watch that goes silent though its connection is open ends after ``WATCH_SECONDS``; until then the copy is old.
Source: Kubernetes API Concepts, Efficient detection of changes; client-go, tools/cache/reflector.go.
"""

from __future__ import annotations

import asyncio
import logging
import time

from pdshub.kube import Kube, KubeError
from pdshub.object_cache import Changed, ObjectCache, Scope, key_of, version_number, version_of
from pdshub.watch import watch

log = logging.getLogger(__name__)

WATCH_SECONDS = 300
"""Seconds after which a watch is asked for anew: the bound for one that went silent without an error."""
GAP = 5.0
"""Seconds for which a copy still counts when its watch has ended and is being asked for anew."""
_DELAYS = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the next try, by how many in a row failed or ended at once."""

_HOPELESS = 3
"""Refusals (504) in a row after which everything is listed: a version that a restored etcd has not reached yet."""


class Informer(ObjectCache):
    """The copy of one scope that a watch of its own keeps current."""

    def __init__(self, kube: Kube, scope: Scope, changed: Changed) -> None:
        super().__init__(scope, changed)
        self._kube = kube
        self._version = ""
        """From where the watch goes on; empty when everything has to be listed."""
        self._open = False
        self._ended = 0.0
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

    # --- following the API server

    async def _run(self) -> None:
        failures, said = 0, ""
        while True:
            try:
                failures = 0 if await self._follow() else failures + 1
                said = ""
            except KubeError as error:
                failures += 1
                if error.status == 410:  # what happened meanwhile is not known any more
                    self._version = ""
                elif error.status == 504 and failures >= _HOPELESS:
                    self._version, self._afresh = "", True
                if failures > 1 and str(error) != said:  # once, however long it lasts
                    said = str(error)
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
                scope.resource,
                scope.namespace,
                labels=scope.labels,
                metadata_only=scope.metadata_only,
                fields=scope.fields,
            )
            self._replace(found, version_number(version))
            self._version = version or "0"
        async with watch(
            self._kube,
            scope.resource,
            scope.namespace,
            self._version,
            labels=scope.labels,
            metadata_only=scope.metadata_only,
            seconds=WATCH_SECONDS,
            fields=scope.fields,
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
