"""Hubs that name another's repository and have not its key: they open nothing there, and hold up nobody.

Whoever may make a PDSHub may name any place. If that were enough to have turns there, somebody whose Jobs never start
could keep the backups and restores of another namespace waiting, ten minutes for each of theirs.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping

from pdshub.api.hub import PDSHubSpec
from pdshub.kube import SECRET, KubeError, Object
from pdshub.reconcile.common.triggers import HubKey, hub_key
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.backup.facts import Facts
from pdshub.render import backup_repository
from pdshub.render.names import Names


async def without(
    context: BackupContext, facts: Facts, hubs: Iterable[Object], repositories: Mapping[HubKey, str]
) -> dict[HubKey, str]:
    """The repositories of all hubs, but of those at this hub's that have another key. Nothing is asked where nobody
    else is there. Raises KubeError."""
    mine = facts.names.namespace, facts.names.name
    where = facts.place.identity if facts.place else ""
    others = {key for key, found in repositories.items() if found == where and key != mine}
    keys = {}
    for hub in hubs:
        if (other := hub_key(hub)) in others and (backup := PDSHubSpec.model_validate(hub["spec"]).backup):
            keys[other] = backup_repository.key_of(backup, Names(*other))
    strangers = await among(context, facts, keys)
    return {other: found for other, found in repositories.items() if other not in strangers}


async def among(context: BackupContext, facts: Facts, keys: Mapping[HubKey, tuple[str, str]]) -> set[HubKey]:
    """Who has another key than this hub. ``keys``: by hub its Secret and the key in that. Raises KubeError."""
    if not keys:
        return set()
    own, found = await _key(context, facts.names, *facts.key_secret), set()
    for other, (secret, key) in keys.items():
        try:
            theirs = await _key(context, Names(*other), secret, key)
        except KubeError as error:
            if error.status == 0:
                raise
            continue  # not known: as if it were the same
        if not hmac.compare_digest(theirs, own):
            found.add(other)
    return found


async def _key(context: BackupContext, names: Names, secret: str, key: str) -> bytes:
    item = await context.kube.live.get(SECRET, secret, names.namespace) or {}
    return str((item.get("data") or {}).get(key) or "").strip().encode()
