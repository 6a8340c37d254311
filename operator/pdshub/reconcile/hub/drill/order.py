"""The Jobs of drills: rendered as those of backups are, in the drills' namespace, where no home is mounted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pdshub.api.backup_job import JobRequest
from pdshub.api.base import SecretKey, parse_quantity
from pdshub.api.hub_acme import CaBundle
from pdshub.api.hub_backup import Backup
from pdshub.installation import Backup as Settings
from pdshub.reconcile.hub.backup.facts import works
from pdshub.reconcile.hub.drill import progress
from pdshub.reconcile.hub.drill.facts import Facts
from pdshub.reconcile.hub.drill.record import Stage
from pdshub.render import backup_job, backup_request
from pdshub.render.backup_job import Order, host_of
from pdshub.render.backup_repository import Place
from pdshub.render.backup_request import DATABASE, source_of
from pdshub.render.backup_volume import share_of
from pdshub.render.names import HUB_LABEL, NAMESPACE_LABEL, Names, short

DRILL, BOOT = "drill", "drill-hub"
"""The label ``component`` of pods that reach the repository, and of the hub that reaches nothing."""
CA = "ca.crt"
SLACK = 256 << 20
"""Bytes of scratch space beyond the size of what is restored: restic's index."""


def labels(names: Names) -> dict[str, str]:
    """Labels of everything that a drill of a hub makes."""
    return dict(names.labels)


def secret_name(names: Names, namespace: str) -> str:
    """The Secret with copies of what opens the repository, in the drills' namespace."""
    return progress.site(names, namespace).backup_key


def claim_name(names: Names, namespace: str) -> str:
    """The claim that the database's copy is restored into."""
    return short(progress.site(names, namespace).name, "database")


def place_there(facts: Facts) -> Place:
    """The repository as a Job of the drills' namespace has it."""
    where = facts.backups.place
    assert where is not None  # noqa: S101 - decided before
    site = progress.site(facts.backups.names, facts.namespace)
    secret = secret_name(facts.backups.names, facts.namespace)
    nfs = facts.backups.backup.repository.nfs if facts.backups.backup else None
    claim = site.repository(share_of(nfs)) if nfs else ""
    ca = CaBundle(secret=SecretKey(name=secret, key=CA)) if where.ca else None
    return replace(where, secret=secret if where.secret else "", ca=ca, claim=claim)


def request(backup: Backup, where: Place, names: Names, number: int, stage: Stage) -> JobRequest:
    """What a Job is asked. The hub is the original: its snapshots are looked for."""
    run = f"drill-{number}"
    base = backup_request.of_init(backup, where, names, run)
    if stage.kind == "check":
        return base.model_copy(update={"action": "check", "read_subset": stage.part})
    more: dict[str, object] = {
        "item": stage.item,
        "source": source_of(stage.item),
        "snapshot": stage.snapshot or "latest",
    }
    if stage.kind == "fetch":
        return base.model_copy(update={**more, "action": "restore", "path": ".", "to": DATABASE})
    return base.model_copy(update={**more, "action": "drill"})


def order(facts: Facts, index: int, attempt: int) -> Order:
    """The Job of a stage that works with the repository."""
    backups = facts.backups
    assert backups.backup is not None  # noqa: S101 - decided before
    stage, where = facts.drills.stages[index], place_there(facts)
    name = progress.job_name(backups.names, index, attempt)
    host = host_of(progress.site(backups.names, facts.namespace), backups.uid)
    asked = request(backups.backup, where, backups.names, facts.drills.number, stage)
    return Order(
        job=name,
        run=f"drill-{facts.drills.number}",
        owner={},
        # one Job of a hub's drills at a time: what is locked under its name a killed one left
        request=asked.model_copy(update={"unlock": True}),
        place=where,
        key=(secret_name(backups.names, facts.namespace), "key"),
        home=claim_name(backups.names, facts.namespace) if stage.kind == "fetch" else "",
        identity=backups.identity,
        host="" if works(facts.pods, host) else host,
    )


def objects(facts: Facts, made: Order, stage: Stage, settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """ConfigMap and Job. Scratch space is as large as what comes back into it."""
    site = Names(facts.namespace, facts.backups.names.name)
    job = own(backup_job.job(site, made, settings), facts.backups.names, DRILL)
    pod = job["spec"]["template"]["spec"]
    needed = int(stage.size_bytes * 1.05) + SLACK if stage.kind == "compare" else 0
    if needed > parse_quantity(settings.scratch) / 2:
        pod["volumes"] = [_scratch(needed) if volume["name"] == "tmp" else volume for volume in pod["volumes"]]
    return own(backup_job.config_map(site, made), facts.backups.names, DRILL), job


def _scratch(size: int) -> dict[str, Any]:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": str(size)}}}
    return {"name": "tmp", "ephemeral": {"volumeClaimTemplate": {"spec": asked}}}


def own(item: Mapping[str, Any], names: Names, component: str) -> dict[str, Any]:
    """An object with the labels of a hub's drills, and without an owner: that lies in another namespace."""
    meta = {key: value for key, value in item["metadata"].items() if key != "ownerReferences"}
    marks = {**meta.get("labels", {}), **labels(names), "component": component}
    found = {**item, "metadata": {**meta, "labels": marks}}
    if "template" in (item.get("spec") or {}):
        template = item["spec"]["template"]
        found["spec"] = {**item["spec"], "template": {**template, "metadata": {"labels": marks}}}
    return found


def selector(names: Names) -> str:
    """Selects what drills of a hub made."""
    return f"{HUB_LABEL}={names.name},{NAMESPACE_LABEL}={names.namespace}"
