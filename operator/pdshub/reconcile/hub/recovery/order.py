"""The Job about an item of a recovery: rendered as those of backups are, under a label of its own. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdshub.installation import Backup as Settings
from pdshub.kube import PDSHUB
from pdshub.reconcile.hub.backup.facts import nodes_of
from pdshub.reconcile.hub.recovery.decide import mounted
from pdshub.reconcile.hub.recovery.facts import Facts
from pdshub.reconcile.hub.recovery.record import PLAN, Row
from pdshub.render import backup_job
from pdshub.render.backup_job import Order, owner_of
from pdshub.render.backup_request import DATABASE, KEYS
from pdshub.render.names import RECOVERY_LABELS, Names
from pdshub.render.recovery import hub_identity, key_paths, request

RUN = "recovery"


def order(facts: Facts, row: Row, job: str, public_key: str = "") -> Order:
    """The Job. ``public_key``: of who alone shall read the keys that it answers."""
    backups, recovery, saved, record = facts.backups, facts.recovery, facts.saved, facts.record
    assert recovery and saved and record and backups.backup and backups.place  # noqa: S101 - decided before
    action, more = "recover", dict[str, object](snapshot=row.snapshot or "latest", in_place=True)
    if row.item == PLAN:
        action = PLAN
        more = {"of_run": recovery.snapshot or "", "as_of": recovery.as_of or "", "after": record.after}
    elif row.item == KEYS:
        action = KEYS
        more = {"snapshot": row.snapshot or "latest", "paths": key_paths(saved), "public_key": public_key}
    # of the snapshot too: a Job that goes on with moves that another began has to be about the same one
    run = f"{RUN}-{row.snapshot[:8]}" if row.snapshot else RUN
    return Order(
        job=job,
        run=run,
        owner=owner_of(PDSHUB.kind, facts.names.name, backups.uid),
        request=request(
            backups.backup, backups.place, saved, run, action, "" if row.item == PLAN else row.item, **more
        ),
        place=backups.place,
        key=backups.key_secret,
        home=row.claim if row.user else "",
        database=row.claim if row.item == DATABASE else "",
        identity=hub_identity(facts.values) if row.item == DATABASE else backups.identity,
        nodes=nodes_of(backups, mounted(facts, row))[0],
    )


def objects(names: Names, made: Order, settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """ConfigMap and Job."""
    return _own(backup_job.config_map(names, made)), _own(backup_job.job(names, made, settings))


def _own(item: Mapping[str, Any]) -> dict[str, Any]:
    """The same under the label of recoveries: the loop of backups takes Jobs of its own away that nobody waits for."""
    labels = {**item["metadata"]["labels"], **RECOVERY_LABELS}
    found = {**item, "metadata": {**item["metadata"], "labels": labels}}
    if "template" in (item.get("spec") or {}):
        template = {**item["spec"]["template"], "metadata": {"labels": labels}}
        found["spec"] = {**item["spec"], "template": template}
    return found
