"""Files that were replaced on the NAS since the survey: found in a published generation, led to a renewed mount and
to a survey. The decisions are pure; one look is one killable process (examiner_main.py)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from pdshub.generation_id import short
from pdshub.node.health.published import Subject
from pdshub.node.health.sample import Known, printable
from pdshub.node.mount import worker

log = logging.getLogger(__name__)

SLICE = 20
"""Files of the sample that one look opens; with 200 of them and a look every 30 s each is seen every 5 minutes."""
TIMEOUT = 20.0
SLOT = 600
"""Seconds: all nodes that find something within the same slot ask for the same survey."""
REPLACED = frozenset({"stale", "size", "bytes", "gone"})
#: An overlay that has seen a file before it was replaced goes on answering ESTALE until it is mounted anew.
RENEWING = frozenset({"stale", "size"})


@dataclass
class Watch:
    """What is known of one view's sample in one generation."""

    generation: str = ""
    problems: dict[str, str] = field(default_factory=dict)  # path -> word, see examiner_main.check_file
    unread: dict[str, str] = field(default_factory=dict)
    checked: int = 0
    at: str = ""
    renewals: int = 0
    survey_wanted: str = ""
    _place: int = 0
    _read: int = 0
    _renewed: dict[str, float] = field(default_factory=dict)  # path -> time of the renewal for its sake
    _asked_at: float = 0.0
    _asked_for: set[str] = field(default_factory=set)

    def turn(self, sample: tuple[Known, ...]) -> list[list[object]]:
        """The next files to look at, known problems among them; of one file the digest is read, too."""
        if not sample:
            return []
        bad = [known for known in sample if known.path in self.problems][: SLICE // 2]
        size = min(SLICE - len(bad), len(sample))
        fresh = [sample[(self._place + i) % len(sample)] for i in range(size)]
        self._place = (self._place + size) % len(sample)
        rows = {known.path: [known.path, known.size, "", ""] for known in (*bad, *fresh)}
        read = sample[self._read % len(sample)]
        self._read += 1
        for known in (read, *(b for b in bad if self.problems[b.path] == "bytes")):
            rows[known.path] = known.row
        return list(rows.values())

    def take(self, words: Mapping[str, str], digested: frozenset[str], now: float, at: str) -> bool:
        """Note what a look found; whether the mount shall be renewed. `now`: Unix time in seconds."""
        self.checked += len(words)
        self.at = at
        for path, word in words.items():
            self.unread.pop(path, None)
            if word in REPLACED:
                self.problems[path] = word
            elif word not in ("same", "private"):
                self.unread[path] = word
            elif self.problems.get(path) != "bytes" or path in digested:
                self.problems.pop(path, None)
        self._ask(now)
        stale = [
            path for path, word in words.items() if word in RENEWING and now - self._renewed.get(path, 0.0) >= SLOT
        ]
        for path in stale:
            self._renewed[path] = now
        self.renewals += bool(stale)
        return bool(stale)

    def _ask(self, now: float) -> None:
        """A survey is asked for when something new is found, at most once a slot."""
        if not self.problems:
            self.survey_wanted = ""
        elif self.problems.keys() - self._asked_for and now - self._asked_at >= SLOT:
            self._asked_at, self._asked_for = now, set(self.problems)
            self.survey_wanted = f"{short(self.generation)}-{int(now // SLOT)}"

    @property
    def message(self) -> str:
        """For people; empty when all is as surveyed."""
        if not self.problems:
            return ""
        first = min(self.problems)
        count = len(self.problems)
        files = "1 file of the sample differs" if count == 1 else f"{count} files of the sample differ"
        return f"{files} from the survey (first: {printable(first)}); a new survey is asked for"

    def document(self) -> dict[str, object]:
        """For the report and health.json."""
        return {
            "checked": self.checked,
            "at": self.at,
            "differ": {printable(path): word for path, word in sorted(self.problems.items())[:10]},
            "differing": len(self.problems),
            "unread": len(self.unread),
            "renewals": self.renewals,
            "message": self.message,
        }


class Watcher:
    """The watches of all views. `watches`: by the view's name."""

    def __init__(self) -> None:
        """Nothing has been looked at yet."""
        self.watches: dict[str, Watch] = {}
        self._flights: dict[str, worker.SingleFlight] = {}

    async def look(self, subject: Subject, now: float, at: str) -> bool:
        """One turn for one view; answers whether its mount shall be renewed, as a file in it was replaced.

        `now`: Unix time in seconds, `at` the same as RFC 3339. Raises OSError, TimeoutError when no answer was to be
        had.
        """
        watch = self.watches.setdefault(subject.view, Watch(subject.generation))
        if watch.generation != subject.generation:
            watch = self.watches[subject.view] = Watch(subject.generation, renewals=watch.renewals)
        rows, roots = watch.turn(subject.sample), subject.roots
        if not rows or not roots or not subject.reachable:
            return False
        flight = self._flights.setdefault(subject.view, worker.SingleFlight("pdshub.node.health.examiner_main"))
        words = await flight.once("files", TIMEOUT, roots=roots, names=rows)
        digested = frozenset(str(row[0]) for row in rows if row[2])
        renew = watch.take(words, digested, now, at)
        if renew:
            log.warning("view %s: %s; its mount is renewed", subject.view, watch.message)
        return renew

    def forget(self, views: set[str]) -> None:
        """Keep only these."""
        for view in self.watches.keys() - views:
            del self.watches[view]
        for view in self._flights.keys() - views:
            del self._flights[view]
