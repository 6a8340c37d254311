"""What every action works with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pdshub.api.backup_job import JobAnswer, JobRequest
from pdshub.backup import repository, snapshots
from pdshub.backup.ending import Ending
from pdshub.backup.restic import Restic
from pdshub.backup.snapshots import Snapshot
from pdshub.backup.verdict import Failed
from pdshub.backup.words import Words

LONGEST_MESSAGE = 1024


@dataclass(frozen=True)
class Places:
    """Where things are mounted; tests have others."""

    secrets: Path
    data: Path
    target: Path
    scratch: Path
    """A private folder, of which nothing stays."""


@dataclass
class Job:
    """One request, and what it is done with."""

    request: JobRequest
    restic: Restic
    ending: Ending
    words: Words
    places: Places
    now: Callable[[], float] = time.time

    def item(self) -> str:
        """The item of the request. Raises Failed(BadRequest)."""
        if not self.request.item:
            raise Failed("BadRequest", f"action {self.request.action} needs an item")
        return self.request.item

    def source(self) -> str:
        """The folder of the item below DATA: one name. Raises Failed(BadRequest)."""
        found = self.request.source or self.item().partition("/")[0]
        if "/" in found or found in ("", ".", "..") or "\0" in found:
            raise Failed("BadRequest", f"source {found!r} is no name of a folder below data")
        return found

    def snapshots(self, item: str | None) -> list[Snapshot]:
        """Snapshots of this hub, of an item or of all. Raises Failed."""
        tag = snapshots.tag("item", item) if item else ""
        return snapshots.of(repository.snapshots(self.restic, self.request.hub, tag), self.request.hub, item)

    def readable(self, item: str | None) -> list[Snapshot]:
        """The same for who only reads: of a repository that cannot be written to as well, then without a lock."""
        try:
            return self.snapshots(item)
        except Failed as error:
            if error.reason != "ReadOnly":
                raise
        self.words.say("the repository cannot be written to: it is read without a lock")
        self.restic.options = list(repository.NO_LOCK)
        return self.snapshots(item)

    def chosen(self) -> Snapshot:
        """The snapshot that the request means. Raises Failed: NotFound, BadRequest."""
        found = self.readable(self.item())
        request = self.request
        return snapshots.choose(found, request.hub, self.item(), request.snapshot, request.as_of, self.now)

    def answer(self, message: str = "", **more: object) -> JobAnswer:
        """An answer of something that was done."""
        return JobAnswer(ok=True, message=self.words.clean(message, LONGEST_MESSAGE), **more)
