"""What can be done next for a recovery: one of these at a time."""

from __future__ import annotations

from dataclasses import dataclass

from pdshub.reconcile.common.objects import Step as Write
from pdshub.reconcile.hub.recovery.record import Record


@dataclass(frozen=True)
class Nothing:
    """Nothing is to be done for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Sweep:
    """Jobs that nobody waits for are taken away."""

    jobs: tuple[str, ...]


@dataclass(frozen=True)
class Prepare:
    """What a Job needs is written: the volume of an NFS share."""

    steps: tuple[Write, ...]


@dataclass(frozen=True)
class Put:
    """The record is written. Jobs that it no longer names have said what they had to say, and go."""

    record: Record
    event: str = ""
    """Reason of an event that goes with it."""


@dataclass(frozen=True)
class MakeClaims:
    """Claims of these items are made."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Start:
    """A Job about an item is made."""

    item: str
    interrupted: bool = False
    """Whether it takes the place of one that was interrupted."""


@dataclass(frozen=True)
class TakeKeys:
    """The Secret of the hub's keys is made, from a Job's answer or, without one, anew: from now on the hub may run."""

    sealed: str = ""


@dataclass(frozen=True)
class Unmark:
    """The content of an item's claim is there: servers may start with it."""

    item: str


@dataclass(frozen=True)
class SayDone:
    """The keys say that everything is back, or that homes still come."""

    word: str


Step = Nothing | Sweep | Prepare | Put | MakeClaims | Start | TakeKeys | Unmark | SayDone
