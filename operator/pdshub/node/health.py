"""The node's health beyond "mounted": runs watch and proof over what is published, and says what they found."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from pdshub.node.canary import now
from pdshub.node.proof import Prover
from pdshub.node.subjects import Subject
from pdshub.node.watch import Watcher

log = logging.getLogger(__name__)

TICK = 1.0


class Health:
    """`subjects` lists what is published; `renew` mounts a view's generation anew; `changed` follows news."""

    def __init__(
        self,
        subjects: Callable[[], list[Subject]],
        renew: Callable[[str], None],
        changed: Callable[[], None],
        proof_seconds: float,
        canary_seconds: float,
    ) -> None:
        self.prover, self.watcher = Prover(proof_seconds), Watcher(renew)
        self._subjects, self._changed, self._every = subjects, changed, canary_seconds

    async def run(self) -> None:
        """For ever. Proofs and looks are beside each other, and neither of them is beside another of its kind: a
        view whose source hangs makes the others wait for its time limit, not for its source."""
        await asyncio.gather(self._turn(self._prove, TICK), self._turn(self._watch, self._every))

    async def _turn(self, look: Callable[[Subject], Any], seconds: float) -> None:
        while True:
            try:
                subjects = self._subjects()
                self.prover.forget({subject.view for subject in subjects})
                self.watcher.forget({subject.view for subject in subjects})
                for subject in subjects:
                    await look(subject)
            except Exception:
                log.exception("health")
            await asyncio.sleep(seconds)

    async def _prove(self, subject: Subject) -> None:
        if await self.prover.look(subject, time.monotonic()):
            proof = self.prover.results[subject.view]
            log.log(
                logging.INFO if proof.ok else logging.WARNING,
                "proof of %s: %s: %s", subject.view, proof.result, proof.message,
            )  # fmt: skip
            self._changed()

    async def _watch(self, subject: Subject) -> None:
        before = self.of(subject.view).get("surveyWanted")
        try:
            await self.watcher.look(subject, time.time(), now())
        except OSError as error:
            log.warning("sample of %s: %s", subject.view, error)
        if self.of(subject.view).get("surveyWanted") != before:
            self._changed()

    def of(self, view: str) -> dict[str, Any]:
        """What the report and health.json say of a view beyond the reconciler's words."""
        found: dict[str, Any] = {}
        if proof := self.prover.results.get(view):
            found["proof"] = proof.document()
        watch = self.watcher.watches.get(view)
        if watch and watch.checked:
            found["canary"] = watch.document()
            if watch.survey_wanted:
                found["surveyWanted"] = watch.survey_wanted
        return found
