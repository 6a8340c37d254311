"""What a spec and its sources make of a hub's list, and whether it may replace the one that is in effect. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pdshub.api import name_file
from pdshub.api.hub_users import Users
from pdshub.reconcile.hub.people.document import LIMIT, Document, People
from pdshub.reconcile.hub.people.sources import Refused, Source, all_normal
from pdshub.render.names import Names
from pdshub.wellknown import APPROVE_USERS

SHRUNK = "ShrunkTooMuch"
"""Reason: the list lost more at once than spec.users.shrinkLimit, and nobody has approved it."""
TOO_MANY = "TooManyUsers"
"""Reason: the list does not fit into a ConfigMap."""
SMALL = 5
"""Names of a list below which the loss of a single one is never too much: it is a large share of any short list."""


@dataclass(frozen=True)
class Groups:
    """Google groups whose members may sign in, as ``name@domain``."""

    allowed: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Groups:
        """Those that ``spec.values`` name. Source: OAuthenticator 17, GoogleOAuthenticator."""
        traits: Any = values
        for key in ("hub", "config", "GoogleOAuthenticator"):
            traits = traits.get(key) if isinstance(traits, Mapping) else None
        return cls(*(_addresses(traits, f"{role}_google_groups") for role in ("allowed", "admin")))


def _addresses(traits: Any, trait: str) -> frozenset[str]:
    named = traits.get(trait) if isinstance(traits, Mapping) else None
    pairs = named.items() if isinstance(named, Mapping) else ()
    return frozenset(f"{name}@{domain}" for domain, names in pairs if isinstance(names, list) for name in names)


def effective(users: Users, read: Sequence[tuple[Source, str | Refused]], groups: Groups) -> Document | Refused:
    """The list that a spec asks for: its own names and those of every source, each with the text that was read.

    Refused as a whole where one part is: a list with a hole would cut people off.
    """
    allowed, admins = set[str](), set[str]()
    parts: list[tuple[str, Sequence[str], set[str]]] = [
        ("spec.users.allowed", users.allowed, allowed),
        ("spec.users.admins", users.admins, admins),
    ]
    for source, text in read:
        if isinstance(text, Refused):
            return text
        parts.append(
            (f"{source.title}, key {source.key}", name_file.names(text), admins if source.role == "admins" else allowed)
        )
    for where, written, into in parts:
        found = all_normal(written, where)
        if isinstance(found, Refused):
            return found
        into |= found
    fenced = all_normal(users.suspended, "spec.users.suspended")
    if isinstance(fenced, Refused):
        return fenced
    document = Document.of(
        People(
            frozenset(allowed | admins) - fenced,
            frozenset(admins) - fenced,
            fenced,
            frozenset(domain.lower() for domain in users.domains),
            groups.allowed,
            groups.admins,
        )
    )
    if len(document.text) > LIMIT:
        count = len(document.people.listed)
        return Refused(
            TOO_MANY,
            f"{count} names make a list of {len(document.text)} bytes, and a ConfigMap holds 1 MiB "
            f"({LIMIT} bytes for the list): let people in by spec.users.domains, or take names off",
        )
    return document


@dataclass(frozen=True)
class Loss:
    """What a list would lose."""

    before: int
    lost: int

    def too_much(self, limit: int) -> bool:
        """Whether it is more than ``limit`` percent."""
        if self.before < SMALL and self.lost < 2:
            return False
        return self.lost * 100 > limit * self.before


def loss(before: Document | None, known: int, after: Document) -> Loss:
    """What ``after`` loses of the list in effect; of one that nobody can read only the number of names is ``known``."""
    if before is None:
        return Loss(known, max(0, known - len(after.people.allowed)))
    gone = before.people.allowed - after.people.listed
    return Loss(len(before.people.allowed), len(gone))


def shrunk(
    names: Names, before: Document | None, known: int, after: Document, users: Users, approved: str
) -> Refused | None:
    """Why ``after`` has to wait for a human; None where it need not.

    ``known``: how many names there were when the list in effect cannot be read; ``approved``: the digest that somebody
    approved.
    """
    found = loss(before, known, after)
    if not found.too_much(users.shrink_limit) or approved == after.digest:
        return None
    return Refused(
        SHRUNK,
        f"the list would lose {found.lost} of {found.before} names, more than the {users.shrink_limit} % of "
        f"spec.users.shrinkLimit: nobody is cut off and nobody new gets in until that is approved (kubectl annotate "
        f"--overwrite pdshub {names.name} -n {names.namespace} {APPROVE_USERS}={after.digest}), or the names are back",
    )
