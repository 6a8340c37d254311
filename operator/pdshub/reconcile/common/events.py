"""Events of Kubernetes: one for each thing that happened, from how conditions changed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from pdshub import rfc3339
from pdshub.api.status import Condition, good_status
from pdshub.kube import EVENT, Kube, KubeError, Object
from pdshub.wellknown import MANAGER

log = logging.getLogger(__name__)

_GOOD = {
    kind: good_status(kind)
    for kind in (
        "Ready",
        "Released",
        "SignInReady",
        "ArchiveReady",
        "CertificateReady",
        "NetworkEnforced",
        "Stalled",
        "Surveyed",
        "Intact",
        "NamespaceGuarded",
        "PinnedDrift",
        "Deleting",
        "Drifted",
        "UsersKnown",
        "HomesKnown",
        "BackedUp",
        "KeyEscrowed",
        "RestoreVerified",
        "Recovered",
    )
}
"""Conditions that are worth an event, and their good status. Reconciling is noise."""
_CALM = (
    *("WaitsForApproval", "Preparing", "Installing", "Upgrading", "Notifying", "Protecting", "Tidying", "Repairing"),
    "Recovering",
)
"""Reasons that somebody wanted, and the operator's own work: not good, and no warning either."""
_QUIET = ("Newest", "Pinned", "Rejected")
"""Reasons that have an event of their own."""


@dataclass(frozen=True)
class EventRecord:
    """One event."""

    warning: bool
    reason: str
    message: str


def happened(before: Iterable[Condition], after: Iterable[Condition]) -> list[EventRecord]:
    """What a change of conditions says happened. First looks are no news unless something is wrong."""
    old = {c.type: c for c in before}
    found = []
    for condition in after:
        good = _GOOD.get(condition.type)
        was = old.get(condition.type)
        if good is None or condition.status == "Unknown" or condition.reason in _QUIET:
            continue
        changed = was is None or was.status != condition.status or was.reason != condition.reason
        if not changed or not condition.message:
            continue
        if condition.status == good:
            if was is not None and was.status not in (good, "Unknown"):
                found.append(EventRecord(False, f"{condition.type}{condition.reason}"[:120], condition.message))
        elif condition.type != "Ready" or (was is not None and was.status != condition.status):
            found.append(EventRecord(condition.reason not in _CALM, condition.reason, condition.message))
    # Stalled and Released often say the same thing
    unique: dict[str, EventRecord] = {record.message: record for record in found}
    return list(unique.values())


async def publish(
    kube: Kube, about: Object, records: Iterable[EventRecord], namespace: str, component: str = MANAGER
) -> None:
    """Write events, as of ``component``; one that is refused is lost, never a reason to stop."""
    for record in records:
        now = rfc3339.now()
        meta = about["metadata"]
        body: Object = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{meta['name']}-", "namespace": namespace},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": meta["name"],
                **({"namespace": meta["namespace"]} if meta.get("namespace") else {}),
                "uid": meta["uid"],
            },
            "reason": record.reason,
            "message": record.message[:1000],
            "type": "Warning" if record.warning else "Normal",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": component},
        }
        try:
            await kube.create(EVENT, body)
        except KubeError as error:
            log.info("event %s of %s/%s is lost: %s", record.reason, namespace, meta["name"], error)
