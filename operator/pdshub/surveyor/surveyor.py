"""The surveyor of one view: takes the desired view, surveys when it is time, keeps generations, says how it stands."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pdshub import rfc3339
from pdshub.api.generation import SurveyCost
from pdshub.archive.guard import guard
from pdshub.archive.view import SurveyedView
from pdshub.files import read_json, write_json
from pdshub.generation_id import named, short
from pdshub.surveyor import retention, s3_cost, schedule
from pdshub.surveyor.check_runner import CheckRunner
from pdshub.surveyor.content_runner import ContentRunner
from pdshub.surveyor.desired_view import DesiredView, DesiredViewError, parse
from pdshub.surveyor.progress import Progress
from pdshub.surveyor.stamp import Stamp
from pdshub.surveyor.store import Entry, Store, StoreError
from pdshub.surveyor.worker import Worker, WorkerError

log = logging.getLogger(__name__)

Json = dict[str, Any]


STALE_SECONDS = 120
"""Servers and clients remember listings for a minute and more (Ganesha's Attr_Expiration_Time, acdirmax): one that was
read this soon after its directory had changed may be older than the change, and is read again."""


class Surveyor:
    """The surveyor without the network.

    ``keys``: a directory for each source in S3, with its keys. ``memory``: bytes that a survey's process may take, 0
    for no bound. ``clock``: tells seconds since 1970. ``stale_seconds``: how long after a change a listing is not
    trusted.
    """

    def __init__(
        self,
        store: Store,
        sources: Path,
        *,
        keys: Path | None = None,
        memory: int = 0,
        clock: Callable[[], float] = time.time,
        stale_seconds: int = STALE_SECONDS,
    ) -> None:
        self.store, self.sources, self.memory, self.clock = store, sources, memory, clock
        self.keys = keys
        self._stale_seconds = stale_seconds
        self.progress = Progress.load(store.path / "state.json")
        self.desired = _kept_desired_view(store.path / "spec.json")
        self.entries: list[Entry] = store.read()
        self.phase = ""
        self.last_turn = time.monotonic()
        self.refused = 0  # specs of another view: somebody's addresses are mixed up
        self.check_runner = CheckRunner(self)
        self.content_runner = ContentRunner(self)
        self._worker: Worker | None = None
        self._stamp, self._stamp_state = Stamp(), self.progress.tried_stamp
        self._wake = asyncio.Event()
        self._closing = False

    # --- what the operator says -------------------------------------------------------------------------------

    def put(self, body: Any) -> DesiredView:
        """Takes what the operator wants; the same again changes nothing. Raises DesiredViewError, OSError."""
        desired = parse(body)
        if self.desired and self.desired.view != desired.view:
            self.refused += 1
            raise DesiredViewError(f"name: this is the surveyor of {self.desired.view}")
        if self.desired is None or desired.body() != self.desired.body():
            write_json(self.store.path / "spec.json", desired.body(), durable=True)
            if self._worker and self.desired and desired.content != self.desired.content:
                self._worker.stop("the view changed meanwhile")
            self.desired = desired
            self._wake.set()
        return desired

    @property
    def view(self) -> SurveyedView | None:
        """The view to survey; None while there is nothing to survey."""
        if self.desired is None or not self.desired.spec.cataloged:
            return None
        return SurveyedView.of(self.desired.view, self.desired.spec)

    # --- the loop ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Surveys and checks when it is time, until ``close``."""
        while not self._closing:
            self._wake.clear()
            wait = await self.turn()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def close(self) -> None:
        """Ends what runs and waits for it. Not by cancelling: that hangs while a process is being started."""
        self._closing = True
        self._wake.set()
        if self._worker:
            self._worker.stop("the surveyor ends")
        await self.check_runner.close()
        await self.content_runner.close()

    async def turn(self) -> float:
        """Surveys if it is time; returns the seconds until the next look."""
        self.last_turn = time.monotonic()
        view = self.view
        if view is None or self.desired is None:
            return schedule.STAMP_SECONDS
        await self._look_at_stamp(view)
        reason, wait = schedule.due(self._facts(self.desired))
        if self._closing:
            return 0
        if not reason:
            self.check_runner.begin()
            self.content_runner.begin()
            return max(0.05, min(wait, schedule.STAMP_SECONDS))
        await self._attempt(self.desired, view, reason)
        return 0.05

    async def _look_at_stamp(self, view: SurveyedView) -> None:
        path = self.desired.spec.survey.stamp_file if self.desired else None
        if path and view.layers:
            state = await self._stamp.look(self.sources / view.layers[0].source / path)
            self._stamp_state = self._stamp_state if state is None else state
        else:
            self._stamp_state = ""

    def _facts(self, desired: DesiredView) -> schedule.Facts:
        p = self.progress
        return schedule.Facts(
            now=self.clock(),
            interval=desired.spec.survey.interval_seconds,
            content=desired.content,
            request=desired.request,
            stamp=self._stamp_state,
            tried_content=p.tried_content,
            tried_request=p.tried_request,
            tried_stamp=p.tried_stamp,
            finished=p.finished if self.entries else None,
            failed=p.failed,
            failures=p.failures,
            settles=p.settles,
        )

    async def _attempt(self, desired: DesiredView, view: SurveyedView, reason: str) -> None:
        p, stamp = self.progress, self._stamp_state
        p.started = self.clock()
        log.info("survey of %s: %s", view.name, reason)
        error = ""
        try:
            await self._survey(desired, view, p.started)
        except (WorkerError, StoreError) as problem:
            error = str(problem)
        except OSError as problem:
            error = f"the store can not be written: {problem.strerror}"
        finally:
            self.phase, self._worker = "", None
        if self._closing or (self.desired and self.desired.content != desired.content):
            return  # it was not its own fault, or for another view; the next turn begins anew
        ended = self.clock()
        p.tried_content, p.tried_request, p.tried_stamp = desired.content, desired.request, stamp
        p.seconds, p.message = ended - p.started, error
        if error:
            log.warning("survey of %s: %s", view.name, error)
            p.failed, p.failures = ended, p.failures + 1
        else:
            p.finished, p.failed, p.failures, p.surveys = ended, None, 0, p.surveys + 1
        self.save()

    def save(self) -> None:
        """Keeps the state; a store that can't be written is told of, not died of."""
        try:
            self.progress.save(self.store.path / "state.json")
        except OSError as problem:
            log.warning("the state can not be kept: %s", problem)

    async def _survey(self, desired: DesiredView, view: SurveyedView, began: float) -> None:
        p = self.progress
        self._learn_approved(desired)
        if refused := s3_cost.refusal(desired.spec, self.costs(desired)):
            raise WorkerError(refused)
        base = self.baseline()
        newest = self.entries[0] if self.entries else None
        settle = view.authority.settle_seconds
        # Users have no generation yet: they see what the sources hold, and to withhold what may still be copied would
        # only take it away. It is looked at again when it may have settled.
        first = newest is None and not desired.keep
        with self.store.workplace() as work:
            task: Json = {
                "name": desired.view, "spec": desired.wire, "sources": str(self.sources), "work": str(work),
                "keys": str(self.keys) if self.keys else None,
                "now": began,
                "previous": str(newest.directory) if newest else None,
                "baseline": str(base.directory) if base else None,
                "restatSince": p.restat_at, "restatHours": desired.spec.survey.restat_hours,
                "settleSeconds": 0 if first else None, "staleSeconds": self._stale_seconds,
                "full": schedule.full(desired.request, p.tried_request),
                "look": desired.request != p.tried_request or p.failed is not None or p.settles is not None,
            }  # fmt: skip
            self._worker = Worker("survey", task, memory=self.memory)
            result = await self._worker.run(self._say)
            before = int(base.manifest["counts"]["files"]) if base else None
            facts = {
                "asOf": rfc3339.text(began),
                "guard": guard(before, int(result["counts"]["files"]), view.authority.shrink_threshold_percent),
                "previous": base.name if base and base.name != result["generation"] else None,
                "changes": result["changes"],
                "content": desired.content,
            }
            entry = await asyncio.to_thread(self.store.commit, work, facts)
        self.entries = self.store.read()
        log.info("generation %s: %s files", entry.name, result["counts"]["files"])
        p.requests = result["requests"]
        p.restat_at, p.counters, p.settling = began, result["counters"], int(result["settling"])
        again = p.settling or (first and settle)
        wait = max(schedule.MIN_SETTLE_SECONDS, settle, self._stale_seconds if result["doubted"] else 0)
        p.settles = self.clock() + wait if again else None
        await asyncio.to_thread(self.drop)

    def _say(self, text: str) -> None:
        self.phase = text

    def costs(self, desired: DesiredView) -> list[SurveyCost]:
        """What the next survey asks of sources in S3, as far as that is known."""
        if not any(source.s3 for source in desired.spec.sources):
            return []
        newest = self.entries[0].manifest["counts"].get("filesBySource") if self.entries else None
        known = {name: count for name, count in (newest or {}).items() if type(count) is int}
        today = datetime.fromtimestamp(self.clock(), UTC).date()
        return s3_cost.costs(desired.spec, self.progress.requests, known, s3_cost.shipped(), today)

    # --- generations ------------------------------------------------------------------------------------------

    def _learn_approved(self, desired: DesiredView) -> None:
        names = [entry.name for entry in self.entries]
        known = {name for name in self.progress.approved if name in names}
        self.progress.approved = sorted(known | {name for name in names if named(desired.spec.approved, name)})

    def baseline(self) -> Entry | None:
        """The generation that a new one is compared with."""
        order = [(entry.name, entry.accepted) for entry in self.entries]
        name = retention.baseline(order, self.progress.approved)
        return next((entry for entry in self.entries if entry.name == name), None)

    def drop(self) -> None:
        """Removes generations beyond spec.survey.keep that nobody has released, pinned, approved or looks at."""
        if self.desired is None:
            return
        base = self.baseline()
        held = [*self.desired.keep, self.desired.spec.pin, self.desired.spec.approved, base.name if base else None]
        held += self.check_runner.busy_with() + self.content_runner.busy_with()
        names = [entry.name for entry in self.entries]
        if gone := retention.doomed(names, self.desired.spec.survey.keep, held):
            log.info("dropped: %s", ", ".join(short(name) for name in gone))
            self.store.drop(gone)
            self.entries = self.store.read()

    def look_again(self) -> None:
        """Reads the store: what is known of a generation changed there."""
        self.entries = self.store.read()

    def find(self, reference: str) -> Entry | None:
        """The generation that a name, or its beginning, means; "" is the newest."""
        return next((entry for entry in self.entries if not reference or named(reference, entry.name)), None)

    @property
    def surveying(self) -> bool:
        """Whether a survey runs."""
        return self._worker is not None


def _kept_desired_view(path: Path) -> DesiredView | None:
    kept = read_json(path)
    try:
        return parse(kept) if kept else None
    except DesiredViewError as error:
        log.warning("the kept spec can not be used: %s", error)
        return None
