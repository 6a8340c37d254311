"""The Job that looks into a folder of somebody's snapshot: it mounts the repository's keys, and nobody's home. Pure."""

from __future__ import annotations

from typing import Any

from pdshub.api.backup import HubRestoreSpec
from pdshub.api.earlier import Question
from pdshub.installation import Backup as Settings
from pdshub.kube import PDSHUB
from pdshub.reconcile.hub.backup.facts import Facts, nodes_of
from pdshub.render import backup_job, backup_request
from pdshub.render.backup_job import Order, owner_of
from pdshub.render.names import Names, short
from pdshub.wellknown import API_VERSION, GROUP

SECONDS = 120
"""After which a look ends: nobody waits longer for a folder, and what waits for the repository must not."""
LOOK_LABELS = {"component": "backup-look"}
"""Of the Job, beside those of all backup Jobs' pods: the loop of backups takes Jobs away that it did not make."""
ASKED_LABEL = f"{GROUP}/asked-at"
PAGE = {ASKED_LABEL: "page"}
"""Of HubRestores that were asked for at the hub's page."""


def look_name(hub: str, question: str) -> str:
    """The name of a look's Job: an operator that begins anew finds it again."""
    return f"{short(hub, limit=40)}-look-{question[:16]}"


def restore_name(question: str) -> str:
    """The name of the HubRestore of a question."""
    return f"earlier-{question}"


def spec_of(names: Names, question: Question) -> HubRestoreSpec:
    """What a question asks to be restored: beside what is there, always. Raises ValueError for what cannot be asked."""
    return HubRestoreSpec(
        hub=names.name,
        user=question.user,
        path=question.path,
        snapshot=question.snapshot or None,
        as_of=question.as_of or None,
    )


def order(facts: Facts, question: Question) -> Order:
    """The Job. ``facts`` are of a hub with a repository: decided before."""
    assert facts.backup is not None and facts.place is not None  # noqa: S101
    name = look_name(facts.names.name, question.id)
    asked = backup_request.of_restore(facts.backup, facts.place, facts.names, name, spec_of(facts.names, question))
    claims = [facts.place.claim] if facts.place.claim else []
    return Order(
        job=name,
        run=name,
        owner=owner_of(PDSHUB.kind, facts.names.name, facts.uid),
        request=asked.model_copy(update={"action": "browse", "deadline_seconds": SECONDS}),
        place=facts.place,
        key=facts.key_secret,
        identity=facts.identity,
        nodes=nodes_of(facts, claims)[0],
    )


def objects(names: Names, made: Order, settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """ConfigMap and Job. The pod keeps the labels of backups' pods, by which it reaches the repository and no more."""
    body = _own(backup_job.job(names, made, settings))
    # restic takes away locks of its own host: a pod that works beside others has a name of its own
    body["spec"]["template"]["spec"].pop("hostname", None)
    return _own(backup_job.config_map(names, made)), body


def _own(item: dict[str, Any]) -> dict[str, Any]:
    meta = item["metadata"]
    return {**item, "metadata": {**meta, "labels": {**meta["labels"], **LOOK_LABELS}}}


def restore(names: Names, uid: str, question: Question) -> dict[str, Any]:
    """The HubRestore. ``uid`` is the PDSHub's: it goes with it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "HubRestore",
        "metadata": {
            "name": restore_name(question.id),
            "namespace": names.namespace,
            "labels": {**names.labels, **PAGE},
            "ownerReferences": [owner_of(PDSHUB.kind, names.name, uid)],
        },
        "spec": spec_of(names, question).wire(),
    }
