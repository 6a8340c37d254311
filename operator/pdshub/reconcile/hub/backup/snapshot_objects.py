"""VolumeSnapshots that Jobs of backups are shown homes by: found, made, and taken away. As the namespace's account.

A cluster may lack the kind, or RBAC the right, though the installation names a class: then homes are saved as they
are.
"""

from __future__ import annotations

import logging

from pdshub.kube import CLAIM, KubeError, Resource
from pdshub.reconcile.hub.backup.asked import Asked, belongs
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.backup.facts import Snapshots
from pdshub.render import backup_checkpoint, backup_job
from pdshub.render.backup_checkpoint import SNAPSHOTS
from pdshub.render.backup_job import Order
from pdshub.render.names import BACKUP_LABELS, HUB_LABEL, Names

log = logging.getLogger(__name__)

VOLUME_SNAPSHOT = Resource(f"{SNAPSHOTS}/v1", "volumesnapshots", "VolumeSnapshot")
_NONE = (403, 404)


def _none(error: KubeError) -> bool:
    return error.status in _NONE


async def look(context: BackupContext, names: Names, busy: bool) -> Snapshots:
    """The VolumeSnapshots of a hub's Jobs; while it is ``busy`` also which homes may have one. Raises KubeError."""
    settings = context.hubs.installation.backup.snapshot_classes
    if not settings:
        return Snapshots()
    labels = ",".join(f"{key}={value}" for key, value in {**BACKUP_LABELS, HUB_LABEL: names.name}.items())
    try:
        listed = await context.kube.live.items(VOLUME_SNAPSHOT, names.namespace, labels=labels)
    except KubeError as error:
        if not _none(error):
            raise
        log.info("%s/%s: no VolumeSnapshots: %s", names.namespace, names.name, error)
        listed = []
    # one that is going is nobody's any more, however long that takes
    ours = [s for s in listed if backup_checkpoint.is_volume_snapshot(s) and not s["metadata"].get("deletionTimestamp")]
    classes = await context.hubs.storage_classes() if busy else []
    brief = [item for item in classes if item.get("reclaimPolicy", "Delete") == "Delete"]
    return Snapshots(
        classes={each.driver: each for each in settings},
        storage={str(item["metadata"]["name"]): str(item.get("provisioner") or "") for item in brief},
        there={str(item["metadata"]["name"]): item for item in ours},
        made=frozenset(context.memory((names.namespace, names.name)).snapshots),
    )


async def take(context: BackupContext, names: Names, about: Asked, order: Order) -> bool:
    """Make the VolumeSnapshot of an order that has one. False while it has to be waited for; True where there is none
    and will be none: its Job finds no claim, and the home is saved as it is. Raises KubeError."""
    assert order.snapshot is not None  # noqa: S101 - the caller asked
    kube, job = context.kube, order.job
    try:
        if await kube.create(VOLUME_SNAPSHOT, backup_job.volume_snapshot(names, order)):
            context.memory((about.namespace, about.hub)).snapshots.add(job)
            return False
        found = await kube.live.get(VOLUME_SNAPSHOT, job, names.namespace)
    except KubeError as error:
        if error.status in (0, 429) or error.status >= 500:  # of a moment
            raise
        log.info("%s/%s: no VolumeSnapshot: %s", names.namespace, job, error)
        return True
    if found is None:
        return False
    ours = belongs(found, about) and backup_checkpoint.is_of(found, order.home, order.snapshot)
    if ours and not found["metadata"].get("deletionTimestamp"):
        return False
    log.warning("%s/%s: VolumeSnapshot %s is there already, and is another's", names.namespace, names.name, job)
    return True


async def remove(context: BackupContext, namespace: str, hub: str, job: str) -> None:
    """Take away what a Job was shown a home by: the claim, then the VolumeSnapshot by which both are found again. A
    home may have the claim's name, and anybody a VolumeSnapshot of it: those stay. Raises KubeError."""
    kube = context.kube
    claim = await kube.live.get(CLAIM, job, namespace)
    if claim is not None and backup_checkpoint.is_claim(claim):
        await kube.delete(CLAIM, job, namespace)
    if context.hubs.installation.backup.snapshot_classes and backup_checkpoint.is_shown(job):
        try:
            found = await kube.live.get(VOLUME_SNAPSHOT, job, namespace)
            if found is not None and backup_checkpoint.is_volume_snapshot(found):
                await kube.delete(VOLUME_SNAPSHOT, job, namespace)
        except KubeError as error:
            if not _none(error):
                raise
    context.memory((namespace, hub)).snapshots.discard(job)
