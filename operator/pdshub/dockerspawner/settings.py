"""What was read of a configuration: values of traits, and what is to be said of its lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pdshub.dockerspawner.parsed import Line


@dataclass(frozen=True)
class Assignment:
    """A value of a trait. ``condition``: what it depends on and what is not known here; empty where nothing is."""

    owner: str
    name: str
    value: Any
    line: int
    condition: str = ""


@dataclass
class Config:
    """What a configuration says."""

    file: str
    assignments: list[Assignment] = field(default_factory=list)
    unread: list[Line] = field(default_factory=list)
    notes: list[Line] = field(default_factory=list)
    statements: int = 0
    bases: dict[str, str] = field(default_factory=dict)
    """Classes of the file -> the class that each is made from, by dotted name."""
    lists: list[str] = field(default_factory=list)
    """Files of names that were read."""
    listed_admins: list[str] = field(default_factory=list)
    """Names that such files mark as admins."""
    unset: list[str] = field(default_factory=list)
    """Variables of the environment that it asks for and nobody sets."""

    @property
    def understood(self) -> int:
        """How many statements were understood."""
        return self.statements - sum(line.statements for line in self.unread)

    def last(self) -> dict[tuple[str, str], Assignment]:
        """The last unconditional value of each trait."""
        return {(each.owner, each.name): each for each in self.assignments if not each.condition}

    def twice(self) -> dict[tuple[str, str], list[int]]:
        """Traits that get a whole new value after they had one, with the lines."""
        lines: dict[tuple[str, str], list[int]] = {}
        held: dict[tuple[str, str], Any] = {}
        for each in self.assignments:
            trait = each.owner, each.name
            if each.condition:
                continue
            if trait not in held or held[trait] is not each.value:  # one that is filled up stays the same value
                lines.setdefault(trait, []).append(each.line)
            held[trait] = each.value
        return {trait: found for trait, found in lines.items() if len(found) > 1}
