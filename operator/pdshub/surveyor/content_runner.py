"""Content, in the background: step after step, what users see first, then what they may see next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from pdshub import rfc3339
from pdshub.api.base import parse_quantity
from pdshub.generation_id import digits
from pdshub.surveyor import schedule
from pdshub.surveyor.desired_view import DesiredView, digest
from pdshub.surveyor.progress import Progress
from pdshub.surveyor.store import Entry, Store, StoreError
from pdshub.surveyor.worker import Worker, WorkerError

log = logging.getLogger(__name__)

Json = dict[str, Any]
STEP_SECONDS = 900.0
"""How long a step reads. What was read in one that is killed is read again."""
RETRY_SECONDS = 3600.0
"""The longest wait until a step that failed is tried again, and until what could not be read is tried again."""


class Subject(Protocol):
    """What of the surveyor content needs."""

    memory: int
    sources: Path
    progress: Progress
    store: Store

    @property
    def clock(self) -> Callable[[], float]:
        """Tells seconds since 1970."""

    @property
    def desired(self) -> DesiredView | None:
        """What the operator wants."""

    @property
    def entries(self) -> Sequence[Entry]:
        """The kept generations, the newest first."""

    def look_again(self) -> None:
        """Reads the store anew."""

    def save(self) -> None:
        """Keeps the progress."""


def rules(desired: DesiredView) -> Json | None:
    """What travels, as the task of a step has it; None: nothing does."""
    content = desired.spec.survey.content
    if content is None:
        return None
    return {
        "labels": content.labels,
        "maxFileSize": int(parse_quantity(content.max_file_size)),
        "include": list(content.include),
        "exclude": list(content.exclude),
    }


def due(entries: Sequence[Entry], keep: Sequence[str], done: Json, of: str) -> Entry | None:
    """The generation whose content is read next: what users have (``keep``) before the newest. Pure.

    ``done``: generation -> digest of the rules by which all was read; ``of``: the digest now.
    """
    shown = [entry for entry in entries if entry.name in keep]
    return next((entry for entry in (*shown, *entries[:1]) if done.get(entry.name) != of), None)


class ContentRunner:
    """One step at a time. What it found is in the surveyor's progress."""

    def __init__(self, surveyor: Subject) -> None:
        self._of = surveyor
        self._worker: Worker | None = None
        self._task: asyncio.Task[None] | None = None
        self._busy = ""
        self._closing = False
        self.phase = ""

    def busy_with(self) -> list[str]:
        """Names of the generations that must be kept for a step that runs."""
        return [self._busy] if self._busy else []

    async def close(self) -> None:
        """Ends the step that runs and waits for it."""
        self._closing = True
        if self._worker:
            self._worker.stop("the surveyor ends")
        if self._task:
            await self._task

    def begin(self) -> None:
        """Starts a step where one is due and none runs."""
        of, desired = self._of, self._of.desired
        if self._closing or desired is None:
            return
        if (what := rules(desired)) is None:
            self._forget()
            return
        if self._busy:
            return
        names = {entry.name for entry in of.entries}
        of.progress.content_done = {name: said for name, said in of.progress.content_done.items() if name in names}
        key = digest({**what, "budget": desired.spec.survey.content.budget})  # type: ignore[union-attr]
        pins = [
            entry.name
            for entry in of.entries
            if desired.spec.pin and digits(entry.name).startswith(digits(desired.spec.pin))
        ]
        entry = due(of.entries, [*desired.keep, *pins], of.progress.content_done, key)
        if entry is None or not self._time_has_come(entry):
            return
        self._busy = entry.name
        self._task = asyncio.get_running_loop().create_task(self._run(entry, desired, what, key))

    def _forget(self) -> None:
        """The view wants that nothing travels: what did is removed, and nodes read from the sources."""
        of = self._of
        if self._worker:
            self._worker.stop("nothing is to travel any more")
        if self._busy or not (of.progress.content or any(entry.content for entry in of.entries)):
            return
        try:
            of.store.forget_content()
        except OSError as error:
            log.warning("what travelled is not removed yet: %s", error)
            return
        of.progress.content, of.progress.content_done = {}, {}
        of.look_again()
        of.save()

    def _time_has_come(self, entry: Entry) -> bool:
        last = self._of.progress.content
        if last.get("state") != "failed" or last.get("generation") != entry.name:
            return True
        since = self._of.clock() - float(last.get("seconds") or 0)
        return not 0 <= since < schedule.backoff(int(last.get("failures") or 1), RETRY_SECONDS, RETRY_SECONDS)

    async def _run(self, entry: Entry, desired: DesiredView, what: Json, key: str) -> None:
        of, last = self._of, self._of.progress.content
        head: Json = {"generation": entry.name}
        kept = last if last.get("generation") == entry.name else {**head, "at": rfc3339.text(of.clock())}
        of.progress.content = {**kept, "state": "running"}
        try:
            with of.store.workplace() as work:
                self._worker = Worker(
                    "content", self._of_step(entry, desired, what, work), memory=of.memory // 2, nice=15
                )
                found = await self._worker.run(self._say, seconds=7200.0)
                if found["written"]:
                    await asyncio.to_thread(of.store.take_content, entry, work)
            end: Json = {**found, "state": "done" if found["finished"] else "running"}
            if found["finished"]:
                of.progress.content_done[entry.name] = key
        except (WorkerError, StoreError, OSError) as error:
            log.warning("content of %s: %s", entry.name, error)
            failures = int(last.get("failures") or 0) if last.get("state") == "failed" else 0
            end = {**kept, "state": "failed", "message": str(error), "failures": failures + 1}
        finally:
            self._busy, self._worker, self.phase = "", None, ""
        if self._closing:
            return
        now = of.clock()
        of.progress.content = {**end, **head, "at": rfc3339.text(now), "seconds": now}
        of.look_again()
        of.save()
        if end["state"] != "failed":
            self.begin()  # the next step, or the next generation

    def _say(self, text: str) -> None:
        self.phase = text

    def _of_step(self, entry: Entry, desired: DesiredView, what: Json, work: Path) -> Json:
        survey = desired.spec.survey
        return {
            "generation": str(entry.directory),
            "generations": str(self._of.store.generations),
            "sources": str(self._of.sources),
            "store": str(self._of.store.path),
            "work": str(work),
            "rules": what,
            "budget": int(parse_quantity(survey.content.budget)) if survey.content else 0,
            "rate": survey.audit_labels_per_second,
            "seconds": STEP_SECONDS,
        }
