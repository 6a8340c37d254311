"""Homes that are saved from a checkpoint: which, and when a Job that waits for one goes on without. Pure.

Where PDSHub's own driver has a home, the Job has a claim of its own, of the Job's name, that shows what the home held
when the claim was made (pdshub.homes). Whoever makes the claim names a claim of the same namespace, and needs no more
right than to mount that.
"""

from __future__ import annotations

from pdshub import rfc3339
from pdshub.reconcile.hub.backup.facts import Facts
from pdshub.reconcile.hub.backup.progress import Stage
from pdshub.render.backup_request import user_of
from pdshub.wellknown import CHECKPOINT_REFUSED, HOMES_DRIVER

PATIENCE = 60.0
"""Seconds for a checkpoint that nobody refuses: the driver may be starting. Then the home is saved as it is."""
_PROVISIONER = "volume.kubernetes.io/storage-provisioner"


def wanted(facts: Facts, stage: Stage, attempt: int, item: str, claim: str) -> bool:
    """Whether an item (in a claim) is saved from a checkpoint: at the first attempt, where its storage has them."""
    if stage.action != "backup" or attempt or not user_of(item):
        return False
    meta = facts.claims[claim]["metadata"] if claim in facts.claims else {}
    return (meta.get("annotations") or {}).get(_PROVISIONER) == HOMES_DRIVER


def trouble(facts: Facts, job: str) -> str:
    """Why a Job waits for its checkpoint in vain; empty where it has it, or may still get it."""
    claim = facts.claims.get(job)
    if claim is None:
        return "its claim was refused, or is gone"
    status = claim.get("status") or {}
    if status.get("phase") == "Bound":
        return ""
    for told in status.get("conditions") or []:
        if told.get("type") == CHECKPOINT_REFUSED and told.get("status") == "True":
            return str(told.get("message") or "the driver of homes refused it")
    since = rfc3339.seconds(claim["metadata"].get("creationTimestamp"))
    return "the driver of homes does not answer" if since and facts.now - since > PATIENCE else ""
