"""The continuous proof that a published view is unwritable and intact: what was tried, when, as whom, and how it
ended. Pure verdict on what the child process (examine.prove) found, and the schedule."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.node import workers
from pdshub.node.attempts import SUCCEEDED, refused
from pdshub.node.canary import now
from pdshub.node.sample import Known, printable
from pdshub.node.subjects import Subject

FIRST = 60.0
"""Seconds after a view or a generation appeared, and until an unfinished proof is tried again."""
TARGETS = 64  # of one view that are tried in one proof
READING = 60.0  # seconds in which files are begun
TRYING = 15.0  # seconds for all attempts; then the process is killed
READING_TIMEOUT = READING + 30  # more, where there is a sample
POINTS = 200  # mounts of one target: more than one only beside live entries
_EXAMPLES = 10

INTACT, VIOLATED, INCOMPLETE = "intact", "violated", "incomplete"
#: What a file's word (examine.check_file) says of the archive.
_DIFFERENT = {
    "gone": "is gone",
    "stale": "was replaced since the survey (ESTALE)",
    "size": "has another size",
    "bytes": "has other bytes",
}


@dataclass(frozen=True)
class Proof:
    """One result. `tried`: action -> its outcome, the worst over all mounts. `unwritable`: None if not known."""

    result: str
    at: str
    message: str
    generation: str = ""
    unwritable: bool | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    targets: int = 0
    tried: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.result == INTACT

    def document(self) -> dict[str, Any]:
        """For the report and health.json."""
        return {
            "ok": self.ok,
            "result": self.result,
            "at": self.at,
            "message": self.message,
            "generation": self.generation,
            "unwritable": self.unwritable,
            "identity": dict(self.identity),
            "targets": self.targets,
            "tried": dict(self.tried),
            "files": dict(self.files),
            "seconds": round(self.seconds, 2),
        }


def _worst(tried: list[dict[str, Any]]) -> dict[str, str]:
    """Action -> outcome: what succeeded anywhere, else what was not refused as it must be, else the refusal."""
    found: dict[str, str] = {}

    def rank(action: str, outcome: str) -> int:
        return 2 if outcome == SUCCEEDED else 0 if refused(action, outcome) else 1

    for one in tried:
        for action, outcome in one["actions"].items():
            if action not in found or rank(action, outcome) > rank(action, found[action]):
                found[action] = outcome
    return found


def _writable(tried: list[dict[str, Any]], worst: Mapping[str, str]) -> str:
    """How the view could be changed, in words; empty if it could not."""
    done = [action for action, outcome in worst.items() if outcome == SUCCEEDED]
    loose = [f"{a} ({o})" for a, o in worst.items() if o != SUCCEEDED and not refused(a, o)]
    open_ = [one for one in tried if not one["readOnly"] or any(not refused(a, o) for a, o in one["actions"].items())]
    if not open_:
        return ""
    places = sorted({one["at"] for one in open_})
    where = (
        f"in {len({one['target'] for one in open_})} of {len({one['target'] for one in tried})} volumes, at {places}"
    )
    if done:
        return f"a user could write: {', '.join(done)} succeeded {where}"
    if loose:
        return f"the mount is not read-only {where}: {', '.join(loose)} should have been refused with EROFS"
    return f"the mount is not read-only {where}"


def _sample(names: tuple[Known, ...], words: Mapping[str, str], read: int) -> dict[str, Any]:
    digested = {known.path: known for known in names if words.get(known.path) in ("same", "bytes")}
    differ = {path: word for path, word in words.items() if word in _DIFFERENT}
    unread = {path: word for path, word in words.items() if word not in ("same", "private") and path not in differ}
    return {
        "sampled": len(names),
        "digested": len(digested),
        "byLabel": sum(known.origin == "label" for known in digested.values()),
        "bytes": read,
        "differing": len(differ),
        "differ": {printable(path): differ[path] for path in sorted(differ)[:_EXAMPLES]},
        "private": sum(word == "private" for word in words.values()),
        "unread": len(unread) + len(names) - len(words),
        "unreadWhy": sorted(set(unread.values())),
    }


def judge(subject: Subject, answer: Mapping[str, Any], at: str, seconds: float) -> Proof:
    """The verdict. Violated if anything could be written or a file differs; incomplete if something could not be
    looked at; intact only if all was tried, refused and compared."""
    tried = list(answer["tried"])
    worst = _worst(tried)
    files = _sample(subject.sample, answer["files"]["words"], int(answer["files"]["bytes"]))
    reasons = [text] if (text := _writable(tried, worst)) else []
    unwritable = False if text else True if worst else None
    if files["differing"]:
        path, word = next(iter(files["differ"].items()))
        count = files["differing"]
        some = "1 file" if count == 1 else f"{count} files, the first of them"
        reasons.append(f"{some} of {files['sampled']} sampled: {path} {_DIFFERENT[word]}")
    result = VIOLATED if reasons else INTACT
    if not reasons and not worst:
        result = INCOMPLETE
        reasons = ["nothing could be tried: the volume was taken away meanwhile, or users may not enter it"]
    elif not reasons and files["unread"]:
        result = INCOMPLETE
        why = ": the time was over" if subject.reachable else ": a source does not answer"
        why = f" ({', '.join(files['unreadWhy'])})" if files["unreadWhy"] else why
        reasons = [f"nothing could be written, but {files['unread']} of {files['sampled']} files were not read{why}"]
    targets = len({one["target"] for one in tried})
    if result == INTACT:
        bytes_ = f"; files that had the bytes of label or survey: {files['digested']}" if subject.sample else ""
        volumes = "1 volume" if targets == 1 else f"{targets} volumes"
        reasons = [f"{', '.join(worst)} were refused in {volumes}{bytes_}"]
    return Proof(
        result,
        at,
        "; ".join(reasons),
        subject.generation,
        unwritable,
        answer["identity"],
        targets,
        worst,
        files,
        seconds,
    )


def due(last: Proof | None, since: float, seconds: float, generation: str, first: float) -> bool:
    """Whether a view shall be proven now. `since`: seconds since the last proof, or since the view was first seen
    if there was none; a new generation is proven soon, and so is what was not finished."""
    soon = last is None or last.result == INCOMPLETE or last.generation != generation
    return since >= (min(first, seconds) if soon else seconds)


class Prover:
    """Runs proofs; `results` by view."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.results: dict[str, Proof] = {}
        self.counts: dict[tuple[str, str], int] = {}  # (view, result) -> proofs
        self._since: dict[str, tuple[str, float]] = {}  # view -> generation, and when it was seen or proven
        self._leashes: dict[str, workers.Leash] = {}

    async def look(self, subject: Subject, clock: float) -> bool:
        """Prove one view if it is time; whether it was done. `clock`: monotonic seconds."""
        generation, since = self._since.setdefault(subject.view, (subject.generation, clock))
        if generation != subject.generation:
            since = clock
            self._since[subject.view] = (subject.generation, clock)
        last = self.results.get(subject.view)
        if not due(last, clock - since, self.seconds, subject.generation, FIRST):
            return False
        self._since[subject.view] = (subject.generation, clock)
        proof = await self.prove(subject)
        self.results[subject.view] = proof
        key = (subject.view, proof.result)
        self.counts[key] = self.counts.get(key, 0) + 1
        return True

    async def prove(self, subject: Subject) -> Proof:
        """One proof, now. Never raises for what the archive does: that is an unfinished proof."""
        at, began = now(), time.monotonic()
        some = dict(sorted(subject.targets.items())[:TARGETS])
        names = [known.row for known in subject.sample if subject.reachable]
        leash = self._leashes.setdefault(subject.view, workers.Leash("examine"))
        try:
            answer = await leash.once(
                "prove", TRYING + (READING_TIMEOUT if names else 0),
                targets={target: list(points[:POINTS]) for target, points in some.items()},
                roots=subject.roots, names=names, reading=READING,
            )  # fmt: skip
        except OSError as error:
            return Proof(INCOMPLETE, at, f"the proof could not be finished: {error.strerror or error}",
                         subject.generation)  # fmt: skip
        return judge(subject, answer, at, time.monotonic() - began)

    def forget(self, views: set[str]) -> None:
        """Keep only these."""
        for known in (self.results, self._since, self._leashes):
            for view in known.keys() - views:
                del known[view]
        for key in [key for key in self.counts if key[0] not in views]:
            del self.counts[key]
