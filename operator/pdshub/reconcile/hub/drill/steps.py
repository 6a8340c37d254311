"""What can be done next for a hub's drills: one of these at a time."""

from __future__ import annotations

from dataclasses import dataclass

from pdshub.reconcile.hub.drill.record import Drills


@dataclass(frozen=True)
class Nothing:
    """Nothing is to be done for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Tell:
    """The record is written. The Job that it no longer names has said what it had to say, and goes."""

    drills: Drills


@dataclass(frozen=True)
class Start:
    """The Job of a stage is made, and before it what it needs: keys, a network policy, a claim."""

    index: int
    attempt: int


@dataclass(frozen=True)
class CleanUp:
    """What is left of a drill in the drills' namespace is taken away: keys of the repository before all."""


Step = Nothing | Tell | Start | CleanUp
