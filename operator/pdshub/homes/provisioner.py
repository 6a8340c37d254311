"""The loop over claims: gives each that waits for this node a volume, or shows it a checkpoint; lets it grow; removes
what is given up.

It keeps nothing: a volume is named after its claim, so that one who was killed anywhere finds what is there.
"""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress

from pdshub import rfc3339
from pdshub.homes import claims, names
from pdshub.homes.claims import Action, Grow, Look, Provision, Release
from pdshub.homes.errors import HomesError
from pdshub.homes.operations import Homes
from pdshub.informer import Informer
from pdshub.kube import CLAIM, STORAGE_CLASS, VOLUME, Kube, KubeError, Object
from pdshub.object_cache import Scope
from pdshub.reconcile.common.events import EventRecord, publish
from pdshub.tenant import EVENTS
from pdshub.wellknown import HOMES_DRIVER

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
"""Seconds until what failed is tried again; it doubles each time."""
RESYNC = 60.0
"""Seconds after which everything is looked at though nothing was told."""


def slim_claim(item: Object) -> Object:
    """What is needed of a claim: labels and managed fields of all claims of a cluster are much."""
    meta = item["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "deletionTimestamp", "annotations")
    return {**item, "metadata": {key: meta[key] for key in kept if key in meta}}


class Provisioner:
    """Does what claims.py decides, one action after the other."""

    def __init__(self, kube: Kube, homes: Homes, node: str) -> None:
        """`node`: its name in Kubernetes."""
        self._kube, self._homes, self._node = kube, homes, node
        self._woken = asyncio.Event()
        self._claims = Informer(kube, Scope(CLAIM, slim=slim_claim), self._changed)
        self._volumes = Informer(kube, Scope(VOLUME), self._changed)
        self._pauses: dict[str, tuple[float, float]] = {}
        """By what failed: when it is tried again, and after which pause; on the loop's own clock."""
        self._said: dict[str, str] = {}

    def _changed(self, old: Object | None, new: Object | None, own: bool) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Follow claims and volumes for ever."""
        self._claims.start()
        self._volumes.start()
        try:
            while True:
                self._woken.clear()
                if await self._claims.ready() and await self._volumes.ready():
                    await self.turn()
                    await self._wait()
                else:  # nobody tells of a copy that becomes ready and is empty
                    await asyncio.sleep(1)
        finally:
            await self._claims.stop()
            await self._volumes.stop()

    async def _wait(self) -> None:
        now = asyncio.get_running_loop().time()
        next_try = min((at for at, _ in self._pauses.values()), default=now + RESYNC)
        with suppress(TimeoutError):
            # not wait_for: before Python 3.12 it forgets that it was cancelled when it is woken at the same moment
            async with asyncio.timeout(max(0.1, min(RESYNC, next_try - now))):
                await self._woken.wait()

    async def turn(self) -> None:
        """Do all that is to be done now; what fails is said and tried again later."""
        found = claims.actions(self._claims.objects.values(), self._volumes.objects.values(), self._node)
        keys = {_key(action) for action in found}
        for gone in self._pauses.keys() - keys:
            del self._pauses[gone]
        for gone in self._said.keys() - keys:
            del self._said[gone]
        now = asyncio.get_running_loop().time()
        for action in found:
            key = _key(action)
            at, pause = self._pauses.get(key, (0.0, 0.0))
            if now < at:
                continue
            try:
                await self._do(action)
                self._pauses.pop(key, None)
            except (HomesError, KubeError, OSError) as error:
                pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * pause))
                # not all at the same moment
                self._pauses[key] = (now + pause * random.uniform(0.8, 1.2), pause)  # noqa: S311
                await self._say(action, str(error))

    async def _do(self, action: Action) -> None:
        """Raises HomesError, KubeError, OSError."""
        if isinstance(action, Provision):
            await self._provision(action)
        elif isinstance(action, Look):
            await self._look(action)
        elif isinstance(action, Grow):
            await self._grow(action)
        else:
            await self._release(action)

    async def _class(self, asked: Provision | Look) -> Object | None:
        """The StorageClass of a claim that still waits, as the API server has both; None where there is nothing to do.

        Raises HomesError where it can have no volume, KubeError.
        """
        meta = asked.claim["metadata"]
        # the copy may be old: nothing is made for a claim that has a volume, or is gone
        now = await self._kube.get(CLAIM, meta["name"], meta["namespace"])
        gone = now is None or now["metadata"]["uid"] != meta["uid"] or now["metadata"].get("deletionTimestamp")
        if now is None or gone or now["spec"].get("volumeName"):
            return None
        name = str(asked.claim["spec"].get("storageClassName") or "")
        storage_class = await self._kube.get(STORAGE_CLASS, name) if name else None
        parameters = claims.PARAMETERS if isinstance(asked, Look) else {}
        if wrong := asked.wrong or claims.why_not_of(storage_class, name, parameters):
            raise HomesError(wrong)
        return storage_class

    async def _provision(self, asked: Provision) -> None:
        if (storage_class := await self._class(asked)) is None:
            return
        made = await asyncio.to_thread(self._homes.create, asked.name, asked.size, 0)
        if not await self._kube.create(VOLUME, claims.document(asked, made, storage_class, self._node)):
            return  # made before, and the claim is bound to it in a moment
        await self._event(asked.claim, EventRecord(False, "ProvisioningSucceeded", f"made volume {asked.name}"))

    async def _look(self, asked: Look) -> None:
        if (storage_class := await self._class(asked)) is None:
            return
        # whose home it is: decided from the API server itself, not from copies
        meta, home = asked.claim["metadata"], asked.home["metadata"]["name"]
        source = await self._kube.get(CLAIM, asked.claim["spec"]["dataSource"]["name"], meta["namespace"])
        volume = await self._kube.get(VOLUME, home)
        again = claims.actions([asked.claim, *([source] if source else [])], [volume] if volume else [], self._node)
        found = next((action for action in again if isinstance(action, Look)), None)
        if found is None:
            return
        handle = str(found.home["spec"]["csi"]["volumeHandle"])
        made = await asyncio.to_thread(self._homes.checkpoint, handle, asked.name, brief=True)
        await self._kube.create(VOLUME, claims.document(asked, made, storage_class, self._node))

    async def _grow(self, asked: Grow) -> None:
        claim, volume = asked.claim["metadata"], asked.volume
        made = await asyncio.to_thread(self._homes.grow, str(volume["spec"]["csi"]["volumeHandle"]), asked.size)
        if claims.capacity(volume) < made.size:
            body = {"spec": {"capacity": {"storage": claims.quantity(made.size)}}}
            await self._kube.patch(VOLUME, volume["metadata"]["name"], body)
        patch = claims.grown_status(asked.claim, made.size)
        await self._kube.patch(CLAIM, claim["name"], patch, claim["namespace"], "status")
        said = f"the home has {claims.quantity(made.size)} now"
        await self._event(asked.claim, EventRecord(False, "VolumeResizeSuccessful", said))

    async def _release(self, asked: Release) -> None:
        meta, owner = asked.volume["metadata"], asked.volume["spec"].get("claimRef") or {}
        # data goes: decided from the API server itself, not from a copy
        volumes = await self._kube.live.items(VOLUME)
        claim = await self._kube.get(CLAIM, str(owner.get("name", "")), str(owner.get("namespace", "")))
        again = claims.actions([claim] if claim else [], volumes, self._node)
        if meta.get("uid") not in [a.volume["metadata"].get("uid") for a in again if isinstance(a, Release)]:
            return
        remove = self._homes.drop if names.is_checkpoint(asked.handle) else self._homes.delete
        await asyncio.to_thread(remove, asked.handle)
        await self._kube.delete(VOLUME, meta["name"])

    async def _say(self, action: Action, why: str) -> None:
        """Say why something failed, once until the reason is another."""
        key = _key(action)
        if self._said.get(key) == why:
            return
        self._said[key] = why
        log.warning("%s: %s", key, why)
        if isinstance(action, Provision | Look):
            await self._event(action.claim, EventRecord(True, "ProvisioningFailed", why))
            if isinstance(action, Look):
                await self._refused(action.claim, why)
        elif isinstance(action, Grow):
            await self._event(action.claim, EventRecord(True, "VolumeResizeFailed", why))
        else:
            await self._event(action.volume, EventRecord(True, "VolumeFailedDelete", why))

    async def _refused(self, claim: Object, why: str) -> None:
        """Tell whoever waits for a checkpoint; one that cannot be told has waited long enough some time."""
        meta, body = claim["metadata"], claims.refused_status(claim, why, rfc3339.now())
        try:
            await self._kube.patch(CLAIM, meta["name"], body, meta["namespace"], "status")
        except KubeError as error:
            log.info("claim %s/%s is not told: %s", meta["namespace"], meta["name"], error)

    async def _event(self, about: Object, record: EventRecord) -> None:
        namespace = str(about["metadata"].get("namespace") or EVENTS)
        await publish(self._kube, about, [record], namespace, HOMES_DRIVER)


def _key(action: Action) -> str:
    """What an action is about, in words and for good."""
    if isinstance(action, Release):
        return f"removal of volume {action.volume['metadata']['name']}"
    meta = action.claim["metadata"]
    what = "growth of" if isinstance(action, Grow) else "volume of"
    return f"{what} claim {meta.get('namespace')}/{meta['name']} ({meta['uid']})"
