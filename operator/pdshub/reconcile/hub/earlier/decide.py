"""From a question and what was found to the one next step: pure and total."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pdshub.api.earlier import Question
from pdshub.kube import Object
from pdshub.reconcile.hub.backup import decide as backups
from pdshub.reconcile.hub.backup.asked import Restore
from pdshub.reconcile.hub.backup.facts import Facts
from pdshub.reconcile.hub.backup.outcome import State, outcome
from pdshub.reconcile.hub.earlier import folder, versions
from pdshub.reconcile.hub.earlier.look import PAGE, look_name, restore_name
from pdshub.reconcile.hub.earlier.versions import Version, by_user

LOOKS = 2
"""Jobs of one hub that look at the same time."""
RESTORES = 3
"""Restores of one hub that people asked for themselves, and that are not done."""
HISTORY = 50
"""Such restores of a hub that stay when they are done."""


@dataclass(frozen=True)
class Seen:
    """What there is of a hub whose people ask."""

    facts: Facts
    jobs: Mapping[str, Object] = field(default_factory=dict)
    """Looks, by name."""
    pods: tuple[Object, ...] = ()
    looks_left: int = LOOKS
    """Looks and restores for which the hub still has a pace."""
    restores_left: int = RESTORES

    @cached_property
    def versions(self) -> Mapping[str, list[Version]]:
        """By user what can be brought back."""
        return by_user(self.facts.runs)


@dataclass(frozen=True)
class Say:
    """An answer. ``job``: the look that has said it, and goes."""

    question: str
    done: bool
    ok: bool
    reason: str = ""
    message: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    job: str = ""

    def wire(self, run: str) -> dict[str, Any]:
        """As the hub takes it."""
        said = {"run": run, "id": self.question, "done": self.done, "ok": self.ok}
        return {**said, "reason": self.reason, "message": self.message, **self.more}


@dataclass(frozen=True)
class StartLook:
    """A Job that looks is made."""

    question: Question


@dataclass(frozen=True)
class Bring:
    """A HubRestore is made."""

    question: Question


Step = Say | StartLook | Bring


def _no(question: Question, reason: str, message: str, job: str = "") -> Say:
    return Say(question.id, True, False, reason, message, job=job)


def _waits(question: Question, message: str) -> Say:
    return Say(question.id, False, True, "Waiting", message)


def decide(question: Question, seen: Seen) -> Step:
    """The next step of a question."""
    facts = seen.facts
    if question.what == "list":
        mine = [version.wire() for version in seen.versions.get(question.user, ())]
        told = {"versions": mine, "restores": versions.restores(facts.restores, question.user)}
        return Say(question.id, True, True, more=told)
    known = _restore_of(question, facts.restores) if question.what == "restore" else None
    if known is not None:
        return _of_restore(question, known)
    if backups.refusal(facts)[0] or facts.place is None or facts.key == "Absent" or facts.steps:
        return _no(question, "NotReady", "Backups cannot be read at present. The hub's administrators can see why.")
    if not (question.snapshot or question.as_of):
        return _no(question, "BadRequest", versions.words_of("BadRequest:"))
    if question.snapshot and not _is_of(question, seen):
        return _no(question, "NotFound", "There is no such earlier version of your files.")
    return _browse(question, seen) if question.what == "browse" else _begin(question, seen)


def _is_of(question: Question, seen: Seen) -> bool:
    """Whether the snapshot is one of the user's own home: the Job looks at the repository's own tags again."""
    return any(one.snapshot == question.snapshot for one in seen.versions.get(question.user, ()))


def _browse(question: Question, seen: Seen) -> Step:
    name = look_name(seen.facts.names.name, question.id)
    job = seen.jobs.get(name)
    if job is None:
        if len(seen.jobs) >= LOOKS or seen.looks_left < 1:
            return _waits(question, "Others look at the same time: it waits for its turn.")
        return StartLook(question)
    found = outcome(job, seen.pods, "", seen.facts.now)
    if found.state is State.GOES_ON:
        return _waits(question, "The backup is being looked into.")
    told = folder.read(folder.last_words(job, seen.pods)) if found.ok else None
    if told is None:
        return _no(question, found.reason or "Failed", versions.words_of(f"{found.reason}:"), name)
    return Say(question.id, True, True, more=told, job=name)


def _restore_of(question: Question, restores: Iterable[Restore]) -> Restore | None:
    wanted = restore_name(question.id)
    return next((one for one in restores if one.name == wanted), None)


def is_page(restore: Restore) -> bool:
    """Whether a HubRestore was asked for at the hub's page."""
    return PAGE.items() <= (restore.item["metadata"].get("labels") or {}).items()


def _begin(question: Question, seen: Seen) -> Step:
    unfinished = [one for one in seen.facts.restores if one.unfinished]
    if any(one.spec is not None and one.spec.user == question.user for one in unfinished):
        return _no(question, "Busy", "Something of your home is being brought back already: wait until it is.")
    if sum(1 for one in unfinished if is_page(one)) >= RESTORES or seen.restores_left < 1:
        return _waits(question, "Others bring something back at the same time: it waits for its turn.")
    return Bring(question)


def _of_restore(question: Question, restore: Restore) -> Say:
    status = restore.status
    if not is_page(restore) or restore.spec is None or restore.spec.user != question.user:
        return _no(question, "BadRequest", versions.words_of("BadRequest:"))
    if restore.unfinished:
        return _waits(question, "It is being brought back." if status.job else "It waits for its turn.")
    if status.phase not in ("Completed", "PartiallyCompleted"):
        return _no(question, "Failed", versions.words_of(status.message))
    partly = " Some of it could not be brought back." if status.phase == "PartiallyCompleted" else ""
    words = f"It is in {status.place} of your home: {status.files} files.{partly}"
    return Say(question.id, True, True, "Completed", words, {"place": status.place})


def left_over(jobs: Iterable[str], hub: str, open_questions: Iterable[Question]) -> tuple[str, ...]:
    """Looks that nobody waits for."""
    wanted = {look_name(hub, question.id) for question in open_questions}
    return tuple(sorted(set(jobs) - wanted))


def beyond(restores: Iterable[Restore]) -> tuple[str, ...]:
    """Restores of the page that are done and that the history does not keep, the oldest first."""
    ended = [one.name for one in restores if is_page(one) and not one.unfinished and not one.going]
    return tuple(ended[: max(0, len(ended) - HISTORY)])
