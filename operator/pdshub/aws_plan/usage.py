"""What is known of a hub, and of each figure how it is known: measured, of the spec, given by a person, or assumed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

GIB = 1 << 30
TIB = 1 << 40


class How(StrEnum):
    """How a figure is known. A plan is as good as its assumptions: they are said beside it."""

    MEASURED = "measured"
    SPEC = "spec"
    GIVEN = "given"
    ASSUMED = "assumed"


@dataclass(frozen=True)
class Figure:
    """A number, how it is known, and from what."""

    value: float
    how: How
    why: str

    @property
    def whole(self) -> int:
        """The number as one that can be counted, rounded up."""
        return -int(-self.value // 1)


@dataclass(frozen=True)
class Usage:
    """A hub. Bytes are bytes, months are of 730 hours."""

    users: Figure
    """People who may sign in."""
    at_once: Figure
    """Servers that run at the busiest time."""
    busy_hours: Figure
    """Hours of a month in which so many run; in the others one node is enough."""
    memory: Figure
    """Bytes that a server takes at its peak."""
    cores: Figure
    """Cores that a server takes while its user works."""
    largest_memory: Figure
    """Bytes of the largest server that somebody may choose."""
    homes: Figure
    """Volumes of homes."""
    home_bytes: Figure
    """Bytes of all of them, as they were asked for."""
    home_used: Figure
    """Bytes in them."""
    archive_bytes: Figure
    archive_files: Figure
    read_bytes: Figure
    """Bytes of the archive that are read in a month."""
    egress_bytes: Figure
    """Bytes that go out to people and the internet in a month."""
    surveys: Figure
    """Surveys in a month."""

    def figures(self) -> list[tuple[str, str, Figure]]:
        """Key, what it is in words, and the figure, in the order in which people read them."""
        words = (
            ("users", "people who may sign in"),
            ("at_once", "servers at the busiest time"),
            ("busy_hours", "hours a month at which so many run"),
            ("memory", "memory of a server at its peak"),
            ("cores", "cores of a server whose user works"),
            ("largest_memory", "memory of the largest server that may be chosen"),
            ("homes", "homes"),
            ("home_bytes", "size of all homes"),
            ("home_used", "used in homes"),
            ("archive_bytes", "size of the archive"),
            ("archive_files", "files of the archive"),
            ("read_bytes", "read of the archive in a month"),
            ("egress_bytes", "out to people and the internet in a month"),
            ("surveys", "surveys in a month"),
        )
        return [(key, text, getattr(self, key)) for key, text in words]


BYTES = ("memory", "largest_memory", "home_bytes", "home_used", "archive_bytes", "read_bytes", "egress_bytes")
"""Figures that are bytes."""
