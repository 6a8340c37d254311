"""The loop over the disk: how full it is, what is due, what metrics say of it."""

from __future__ import annotations

import asyncio
import logging
import time

from pdshub.homes.errors import HomesError
from pdshub.homes.metrics import Seen
from pdshub.homes.operations import Homes
from pdshub.homes.policy import Schedule
from pdshub.homes.upkeep import Upkeep

log = logging.getLogger(__name__)

EVERY = 30.0
"""Seconds between two looks at how full the pool is: what is written meanwhile has to fit above ``drop_above``."""
DAILY_EVERY = 300.0
"""Seconds between two looks at which checkpoints are due."""


class Watch:
    """Looks at the disk for ever. ``seen``: what the last look found; ``last_turn``: when it ended (monotonic)."""

    def __init__(self, homes: Homes, schedule: Schedule) -> None:
        self._homes, self._upkeep = homes, Upkeep(homes, schedule)
        self._next_daily = 0.0
        self._problems: list[str] = []
        self._said: set[str] = set()
        self.seen: Seen | None = None
        self.last_turn = time.monotonic()

    async def run(self) -> None:
        """Look every EVERY seconds; what fails is said once, and tried again."""
        while True:
            try:
                problems = await asyncio.to_thread(self.turn)
            except (HomesError, OSError) as error:
                problems = [str(error)]
                if self.seen:
                    self.seen = Seen(self.seen.pool, self.seen.volumes, self.seen.checkpoints, self.seen.dropped, 1)
            for problem in set(problems) - self._said:
                log.warning("%s", problem)
            self._said = set(problems)
            self.last_turn = time.monotonic()
            await asyncio.sleep(EVERY)

    def turn(self) -> list[str]:
        """One look: what the last look at checkpoints could not do. Raises HomesError, OSError."""
        self._homes.go_on()
        self._upkeep.make_room()
        if time.monotonic() >= self._next_daily:
            self._problems = self._upkeep.daily()
            self._next_daily = time.monotonic() + DAILY_EVERY
            self._upkeep.make_room()
        self.seen = Seen(
            self._homes.pool(),
            tuple(self._homes.volumes()),
            tuple(self._homes.checkpoints()),
            dict(self._upkeep.dropped),
            len(self._problems),
        )
        return self._problems
