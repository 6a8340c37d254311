"""All reads about a hub's way back. Asked of the API server itself, and only while there is something to be done."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field

from pdshub import rfc3339
from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_upgrade import UpgradeStatus
from pdshub.kube import CLAIM, DEPLOYMENT, HUB_BACKUP, JOB, POD, SECRET, Object
from pdshub.reconcile.hub.backup.asked import Run, run_of
from pdshub.reconcile.hub.backup.facts import Use, uses_of
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.judge import parse_status
from pdshub.reconcile.hub.upgrade import record
from pdshub.reconcile.hub.upgrade.record import Record
from pdshub.render.names import BACKUP_LABELS, COPY_LABELS, DATABASE_CLAIM, HUB_LABEL, RECORD_LABEL, Names

HUB_DEPLOYMENT = "hub"
"""Source: zero-to-jupyterhub 4.4, templates/hub/deployment.yaml; the airgap chart has the same."""
MOST_RECORDS = 100
"""Secrets with the label of records that are looked at: anybody who writes Secrets may make some."""


@dataclass(frozen=True)
class Seen:
    """What one look read; None and empty where there is nothing."""

    now: float
    """Seconds since 1970."""
    uid: str = ""
    """The PDSHub's."""
    records: tuple[Record, ...] = ()
    """Those with the operator's seal, the newest first."""
    unsealed: tuple[str, ...] = ()
    """Secrets that say they were records."""
    database: Object | None = None
    copies: Object | None = None
    """The claim of copies."""
    replicas: int | None = None
    """Of the hub's Deployment, as it is asked for; None where there is none."""
    jobs: dict[str, Object] = field(default_factory=dict)
    pods: tuple[Object, ...] = ()
    """Of these Jobs."""
    uses: dict[str, tuple[Use, ...]] = field(default_factory=dict)
    """By claim the pods of hub, backups and copies that have it."""
    hub_pods: tuple[str, ...] = ()
    """Pods of the hub that have its database, those that are ending among them."""
    run: Run | None = None
    """The HubBackup that belongs to the upgrade."""


def _labels(pairs: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in pairs.items())


async def look(context: HubContext, hub: Object, names: Names, spec: PDSHubSpec, run: str) -> Seen:
    """One look. ``run``: name of the HubBackup that may have been made. Raises KubeError."""
    kube, where = context.kube.live, names.namespace
    records, unsealed = await _records(context, names, _known(names, parse_status(hub).upgrade))
    deployment = await kube.get(DEPLOYMENT, HUB_DEPLOYMENT, where)
    mine = _labels({**COPY_LABELS, HUB_LABEL: names.name})
    jobs = {str(job["metadata"]["name"]): job for job in await kube.items(JOB, where, labels=mine)}
    pods = await kube.items(POD, where, labels=_labels(COPY_LABELS))
    of_hub = await kube.items(POD, where, labels="component=hub")
    of_backups = await kube.items(POD, where, labels=_labels(BACKUP_LABELS))
    backup = await kube.get(HUB_BACKUP, run, where) if spec.backup else None
    held = uses_of(of_hub).get(DATABASE_CLAIM, ())
    return Seen(
        now=time.time(),
        uid=str(hub["metadata"].get("uid", "")),
        records=records,
        unsealed=unsealed,
        database=await kube.get(CLAIM, DATABASE_CLAIM, where),
        copies=await kube.get(CLAIM, names.copies, where),
        replicas=None if deployment is None else int((deployment.get("spec") or {}).get("replicas", 1)),
        jobs=jobs,
        pods=tuple(pods),
        uses=uses_of([*pods, *of_hub, *of_backups]),
        hub_pods=tuple(use.pod for use in held),
        run=None if backup is None else run_of(backup),
    )


def _known(names: Names, status: UpgradeStatus | None) -> set[str]:
    """Records that the status tells of, which nobody in the namespace writes."""
    if status is None:
        return set()
    copies = {record.copy_id(each.revision, rfc3339.seconds(each.taken)) for each in status.copies}
    back = {status.rollback.copy_id, status.rollback.aside} if status.rollback else set()
    return {names.record(copy) for copy in copies | back}


async def _records(
    context: HubContext, names: Names, known: Collection[str]
) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    """Records with a seal, and the names of Secrets without; those that are ``known`` first, then the newest."""
    kube, key = context.kube.live, await context.seal_key()
    labels = f"{HUB_LABEL}={names.name},{RECORD_LABEL}"
    listed = [item["metadata"] for item in await kube.metadata(SECRET, names.namespace, labels=labels)]
    listed.sort(key=lambda meta: str(meta.get("creationTimestamp") or ""), reverse=True)
    listed.sort(key=lambda meta: str(meta["name"]) not in known)
    found, unsealed = [], []
    for name in (str(meta["name"]) for meta in listed[:MOST_RECORDS]):
        secret = await kube.get(SECRET, name, names.namespace)
        if secret is None:
            continue
        made = record.opened(key, names, secret)
        if made is None:
            unsealed.append(name)
        else:
            found.append(made)
    return record.newest_first(found), tuple(unsealed)
