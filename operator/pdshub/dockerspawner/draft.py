"""The spec of a hub as it grows, and what is said of traits that nothing has, or nothing that runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.dockerspawner.classes import Chosen
from pdshub.dockerspawner.report import Report
from pdshub.dockerspawner.settings import Assignment
from pdshub.dockerspawner.traits import Verdict, is_class, near, near_class

MOST_STRANGERS = 200
"""Unknown traits for which a known one of a similar name is looked for."""


@dataclass
class Draft:
    """The spec as it grows, and whom its parts come from."""

    report: Report
    file: str
    spawner: Chosen
    authenticator: Chosen
    bases: Mapping[str, str]
    spec: dict[str, Any] = field(default_factory=dict)
    strangers: int = 0

    def put(self, value: Any, *path: str) -> None:
        """A value at a path of the spec."""
        at = self.spec
        for part in path[:-1]:
            at = at.setdefault(part, {})
        at[path[-1]] = value


def stranger(owner: str, name: str, each: Assignment, draft: Draft) -> None:
    """A trait that nothing has: JupyterHub takes it without a word, and nothing came of it."""
    of = f"c.{owner}.{name}"
    draft.strangers += 1
    compared = draft.strangers <= MOST_STRANGERS
    if is_class(owner, draft.bases):
        meant = near(owner, name, draft.bases) if compared else ""
        if meant:
            words = f"there is no such trait, and JupyterHub says nothing of it: was {meant} meant? It had no effect"
            draft.report.contradiction(of, words, draft.file, each.line)
        else:
            draft.report.add(Verdict.UNREAD, of, "no trait that is known here", draft.file, each.line)
        return
    meant = near_class(owner) if compared else ""
    if owner.endswith("Authenticator") and draft.authenticator.certain:
        if draft.authenticator.has(owner):
            words = "is of another provider than Google"
            draft.report.add(Verdict.NONE, of, words, draft.file, each.line)
        else:
            draft.report.contradiction(of, f"is set, and {draft.authenticator.name} runs", draft.file, each.line)
        return
    words = f"no class that is known here{f': was {meant} meant?' if meant else ''}"
    draft.report.add(Verdict.UNREAD, of, words, draft.file, each.line)


def elsewhere(owner: str, draft: Draft) -> bool:
    """Whether a trait is of a spawner or authenticator that does not run."""
    if owner.endswith("Spawner"):
        return not draft.spawner.has(owner)
    other = owner.endswith("Authenticator") and not draft.authenticator.has(owner)
    return other and draft.authenticator.certain
