"""People of a hub as rows: what the operator counted, beside what the list says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pdshub.cli import words
from pdshub.cli.census import Census
from pdshub.cli.roll import ADMINS, ALLOWED, SUSPENDED, Roll

Json = Mapping[str, Any]
UNSEEN = "a Secret or a group"
"""What lists somebody whom the operator found on the list, and no place that is read here names."""


def rows(roll: Roll, census: Census) -> list[dict[str, Any]]:
    """A row for everybody whom the hub knows or the list names, by name. Keys are always the same."""
    sizes = {home.claim: home.size for home in census.homes}
    homes = {home.user: home.claim for home in census.homes if home.user}
    said, counted = roll.said(), {user.name: user for user in census.users}
    admins = set(roll.written.get(ADMINS, ())).union(*(s.names for s in roll.sources if s.role == ADMINS))
    allowed = set(roll.written.get(ALLOWED, ())).union(*(s.names for s in roll.sources if s.role == ALLOWED))
    found = []
    for name in sorted({*said, *counted}):
        user, sources = counted.get(name), list(said.get(name, ()))
        if domain := roll.domain(name):
            sources.append(f"domain {domain}")
        named = name in allowed or name in admins or bool(domain)
        if user and user.listed and not named:
            sources.append(UNSEEN)
        home = (user.home if user else "") or homes.get(name, "")
        found.append(
            {
                "name": name,
                "admin": name in admins or bool(user and user.admin),
                "suspended": name in roll.written.get(SUSPENDED, ()) or bool(user and user.suspended),
                "lastActivity": (user.last_activity if user else "") or None,
                "server": user.server if user else "stopped",
                "home": home or None,
                "size": sizes.get(home) or None,
                "listed": named or bool(user and user.listed),
                "sources": sources,
            }
        )
    return found


def text(people: Sequence[Json]) -> str:
    """The rows as a table."""
    heading = ["NAME", "ADMIN", "SUSPENDED", "LAST SEEN", "SERVER", "HOME", "SIZE", "LISTED BY"]
    lines: list[Sequence[Any]] = [heading]
    for row in people:
        lines.append(
            [row["name"], "admin" if row["admin"] else "", "suspended" if row["suspended"] else "",
             row["lastActivity"] or "never", row["server"], row["home"], row["size"], ", ".join(row["sources"])]
        )  # fmt: skip
    return words.table(lines) if people else "nobody is on the list, and nobody has signed in"
