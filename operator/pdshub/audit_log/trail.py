"""All of the audit log as the operator runs it: the recorder, the hubs that it follows, and changes of their lists."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pdshub import hub_api
from pdshub.api.base import parse_quantity
from pdshub.audit_log import people
from pdshub.audit_log.author import Write, last_write
from pdshub.audit_log.list_author import list_author
from pdshub.audit_log.log import AuditLog
from pdshub.audit_log.pull import HubKey, Puller
from pdshub.audit_log.recorder import Figures, Recorder, Tell
from pdshub.kube import CONFIG_MAP, NAMESPACE, PDSHUB, Kube, KubeError, Object, Resource
from pdshub.render.names import HUB_LABEL, Names
from pdshub.wellknown import MANAGER

log = logging.getLogger(__name__)

RETAIN = "800Mi"
FOLDER_ENV, RETAIN_ENV = "PDSHUB_AUDIT", "PDSHUB_AUDIT_RETAIN"
"""Of the operator's environment: the folder of the log, and the bytes that it may take."""
_SETTLE = 2.0
"""Seconds until the object that was changed is asked who changed it."""

Publish = Callable[[Object, bool, str, str, str], Awaitable[None]]
"""Writes an event: about an object, whether it is a warning, reason, message, and the namespace that it lies in."""


def from_environment(environ: Mapping[str, str]) -> AuditLog | None:
    """The log that the operator's environment names; None where it names none. Raises ValueError."""
    folder = environ.get(FOLDER_ENV)
    return AuditLog(Path(folder), int(parse_quantity(environ.get(RETAIN_ENV) or RETAIN))) if folder else None


def followed(hubs: Iterable[Object]) -> dict[HubKey, str]:
    """Hubs that have something to tell, each with its base URL: they were installed, and nobody takes them away.

    Before that the namespace's account may have been given its rights so lately that a question is refused. Pure.
    """
    return {
        (str(item["metadata"]["namespace"]), str(item["metadata"]["name"])): hub_api.base_url(spec.get("values"))
        for item in hubs
        if (item.get("status") or {}).get("revision") and not item["metadata"].get("deletionTimestamp")
        for spec in [item.get("spec") or {}]
    }


class Trail:
    """``hubs``: PDSHubs whose namespaces are open to the operator; ``system``: the installation's namespace."""

    def __init__(
        self,
        kube: Kube,
        system: str,
        hubs: Callable[[], list[Object]],
        publish: Publish,
        to: AuditLog | None = None,
        events_of_cluster: str = "default",
    ) -> None:
        self._kube, self._system, self._listed, self._publish = kube, system, hubs, publish
        self._cluster = events_of_cluster
        self.recorder = Recorder(to, self._of_installation)
        self.puller = Puller(kube, self.recorder, self._hubs, self._of_hub)
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: dict[HubKey, str] = {}
        self._foreign: dict[HubKey, str] = {}
        """Digest of the list that others wrote over."""

    def start(self) -> list[asyncio.Task[None]]:
        """The loops, which never end by themselves."""
        return [
            asyncio.create_task(self.recorder.run(), name="audit log"),
            asyncio.create_task(self.puller.run(), name="audit of hubs"),
        ]

    async def close(self) -> None:
        """Write what is left."""
        await self.puller.close()
        if self._tasks:
            _, late = await asyncio.wait(list(self._tasks), timeout=2 * _SETTLE + 1.0)
            for task in late:
                task.cancel()
        await self.recorder.close()

    def on_config_map(self, old: Object | None, new: Object | None, own: bool) -> None:
        """A ConfigMap of a hub changed, or was met for the first time: it may be the list of people."""
        meta = (new or {}).get("metadata") or {}
        namespace, hub = str(meta.get("namespace", "")), str((meta.get("labels") or {}).get(HUB_LABEL, ""))
        if new is None or not hub or meta.get("name") != people_name(hub):
            return
        now, before = people.read(new), people.read(old) if old else None
        if now is not None:
            others = old is not None and not own
            self._later(self._list_changed((namespace, hub), before, now, others))

    async def _list_changed(self, key: HubKey, before: people.People | None, now: people.People, others: bool) -> None:
        """``others``: somebody wrote the operator's own ConfigMap, which it takes back."""
        hub = f"{key[0]}/{key[1]}"
        memory = await self.recorder.memory()
        known = self._told.get(key) or memory.lists.get(hub)
        if known == now.digest or (before and before.digest == now.digest):
            return
        self._told[key] = now.digest
        if others:
            self._foreign.setdefault(key, known or "")
            who = await self._writer(key)
        elif self._foreign.pop(key, None) == now.digest:
            who = {"manager": MANAGER, "object": f"ConfigMap {people_name(key[1])}"}
        else:
            await asyncio.sleep(_SETTLE)
            who = await self._author(key)
        self.recorder.record(hub=hub, **people.changed(before, now), **who)

    async def _author(self, key: HubKey) -> dict[str, str]:
        """Who changed what the list is made of."""
        try:
            found, what = await list_author(self._kube, *key)
        except KubeError as error:
            log.info("%s/%s: who changed the list is not known: %s", *key, error)
            return {}
        return {**found.fields, "object": what}

    async def _writer(self, key: HubKey) -> dict[str, str]:
        """Who wrote the ConfigMap of the list beside the operator; it may have been taken back meanwhile."""
        name = people_name(key[1])
        try:
            found = last_write(await self._kube.live.get_metadata(CONFIG_MAP, name, key[0]), "data")
        except KubeError as error:
            log.info("%s/%s: who wrote the list is not known: %s", *key, error)
            found = Write()
        return {**(Write() if found.manager == MANAGER else found).fields, "object": f"ConfigMap {name}"}

    def figures(self) -> Figures:
        """What metrics say of the log, at this moment."""
        followed = self.puller.followed.items()
        return replace(self.recorder.figures, pulled={f"{key[0]}/{key[1]}": found.answered for key, found in followed})

    def _hubs(self) -> dict[HubKey, str]:
        return followed(self._listed())

    # --- events of Kubernetes

    def _of_installation(self, warning: bool, reason: str, message: str) -> None:
        said = (warning, reason, message, self._cluster)
        self._later(self._say(NAMESPACE, self._system, None, *said))

    def _of_hub(self, key: HubKey) -> Tell:
        def tell(warning: bool, reason: str, message: str) -> None:
            self._later(self._say(PDSHUB, key[1], key[0], warning, reason, message, key[0]))

        return tell

    async def _say(
        self, resource: Resource, name: str, namespace: str | None, warning: bool, reason: str, message: str, where: str
    ) -> None:
        try:
            if found := await self._kube.get(resource, name, namespace):
                about = {**found, "apiVersion": resource.api, "kind": resource.kind}
                await self._publish(about, warning, reason, message, where)
        except KubeError as error:
            log.info("event %s is lost: %s", reason, error)

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def people_name(hub: str) -> str:
    """The ConfigMap of a hub's list."""
    return Names("", hub).people
