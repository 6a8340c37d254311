"""The revisions of a hub's Helm release: which of them are whole, and the operator's own work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pdshub.api.hub import PDSHubStatus
from pdshub.helm import HelmRelease
from pdshub.kube import SECRET, Object
from pdshub.reconcile.hub.context import HubContext, HubMemory
from pdshub.reconcile.hub.manifest.documents import ManifestError, documents
from pdshub.reconcile.hub.manifest.kinds import ONCE_APPLIED
from pdshub.reconcile.hub.manifest.rules import judge, of_release
from pdshub.reconcile.hub.observation import ReleaseRead
from pdshub.reconcile.hub.release import (
    Release,
    UnreadableRelease,
    by_revision,
    misplaced,
    payload,
    read_release,
)
from pdshub.reconcile.hub.seal import is_sealed, key_name
from pdshub.reconcile.hub.trust import Trust, forged, trust
from pdshub.render.names import Names

_DEPLOYED = "deployed"


async def read(context: HubContext, names: Names, status: PDSHubStatus, deleting: bool) -> ReleaseRead:
    """What the Secrets of the hub's release hold; each is read only when it changed. Raises KubeError."""
    memory, key = context.memory(names.namespace, names.name), await context.seal_key()
    revisions = await _listed(context, names)
    present = {str(item["metadata"]["name"]) for item in revisions}
    for gone in memory.releases.keys() - present:
        del memory.releases[gone]
    look = _read_all if deleting else _read_newest
    found = await look(context, names, memory, _Judge(names, status, key, memory.own), revisions)
    return replace(found, seal_key=key_name(key))


async def _listed(context: HubContext, names: Names) -> list[Object]:
    labels = f"owner=helm,name={names.name}"
    return by_revision(await context.kube.metadata(SECRET, names.namespace, labels=labels), names.name)


class _Judge:
    """Whose work a revision of this hub is."""

    def __init__(self, names: Names, status: PDSHubStatus, key: bytes, own: tuple[str, str] | None) -> None:
        self.names, self.key = names, key
        self._status, self._own = status, own
        self.installed = status.revision > 0 or status.releasing > 0

    def trust(self, release: Release) -> Trust:
        return trust(release, self._status, key_name(self.key), self._own)

    def opened(self, secret: Object) -> Release | UnreadableRelease:
        """A release Secret, with what its seal and its place say."""
        found = read_release(secret)
        if isinstance(found, UnreadableRelease):
            return found
        if why := misplaced(found, self.names.namespace, self.names.name):
            return UnreadableRelease(found.secret, why)
        sealed = is_sealed(self.key, secret)
        return replace(found, sealed=sealed, made=_made(payload(secret)) if sealed else ())


