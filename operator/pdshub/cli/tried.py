"""What is read of a cluster as far as the person may: what is refused is noted, and the rest goes on."""

from __future__ import annotations

from typing import Any

from pdshub.cli.kubectl import Kubectl, KubectlError

Json = dict[str, Any]
LONGEST = 300
SYSTEM = "pdshub-system"
"""The namespace of the installation, where nobody says another."""


class Reader:
    """Kubectl that notes what it is refused. ``notes``: what could not be read, and why."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        self.notes: list[str] = []

    def items(self, what: str, *arguments: str) -> list[Json]:
        """The objects of a list, none where it can not be read. ``what``: in words, for the note."""
        try:
            return [one for one in self.kubectl.items(*arguments) if isinstance(one, dict) and _named(one)]
        except KubectlError as error:
            self._note(what, error)
            return []

    def known(self, what: str, *arguments: str) -> list[Json] | None:
        """The same, and None where the list could not be read."""
        before = len(self.notes)
        found = self.items(what, *arguments)
        return None if len(self.notes) > before else found

    def one(self, what: str, *arguments: str) -> Json | None:
        """An object; None where there is none, or where it can not be read, which is noted."""
        try:
            return self.kubectl.get(*arguments)
        except KubectlError as error:
            if "not found" not in str(error).lower():
                self._note(what, error)
            return None

    def text(self, what: str, *arguments: str, seconds: float = 60.0) -> str | None:
        """What kubectl prints; None where it is refused, which is noted."""
        try:
            return self.kubectl.run(*arguments, seconds=seconds)
        except KubectlError as error:
            self._note(what, error)
            return None

    def _note(self, what: str, error: KubectlError) -> None:
        self.notes.append(f"{what}: not read: {str(error)[:LONGEST]}")


def _named(found: Json) -> bool:
    meta = found.get("metadata")
    return isinstance(meta, dict) and isinstance(meta.get("name"), str)
