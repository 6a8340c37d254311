"""Whether the log is as it was written: each line fits the one before, and nothing is missing between.

Lines that were cut off at the end leave no trace in what is left, and whoever can write the volume could make the whole
log anew. An **anchor**, the number and digest of a line that somebody noted elsewhere, shows both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pdshub.audit_log import entry, log_files

CHANGED, MISSING, BROKEN, GONE, ANCHOR = "changed", "missing", "broken", "gone", "anchor"
"""Codes: a line does not fit the one before it; a file is missing; a line is none; the oldest files were not taken away
by the program; the anchor is not in the log."""
_MOST = 100
_ANCHOR = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


def anchor(text: str) -> tuple[int, str]:
    """``NUMBER:SHA256`` as verify prints it. Raises ValueError."""
    found = _ANCHOR.fullmatch(text)
    if not found:
        raise ValueError(f"{text[:80]!r} is no anchor: write NUMBER:SHA256, as an earlier --verify printed it")
    return int(found[1]), found[2]


@dataclass
class Verdict:
    """What came of it."""

    entries: int = 0
    first: int = 0
    """Number of the oldest entry that is kept."""
    last: int = 0
    sha256: str = ""
    """Digest of the last line."""
    problems: list[dict[str, Any]] = field(default_factory=list)
    """With a code, the file, and the number of the entry or of the line."""

    def wire(self) -> dict[str, Any]:
        """The verdict as JSON."""
        found = {"entries": self.entries, "first": self.first, "last": self.last, "problems": self.problems}
        return {**found, "unchanged": not self.problems, "anchor": f"{self.last}:{self.sha256}" if self.entries else ""}


class _Walk:
    def __init__(self, at: tuple[int, str] | None) -> None:
        self.verdict, self.at = Verdict(), at
        self.found_anchor = False
        self.pruned: dict[int, str] = {}
        self.before_first = ""

    def problem(self, code: str, file: Path, line: int) -> None:
        if len(self.verdict.problems) < _MOST:
            self.verdict.problems.append({"code": code, "file": file.name, "line": line})

    def line(self, file: Path, place: int, raw: bytes) -> None:
        verdict, found = self.verdict, entry.read(raw)
        if found is None:
            self.problem(BROKEN, file, place)
            verdict.last += 1
        elif verdict.entries == 0:
            self.before_first, verdict.first = str(found.get("prev", "")), found.get("n") or 0
            verdict.last = verdict.first if isinstance(verdict.first, int) else 0
            if place != 1 or found.get("event") != entry.OPENED:
                self.problem(CHANGED, file, place)
        else:
            if found.get("prev") != verdict.sha256 or found.get("n") != verdict.last + 1:
                self.problem(CHANGED, file, place)
            number = found.get("n")
            verdict.last = number if isinstance(number, int) else verdict.last + 1
        if found and found.get("event") == entry.PRUNED and isinstance(found.get("file"), int):
            self.pruned[found["file"]] = str(found.get("sha256"))
        verdict.entries += 1
        verdict.sha256 = entry.digest(raw)
        self.found_anchor |= self.at == (verdict.last, verdict.sha256)


def verify(folder: Path, at: tuple[int, str] | None = None) -> Verdict:
    """Read the whole log. ``at``: an anchor that has to be in it. Raises OSError.

    The line that is being written at this moment has no end yet, and does not count.
    """
    walk, before, oldest = _Walk(at), 0, 0
    for number in log_files.numbers(folder):
        file = log_files.path(folder, number)
        if before and number != before + 1:
            walk.problem(MISSING, file, 0)
        try:
            for place, raw in enumerate(log_files.lines(file), 1):
                if raw.endswith(b"\n"):
                    walk.line(file, place, raw)
        except FileNotFoundError:  # taken away as the oldest, a moment ago
            if before:
                raise
            continue
        oldest, before = oldest or number, number
    if oldest > 1 and walk.pruned.get(oldest - 1) != walk.before_first:
        walk.problem(GONE, log_files.path(folder, oldest - 1), 0)
    if oldest == 1 and walk.before_first:
        walk.problem(CHANGED, log_files.path(folder, 1), 1)
    if at and not walk.found_anchor and at[0] >= walk.verdict.first:
        walk.problem(ANCHOR, log_files.path(folder, before), at[0])
    return walk.verdict