def _made(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The objects of a release's manifest as JSON; of Secrets their metadata alone is kept."""
    try:
        found = documents(str(document.get("manifest") or ""))
    except ManifestError:
        return ()
    kept = ({k: v for k, v in each.body.items() if k not in ("data", "stringData")} for each in found)
    bodies = (body if body["kind"] == SECRET.kind else each.body for body, each in zip(kept, found, strict=True))
    return tuple(json.dumps(body, separators=(",", ":")) for body in bodies)


async def _decoded(
    context: HubContext, memory: HubMemory, by: _Judge, item: Object
) -> Release | UnreadableRelease | None:
    """What a release Secret holds; None when it has gone since it was listed."""
    name, version = str(item["metadata"]["name"]), str(item["metadata"]["resourceVersion"])
    known = memory.releases.get(name)
    if known is None or known[0] != version:
        secret = await context.kube.get(SECRET, name, by.names.namespace)
        if secret is None:
            return None
        known = memory.releases[name] = (version, by.opened(secret))
    return known[1]


async def _read_newest(
    context: HubContext, names: Names, memory: HubMemory, by: _Judge, revisions: list[Object]
) -> ReleaseRead:
    """The newest revision, unless it or one that Helm would go on from is unreadable or not the operator's work."""
    newest: Release | None = None
    for index, item in enumerate(revisions):
        name = str(item["metadata"]["name"])
        refused = memory.releases.get(name, ("", None))
        held = isinstance(refused[1], UnreadableRelease) and refused[0] == item["metadata"]["resourceVersion"]
        if index and not held and (item["metadata"].get("labels") or {}).get("status") != _DEPLOYED:
            continue
        found = await _decoded(context, memory, by, item)
        if isinstance(found, UnreadableRelease):
            return ReleaseRead(unreadable=found, broken=(found.secret,))
        if found is None:
            continue
        if by.trust(found) is Trust.NONE and (by.installed or found.owner == names.name):
            return ReleaseRead(unreadable=_forged(found), broken=(found.secret,))
        newest = newest or found
    return ReleaseRead(newest, trust=by.trust(newest) if newest else Trust.NONE)


async def _read_all(
    context: HubContext, names: Names, memory: HubMemory, by: _Judge, revisions: list[Object]
) -> ReleaseRead:
    """While deleting: the newest revision by which Helm may remove the hub, and those that it must not read."""
    whole: Release | None = None
    newer: list[Release] = []
    broken: list[UnreadableRelease] = []
    for item in revisions:
        found = await _decoded(context, memory, by, item)
        if isinstance(found, UnreadableRelease):
            broken.append(found)
        elif found is not None and by.trust(found) in (Trust.SEALED, Trust.OWN, Trust.EARLIER):
            whole = whole or found
        elif found is not None and (whole is None or found.status == _DEPLOYED):
            newer.append(found)
    if whole is None and newer and not by.installed and newer[0].owner != names.name:
        return ReleaseRead(newer[0])
    broken += [_forged(each) for each in newer]
    secrets = tuple(each.secret for each in broken)
    newest = str(revisions[0]["metadata"]["name"]) if revisions else ""
    unreadable = next((each for each in broken if each.secret == newest), None) if broken else None
    if whole is None and broken:
        return ReleaseRead(unreadable=unreadable or broken[0], broken=secrets)
    if unreadable:
        return ReleaseRead(unreadable=unreadable, older=whole, broken=secrets)
    return ReleaseRead(whole, broken=secrets)


def _forged(found: Release) -> UnreadableRelease:
    return UnreadableRelease(found.secret, forged(found.secret), forged=True)


async def whole(context: HubContext, names: Names, status: PDSHubStatus) -> bool:
    """Whether Helm may read all revisions: it reads each of them before it does anything. Raises KubeError.

    Each is unpacked within bounds, one after the other, once for each version of its Secret. What Helm would go on
    from, and the operator has not sealed, is judged by what it lists. One that fails is remembered, so that the next
    look tells of it.
    """
    memory, key = context.memory(names.namespace, names.name), await context.seal_key()
    by = _Judge(names, status, key, memory.own)
    good = True
    for index, item in enumerate(await _listed(context, names)):
        name, version = str(item["metadata"]["name"]), str(item["metadata"]["resourceVersion"])
        if memory.whole.get(name) == version:
            continue
        secret = await context.kube.get(SECRET, name, names.namespace)
        if secret is None:
            continue
        found = by.opened(secret)
        if isinstance(found, Release) and (index == 0 or found.status == _DEPLOYED) and not found.sealed:
            if by.trust(found) is Trust.NONE:
                found = _forged(found)
            elif why := await asyncio.to_thread(_violates, secret, names):
                found = UnreadableRelease(name, f"{forged(name)}: {why}", forged=True)
        version = str(secret["metadata"].get("resourceVersion", version))
        if isinstance(found, UnreadableRelease):
            good, memory.releases[name] = False, (version, found)
        else:
            memory.whole[name] = version
    return good


def _violates(secret: Object, names: Names) -> str:
    """What a stored release lists that no hub has; empty when it lists nothing of the kind."""
    try:
        document = HelmRelease.of(payload(secret))
    except (TypeError, ValueError) as error:
        return str(error)
    found = judge(document.manifest, of_release(document), names, document.values, ONCE_APPLIED)
    return found.words if found else ""
