"""Audit and verification, in the background: one of each at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from pdshub import rfc3339
from pdshub.generation_id import named
from pdshub.surveyor import schedule
from pdshub.surveyor.desired_view import DesiredView
from pdshub.surveyor.progress import Progress
from pdshub.surveyor.store import Entry, Store
from pdshub.surveyor.worker import Worker, WorkerError

log = logging.getLogger(__name__)

Json = dict[str, Any]
VERIFY_SECONDS = 86400.0
"""A pinned generation is compared with its sources at least this often."""
RETRY_SECONDS = 6 * 3600.0
"""The longest wait until a check that failed is tried again: what is in its way may need people, and trying reads."""


class Subject(Protocol):
    """Whose generations are looked at: what of the surveyor the checks need, and no more."""

    memory: int
    sources: Path
    progress: Progress
    store: Store

    @property
    def clock(self) -> Callable[[], float]:
        """Tells seconds since 1970."""

    @property
    def desired(self) -> DesiredView | None:
        """What the operator wants; None until it has said so."""

    @property
    def entries(self) -> Sequence[Entry]:
        """The kept generations, the newest first."""

    def find(self, reference: str) -> Entry | None:
        """The generation that a name, or its beginning, means."""

    def look_again(self) -> None:
        """Reads the store anew: an audit added findings to a generation."""

    def save(self) -> None:
        """Keeps the progress."""


class CheckRunner:
    """Runs audit and verification in workers and keeps their results in the surveyor's progress."""

    def __init__(self, surveyor: Subject) -> None:
        self._of = surveyor
        self._workers: dict[str, tuple[Worker, str]] = {}  # kind -> (worker, generation)
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted: str | None = None  # generation that somebody asked to verify
        self._closing = False

    def busy_with(self) -> list[str]:
        """Names of the generations that are being checked, and must be kept so long."""
        return [name for _, name in self._workers.values()] + ([self._wanted] if self._wanted else [])

    def running(self, kind: str) -> bool:
        """Whether an audit ("audit") or a verification ("verify") runs."""
        return kind in self._workers

    async def close(self) -> None:
        """Ends what runs and waits for it; it begins anew with the next surveyor."""
        self._closing = True
        for worker, _ in self._workers.values():
            worker.stop("the surveyor ends")
        await asyncio.gather(*self._tasks)

    def ask(self, entry: Entry) -> None:
        """Verify this one, now or after the one that is being verified."""
        self._wanted = entry.name
        self.begin()

    def begin(self) -> None:
        """Starts what is due and does not run yet."""
        if (entry := self._to_audit()) and not self.running("audit") and self._of.desired:
            self._start("audit", entry)
        if not self.running("verify") and (entry := self._to_verify()):
            self._wanted = None
            newest = self._of.entries[0].name
            self._start("verify", entry, newest=newest)

    def _to_audit(self) -> Entry | None:
        newest = self._of.entries[0] if self._of.entries else None
        last = self._of.progress.audit
        if newest is not None and self._reads_first(newest):
            return None
        if newest is None or last.get("generation") != newest.name or last.get("state") == "running":
            return newest  # "running" is what a surveyor that was killed has left
        return newest if self._again(last) else None

    def _reads_first(self, entry: Entry) -> bool:
        """Whether files are read that travel with a generation: its labels are compared with these then."""
        progress, desired = self._of.progress, self._of.desired
        if desired is None or desired.spec.survey.content is None or entry.name in progress.content_done:
            return False
        return progress.content.get("state") != "failed"

    def _again(self, last: Json) -> bool:
        """Whether a check has failed and is to be tried again now."""
        since = self._of.clock() - float(last.get("seconds") or 0)
        wait = schedule.backoff(int(last.get("failures") or 1), RETRY_SECONDS, RETRY_SECONDS)
        return last.get("state") == "failed" and not 0 <= since < wait  # below 0: the clock was set back

    def _to_verify(self) -> Entry | None:
        of, last = self._of, self._of.progress.verify
        if self._wanted:
            return of.find(self._wanted)
        pin = of.desired.spec.pin if of.desired else None
        entry = next((e for e in of.entries if named(pin, e.name)), None)
        if entry is None:
            return None
        old = of.clock() - float(last.get("seconds") or 0) > VERIFY_SECONDS
        same = last.get("generation") == entry.name and last.get("newest") == of.entries[0].name
        return entry if old or not same or self._again(last) else None

    def _start(self, kind: str, entry: Entry, **note: str) -> None:
        rate = self._of.desired.spec.survey.audit_labels_per_second if self._of.desired else 0
        task = {
            "generation": str(entry.directory),
            "sources": str(self._of.sources),
            "store": str(self._of.store.path),
            "rate": rate,
        }
        worker = Worker(kind, task, memory=self._of.memory // 2, nice=15)  # a survey may run beside it
        self._workers[kind] = (worker, entry.name)
        running = asyncio.get_running_loop().create_task(self._run(kind, worker, entry, note))
        self._tasks.add(running)
        running.add_done_callback(self._tasks.discard)

    async def _run(self, kind: str, worker: Worker, entry: Entry, note: dict[str, str]) -> None:
        began = self._of.clock()
        head: Json = {"generation": entry.name, **note}
        last: Json = getattr(self._of.progress, kind)
        if last.get("generation") != entry.name:  # else the last result stands until there is a new one
            last = {**head, "at": rfc3339.text(began)}
        setattr(self._of.progress, kind, {**last, "state": "running"})
        try:
            # an audit says something every 10,000 labels only; its rate is bounded on purpose
            result = await worker.run(seconds=7 * 86400.0)
            end: Json = {"state": "done", **result}
        except (WorkerError, OSError) as error:
            log.warning("%s of %s: %s", kind, entry.name, error)
            end = {"state": "failed", "message": str(error), "failures": int(last.get("failures") or 0) + 1}
        finally:
            self._workers.pop(kind, None)
        if self._closing:
            return
        now = self._of.clock()
        setattr(self._of.progress, kind, {**head, **end, "at": rfc3339.text(now), "seconds": now})
        self._of.look_again()
        self._of.save()
