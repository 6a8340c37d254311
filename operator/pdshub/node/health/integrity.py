"""The continuous proof that a published view is unwritable and intact: what was tried, when, as whom, and how it
ended. Pure verdict on what the child process (examiner_main.prove) found, and the schedule."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pdshub import rfc3339
from pdshub.node.health import delivery
from pdshub.node.health.delivery import Found
from pdshub.node.health.published import Subject
from pdshub.node.health.sample import Known, printable
from pdshub.node.health.write_probe import SUCCEEDED, UNANSWERED, refused
from pdshub.node.mount import mountinfo, worker
from pdshub.node.source import s3_mount
from pdshub.node.source.nfs_requests import S3_TYPE

FIRST = 60.0
"""Seconds after a view or a generation appeared, and until an unfinished proof is tried again."""
TARGETS = 64  # of one view that are tried in one proof
READING = 60.0  # seconds in which files are begun
TRYING = 15.0  # seconds for all attempts; then the process is killed
READING_TIMEOUT = READING + 30  # more, where there is a sample
POINTS = 200  # mounts of one target: more than one only beside live entries
AGAIN = 5.0
"""Seconds until a file with other bytes and the survey's times is looked at again: longer than the user-space client
(nfs_fuse.py) remembers times. Over the kernel's own, opening asks the server. rclone remembers for longer, and is
given as long (s3_mount.FORGETS_SECONDS)."""
_EXAMPLES = 10

INTACT, CHANGING, VIOLATED, INCOMPLETE = "intact", "changing", "violated", "incomplete"
RESULTS = (INTACT, CHANGING, VIOLATED, INCOMPLETE)


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
        """Whether the view is unwritable and intact."""
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
    """Action -> outcome: what succeeded anywhere, else what was not refused as it must be, else what gave no answer,
    else the refusal."""
    found: dict[str, str] = {}

    def rank(action: str, outcome: str) -> int:
        if refused(action, outcome):
            return 0
        return 3 if outcome == SUCCEEDED else 1 if outcome in UNANSWERED else 2

    for one in tried:
        for action, outcome in one["actions"].items():
            if action not in found or rank(action, outcome) > rank(action, found[action]):
                found[action] = outcome
    return found


def _writable(tried: list[dict[str, Any]], worst: Mapping[str, str]) -> str:
    """How the view could be changed, in words; empty if it could not."""
    done = [action for action, outcome in worst.items() if outcome == SUCCEEDED]
    safe = {(a, o) for one in tried for a, o in one["actions"].items() if refused(a, o) or o in UNANSWERED}
    loose = [f"{a} ({o})" for a, o in worst.items() if o != SUCCEEDED and (a, o) not in safe]
    open_ = [one for one in tried if not one["readOnly"] or not safe.issuperset(one["actions"].items())]
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


def _sample(names: tuple[Known, ...], words: Mapping[str, str], read: int, sorted_: delivery.Sorted) -> dict[str, Any]:
    digested = {known.path: known for known in names if words.get(known.path) in ("same", "bytes")}
    differ = {path: words[path] for path in (*sorted_.violated, *sorted_.changing)}
    unread = sorted_.unread
    return {
        "sampled": len(names),
        "digested": len(digested),
        "byLabel": sum(known.origin == "label" for known in digested.values()),
        "bytes": read,
        "differing": len(differ),
        "changing": len(sorted_.changing),
        "differ": {printable(path): differ[path] for path in sorted(differ)[:_EXAMPLES]},
        "private": sum(word == "private" for word in words.values()),
        "unread": len(unread) + len(names) - len(words),
        "unreadWhy": sorted(set(unread.values())),
    }


def judge(
    subject: Subject,
    answer: Mapping[str, Any],
    at: str,
    seconds: float,
    same: Mapping[str, float] = MappingProxyType({}),
    clock: float = 0.0,
) -> Proof:
    """The verdict. Violated if anything could be written, whatever else, or a file is damaged; incomplete if something
    could not be looked at; changing if a file was written on the NAS and waits for the next generation; intact only if
    all was tried, refused and compared.

    `same`: path of a differing file -> seconds for which it has been so. `clock`: Unix time of `at`.
    """
    tried = list(answer["tried"])
    worst = _worst(tried)
    words = answer["files"]["words"]
    found = delivery.sort(subject.sample, words, answer["files"].get("sources", {}), same, subject.survey_within)
    files = _sample(subject.sample, words, int(answer["files"]["bytes"]), found)
    reasons = [text] if (text := _writable(tried, worst)) else []
    unanswered = [f"{action} ({outcome})" for action, outcome in worst.items() if outcome in UNANSWERED]
    unwritable = False if text else True if worst and not unanswered else None
    if found.violated:
        path, count = min(found.violated), len(found.violated)
        some = "1 file" if count == 1 else f"{count} files, the first of them"
        reasons.append(f"{some} of {files['sampled']} sampled: {printable(path)} {found.violated[path]}")
    result = VIOLATED if reasons else INTACT
    if not reasons and not worst:
        result = INCOMPLETE
        reasons = ["nothing could be tried: the volume was taken away meanwhile, or users may not enter it"]
    elif not reasons and unanswered:
        result = INCOMPLETE
        reasons = [f"the mount gave no answer, as one that is renewed: {', '.join(unanswered)}"]
    elif not reasons and files["unread"]:
        result = INCOMPLETE
        why = ": the time was over" if subject.reachable else ": a source does not answer"
        why = f" ({', '.join(files['unreadWhy'])})" if files["unreadWhy"] else why
        reasons = [f"nothing could be written, but {files['unread']} of {files['sampled']} files were not read{why}"]
    if found.changing:
        result = CHANGING if result == INTACT else result
        reasons.append(delivery.told(delivery.deliveries(subject.sample, found.changing, subject.settle), clock))
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

    def __init__(self, seconds: float, again: float = AGAIN) -> None:
        """`seconds`: between two proofs of a view. `again`: until a file that differs is looked at once more."""
        self.seconds, self._again = seconds, again
        self.results: dict[str, Proof] = {}
        self.counts: dict[tuple[str, str], int] = {}  # (view, result) -> proofs
        self._since: dict[str, tuple[str, float]] = {}  # view -> generation, and when it was seen or proven
        self._flights: dict[str, worker.SingleFlight] = {}
        self._odd: dict[str, dict[str, tuple[Found, float]]] = {}  # view -> differing path -> how, and since when

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
        at, clock, began = rfc3339.now(), time.time(), time.monotonic()
        some = dict(sorted(subject.targets.items())[:TARGETS])
        targets = {target: list(points[:POINTS]) for target, points in some.items()}
        try:
            answer = await self._ask(subject, targets, subject.sample if subject.reachable else ())
        except OSError as error:
            return Proof(INCOMPLETE, at, f"the proof could not be finished: {error.strerror or error}",
                         subject.generation)  # fmt: skip
        await self._doubt(subject, answer["files"])
        same = self._same(subject, answer["files"]["sources"]) if subject.reachable else {}
        return judge(subject, answer, at, time.monotonic() - began, same, clock)

    async def _ask(self, subject: Subject, targets: Mapping[str, list[str]], sample: Collection[Known]) -> Any:
        """What examiner_main.prove finds. Raises OSError, TimeoutError."""
        flight = self._flights.setdefault(subject.view, worker.SingleFlight("pdshub.node.health.examiner_main"))
        return await flight.once(
            "prove", TRYING + (READING_TIMEOUT if sample else 0),
            targets=targets, roots=subject.roots, names=[known.row for known in sample], reading=READING,
            sources={name: [point, run_as] for name, (point, run_as) in subject.sources.items()},
            places={known.path: [known.source, known.at] for known in sample if known.source},
        )  # fmt: skip

    async def _doubt(self, subject: Subject, files: dict[str, Any]) -> None:
        """Look once more at what would be damage, if what was remembered of the file's times was not true any more."""
        again = delivery.doubtful(subject.sample, files["words"], files["sources"])
        if not again:
            return
        mounts = mountinfo.read()
        in_s3 = any(
            (there := mountinfo.top(mounts, point)) is not None and there.fstype == S3_TYPE
            for point, _ in subject.sources.values()
        )
        await asyncio.sleep(max(self._again, s3_mount.FORGETS_SECONDS) if in_s3 else self._again)
        try:
            found = (await self._ask(subject, {}, again))["files"]
        except OSError as error:
            found = {"words": {}, "sources": {}, "bytes": 0}
            files["words"].update(dict.fromkeys((k.path for k in again), errno.errorcode.get(error.errno or 0, "EIO")))
        for path in found["words"]:
            files["sources"].pop(path, None)
        files["words"].update(found["words"])
        files["sources"].update(found["sources"])
        files["bytes"] += found["bytes"]

    def _same(self, subject: Subject, sources: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
        """Path -> seconds for which the file has been found as it is."""
        before, clock = self._odd.get(subject.view, {}), time.monotonic()
        seen = {path: there for path, raw in sources.items() if (there := delivery.found(raw))}
        after = {
            path: before[path] if path in before and before[path][0] == there else (there, clock)
            for path, there in seen.items()
        }
        self._odd[subject.view] = after
        return {path: clock - since for path, (_, since) in after.items()}

    def forget(self, views: set[str]) -> None:
        """Keep only these."""
        for known in (self.results, self._since, self._flights, self._odd):
            for view in known.keys() - views:
                del known[view]
        for key in [key for key in self.counts if key[0] not in views]:
            del self.counts[key]
