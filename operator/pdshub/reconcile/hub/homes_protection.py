"""Volumes of homes are kept: set to Retain as soon as their claim is bound, and all of them again at each resync."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from pdshub.kube import CLAIM, Kube, KubeError, Object
from pdshub.reconcile.hub.act.protect import retain, retain_all
from pdshub.render.names import HOME_LABELS, HUB_LABEL

log = logging.getLogger(__name__)

_LABELS = ",".join([HUB_LABEL, *(f"{key}={value}" for key, value in HOME_LABELS.items())])


def is_home(claim: Object) -> bool:
    """Whether a claim is the home of a hub's user."""
    labels = claim["metadata"].get("labels") or {}
    return HUB_LABEL in labels and HOME_LABELS.items() <= labels.items()


class HomesProtection:
    """Protects homes, each in a task of its own."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, claim: Object) -> None:
        """Protect the volume of a home that changed; what fails is done by the next resync."""
        task = asyncio.create_task(self._protect(claim))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _protect(self, claim: Object) -> None:
        try:
            await retain(self._kube, claim)
        except KubeError as error:
            log.warning("the volume of home %s is protected later: %s", claim["metadata"]["name"], error)

    async def all(self, namespaces: Iterable[str]) -> None:
        """Protect every home of these namespaces. Raises KubeError when the API server does not answer."""
        for namespace in sorted(namespaces):
            try:
                await retain_all(self._kube, await self._kube.live.items(CLAIM, namespace, labels=_LABELS))
            except KubeError as error:
                if error.status == 0:
                    raise
                log.warning("homes of namespace %s are protected later: %s", namespace, error)

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
