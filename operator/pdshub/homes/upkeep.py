"""What is done with homes by itself: daily checkpoints, and room before there is none."""

from __future__ import annotations

import logging

from pdshub import rfc3339
from pdshub.homes import policy
from pdshub.homes.errors import HomesError
from pdshub.homes.model import Checkpoint
from pdshub.homes.operations import Homes
from pdshub.homes.policy import Schedule

log = logging.getLogger(__name__)

AGE, ROOM = "age", "room"


class Upkeep:
    """``dropped`` counts checkpoints that went, by why: AGE or ROOM."""

    def __init__(self, homes: Homes, schedule: Schedule) -> None:
        self._homes, self._schedule = homes, schedule
        self.dropped = {AGE: 0, ROOM: 0}

    def daily(self) -> list[str]:
        """Make the checkpoints that are due, remove those that are too old: what could not be done, and why.

        Raises HomesError, OSError when the disk can't be looked at.
        """
        problems: list[str] = []
        keep = self._schedule.keep
        known, now = self._homes.checkpoints(), self._homes.now()
        for volume in self._homes.volumes():
            if name := policy.due(volume, known, now, self._schedule):
                try:
                    self._homes.checkpoint(volume.id, name, daily=True)
                except (HomesError, OSError) as error:
                    problems.append(f"volume {volume.id}: {error}")
        for old in policy.expired(self._homes.checkpoints(), keep, self._homes.now()):
            if why := self._drop(old, AGE):
                problems.append(why)
        return problems

    def make_room(self) -> int:
        """Remove checkpoints while the pool is too full, the oldest first: how many went.

        One that somebody looks at just now stays for this time. Raises as ``daily``.
        """
        before, stuck = self.dropped[ROOM], set[str]()
        while True:
            left = [c for c in self._homes.checkpoints() if c.id not in stuck]
            gone = policy.next_to_drop(self._homes.pool(), left, self._homes.limits)
            if gone is None:
                return self.dropped[ROOM] - before
            log.warning("the pool is too full: checkpoint %s of %s goes", gone.id, rfc3339.for_people(gone.created))
            if why := self._drop(gone, ROOM):
                log.warning("%s", why)
                stuck.add(gone.id)

    def _drop(self, checkpoint: Checkpoint, why: str) -> str:
        """Why a checkpoint could not be removed; empty where it was."""
        try:
            self._homes.drop(checkpoint.id)
        except (HomesError, OSError) as error:
            return f"checkpoint {checkpoint.id}: {error}"
        self.dropped[why] += 1
        return ""
