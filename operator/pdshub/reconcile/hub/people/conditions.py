"""Conditions about a hub's people: UsersKnown, UsersEnforced, HomesKnown. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pdshub.api.status import Condition
from pdshub.reconcile.common.conditions import ConditionDraft, Truth, merge_conditions
from pdshub.reconcile.hub.people.document import Document
from pdshub.reconcile.hub.people.homes import Homes
from pdshub.reconcile.hub.people.sources import Refused

KNOWN, ENFORCED, HOMES = "UsersKnown", "UsersEnforced", "HomesKnown"
OWNED = (KNOWN, ENFORCED, HOMES)
"""Types of the conditions that the loop of people writes; all others of a hub are its own loop's."""


@dataclass(frozen=True)
class Enforcement:
    """Whether the hub goes by the list and nobody else is left in it. ``status`` is the condition's."""

    status: Truth
    reason: str
    message: str


NOT_RUNNING = Enforcement("Unknown", "NotRunning", "the hub does not run")
NO_LIST = Enforcement("Unknown", "NoList", "there is no list yet: nobody gets in")


def spreading(document: Document, trouble: str) -> Enforcement:
    """The hub goes by another list."""
    if trouble:
        return Enforcement("False", "ListNotRead", f"the hub does not go by list {document.digest}: {trouble}")
    return Enforcement("False", "Spreading", f"the hub does not go by list {document.digest} yet")


def removing(words: str) -> Enforcement:
    """Somebody is being taken out."""
    return Enforcement("False", "Removing", words)


def unreachable(why: str) -> Enforcement:
    """The hub cannot be asked."""
    return Enforcement(
        "False", "HubUnreachable", f"{why}; it is tried again, and nobody new gets in who is off the list"
    )


def enforced(document: Document) -> Enforcement:
    """All is as it should be."""
    return Enforcement("True", "InEffect", f"the hub goes by list {document.digest}, and nobody else is left in it")


def known(found: Document | Refused) -> ConditionDraft:
    """Whether the list is known that the spec asks for."""
    if isinstance(found, Refused):
        return KNOWN, "False", found.reason, found.message
    people = found.people
    more = f", and everybody of {', '.join(sorted(people.domains))}" if people.domains else ""
    groups = f", and {len(people.allowed_groups | people.admin_groups)} groups" if people.has_groups else ""
    fenced = f"; {len(people.suspended)} are suspended" if people.suspended else ""
    said = f"{len(people.allowed)} people may sign in, {len(people.admins)} of them as admins{more}{groups}{fenced}"
    return KNOWN, "True", "Known", said


def drafts(found: Document | Refused | None, enforcement: Enforcement, homes: Homes) -> list[ConditionDraft]:
    """The three conditions; of a spec that is refused nothing is known."""
    first: ConditionDraft = (KNOWN, "Unknown", "InvalidSpec", "the spec is refused: the list stays as it is")
    return [
        first if found is None else known(found),
        (ENFORCED, enforcement.status, enforcement.reason, enforcement.message),
        (HOMES, "True" if homes.good else "False", homes.reason, homes.message),
    ]


def laid_into(
    made: Sequence[ConditionDraft],
    before: Iterable[Condition],
    generation: int,
    now: str,
    owned: Collection[str] = OWNED,
) -> list[Condition]:
    """All conditions of a hub, with these in their places: a loop that writes others finds the same order.

    ``owned``: the types that are the caller's.
    """
    old = list(before)
    mine = {c.type: c for c in merge_conditions(made, old, generation, now, owned) if c.type in owned}
    kept = [mine.pop(c.type, c) for c in old if c.type in mine or c.type not in owned]
    return [*kept, *mine.values()]
