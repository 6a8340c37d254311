"""Conditions of hubs and views.

Source: Kubernetes API conventions (Typical status properties).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from pdshub.api.status import Condition

Truth = Literal["True", "False", "Unknown"]
ConditionDraft = tuple[str, Truth, str, str]
CONNECTING = "Connecting"
"""Reason of an archive that is being mounted for the first time."""
ENTRY_EMPTY = "EntryEmpty"
"""Reason: an entry shows nothing."""
LAYER_MISSING = "LayerMissing"
"""Reason: an entry shows something, but a layer of it is not there: what it would hide may shine through."""
VIEW_NOT_ALLOWED = "ViewNotAllowed"
"""Reason: a hub refers to a view that may not be shown in its namespace."""
_LONGEST = 2000


def truth(value: bool | None) -> Truth:
    """A condition's status of what may not be known."""
    return "Unknown" if value is None else "True" if value else "False"


OWNED = frozenset(
    {
        "ArchiveReady",
        "BackedUp",
        "CertificateReady",
        "Deleting",
        "Drifted",
        "HomesEnforced",
        "HomesKnown",
        "Intact",
        "KeyEscrowed",
        "NamespaceGuarded",
        "NetworkEnforced",
        "PinnedDrift",
        "Ready",
        "Reconciling",
        "Recovered",
        "Released",
        "RestoreVerified",
        "RolledBack",
        "SignInReady",
        "Stalled",
        "Surveyed",
        "Suspended",
        "UsersEnforced",
        "UsersIsolated",
        "UsersKnown",
    }
)
"""Types of all conditions that the operator writes, of hubs and of views."""


def merge_conditions(
    drafts: Iterable[ConditionDraft],
    before: Iterable[Condition],
    generation: int,
    now: str,
    owned: Collection[str] = OWNED,
) -> list[Condition]:
    """The drafts as conditions, followed by those that others wrote.

    lastTransitionTime changes only where the status does. A condition of an ``owned`` type that has no draft applies
    no longer, and goes; one of any other type stays as it is. ``generation`` becomes observedGeneration, ``now`` is
    RFC 3339 text. Source: Kubernetes API conventions, Typical status properties.
    """
    old = {c.type: c for c in before}
    made = []
    for kind, status, reason, message in drafts:
        was = old.pop(kind, None)
        made.append(
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=message[:_LONGEST],
                observed_generation=generation,
                last_transition_time=was.last_transition_time if was and was.status == status else now,
            )
        )
    return [*made, *(condition for kind, condition in old.items() if kind not in owned)]
