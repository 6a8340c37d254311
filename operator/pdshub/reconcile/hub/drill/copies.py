"""What a drill needs in its own namespace while it runs: keys of the repository, a way there, a claim. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Installation
from pdshub.reconcile.common.objects import Step
from pdshub.reconcile.hub.drill import progress
from pdshub.reconcile.hub.drill.facts import Facts
from pdshub.reconcile.hub.drill.order import DRILL, claim_name, labels, secret_name
from pdshub.render import backup_volume, network
from pdshub.render.names import BACKUP_LABELS
from pdshub.render.network import ApiServer

CLAIM_SIZE = 1 << 30
"""Bytes of the database's claim at least: JupyterHub makes a copy of its own where it upgrades."""


def _meta(facts: Facts, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": facts.namespace,
        "labels": {**labels(facts.backups.names), "component": DRILL},
    }


def secret(facts: Facts, data: Mapping[str, str]) -> dict[str, Any]:
    """The Secret with copies. ``data``: base64, by key."""
    name = secret_name(facts.backups.names, facts.namespace)
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _meta(facts, name), "type": "Opaque", "data": dict(data)}


def policy(facts: Facts, spec: PDSHubSpec, installation: Installation) -> dict[str, Any] | None:
    """The way to the repository, as the hub's own backup Jobs have it; None for a repository that is mounted."""
    found = network.policies(spec, facts.backups.names, facts.backups.uid, installation, ApiServer())
    for one in found:
        if (one["spec"].get("podSelector") or {}).get("matchLabels") == BACKUP_LABELS:
            meta = _meta(facts, progress.site(facts.backups.names, facts.namespace).name)
            chosen = {"matchLabels": dict(meta["labels"])}
            return {**one, "metadata": meta, "spec": {**one["spec"], "podSelector": chosen}}
    return None


def claim(facts: Facts) -> dict[str, Any]:
    """The claim that the database's copy is restored into, with room for an upgrade of it."""
    size = max((stage.size_bytes for stage in facts.drills.stages if stage.kind == "fetch"), default=0)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _meta(facts, claim_name(facts.backups.names, facts.namespace)),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": str(max(CLAIM_SIZE, 4 * size))}},
        },
    }


def share(facts: Facts) -> list[Step]:
    """Volume and claim of an NFS share that is the repository; nothing for another one."""
    nfs = facts.backups.backup.repository.nfs if facts.backups.backup else None
    if nfs is None:
        return []
    site = progress.site(facts.backups.names, facts.namespace)
    volume, bound = backup_volume.volume(site, nfs), backup_volume.claim(site, nfs, "")
    bound["metadata"] = _meta(facts, bound["metadata"]["name"])
    volume["metadata"]["labels"] |= labels(facts.backups.names)
    title = f"{facts.namespace}/{bound['metadata']['name']}"
    return [Step(f"PersistentVolume for {title}", volume), Step(f"PersistentVolumeClaim {title}", bound)]
