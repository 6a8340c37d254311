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
    mine, names = (facts.names.namespace, facts.names.name), facts.names
    where = facts.place.identity if facts.place else ""
    others = {key for key, found in repositories.items() if found == where and key != mine}
    if not others:
        return dict(repositories)
    key = await _key(context, names, *facts.key_secret)
    strangers = set()
    for hub in hubs:
        if (other := hub_key(hub)) in others and (backup := PDSHubSpec.model_validate(hub["spec"]).backup):
            theirs = Names(*other)
            try:
                found = await _key(context, theirs, *backup_repository.key_of(backup, theirs))
            except KubeError as error:
                if error.status == 0:
                    raise
                continue  # not known: as if it were the same
            if not hmac.compare_digest(found, key):
                strangers.add(other)
    return {other: found for other, found in repositories.items() if other not in strangers}


async def _key(context: BackupContext, names: Names, secret: str, key: str) -> bytes:
    item = await context.kube.live.get(SECRET, secret, names.namespace) or {}
    return str((item.get("data") or {}).get(key) or "").strip().encode()
