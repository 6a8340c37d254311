"""What the other loops of a hub go by while it comes back from its backup (spec.bootstrap). Pure."""

from __future__ import annotations

from pdshub.api.hub import PDSHubSpec, PDSHubStatus
from pdshub.api.hub_bootstrap import INSTALLABLE, OVER, RecoveryStatus
from pdshub.kube import Object
from pdshub.wellknown import RECOVERING as MARK

RECOVERING = "Recovering"
"""Reason: the hub is not installed before its database and its keys are back."""


def holds(spec: PDSHubSpec | None, status: PDSHubStatus) -> str:
    """Why a hub is not installed yet, in words; empty where nothing has to come back first."""
    if spec is None or spec.bootstrap is None:
        return ""
    found = status.recovery or RecoveryStatus()
    if found.phase in INSTALLABLE:
        return ""
    return f"the hub comes back from its backup first: {found.message or 'it is begun'}"


def goes_on(hub: Object) -> str:
    """Why nothing of a hub is saved yet; empty where it may be. An empty home would become its newest snapshot."""
    if not (hub.get("spec") or {}).get("bootstrap"):
        return ""
    found = (hub.get("status") or {}).get("recovery")
    phase = found.get("phase") if isinstance(found, dict) else None
    return "" if phase in OVER else "the hub comes back from its backup, and nothing is saved until all of it is there"


def is_empty(claim: Object) -> bool:
    """Whether the content of a claim is still to come from a backup."""
    return MARK in (claim["metadata"].get("annotations") or {})
