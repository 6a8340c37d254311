"""What an import says: an entry for each thing that was found, and what becomes of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pdshub.dockerspawner.parsed import Line
from pdshub.dockerspawner.traits import Verdict

_HEADINGS = {
    Verdict.CONTRADICTION: "Contradicts: decide before anybody moves",
    Verdict.UNREAD: "Not understood: look at these lines",
    Verdict.TAKEN: "Taken over",
    Verdict.COUNTERPART: "Has a counterpart under another name",
    Verdict.NONE: "Has none",
}


@dataclass(frozen=True)
class Entry:
    """One thing that was found. ``line`` is 0 where it has none."""

    verdict: Verdict
    subject: str
    words: str
    file: str = ""
    line: int = 0

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass
class Report:
    """All that an import says. No value of a secret is in it."""

    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    statements: int = 0
    understood: int = 0
    _said: set[Entry | str] = field(default_factory=set)

    def add(self, verdict: Verdict, subject: str, words: str, file: str = "", line: int = 0) -> None:
        """One more entry; the same is said once."""
        entry = Entry(verdict, subject, words, file, line)
        if entry not in self._said:
            self._said.add(entry)
            self.entries.append(entry)

    def contradiction(self, subject: str, words: str, file: str = "", line: int = 0) -> None:
        """One thing that can not be as it says it is."""
        self.add(Verdict.CONTRADICTION, subject, words, file, line)

    def note(self, words: str) -> None:
        """What is to be known beside."""
        if words not in self._said:
            self._said.add(words)
            self.notes.append(words)

    def lines(self, file: str, found: Sequence[Line]) -> None:
        """Lines that were not understood."""
        for line in found:
            self.add(Verdict.UNREAD, line.text or f"line {line.number}", line.why, file, line.number)

    def of(self, verdict: Verdict) -> list[Entry]:
        """The entries of one kind, by place."""
        return sorted((entry for entry in self.entries if entry.verdict == verdict), key=lambda e: (e.file, e.line))

    def wire(self) -> dict[str, Any]:
        """For programs."""
        return {
            "statements": self.statements,
            "understood": self.understood,
            "entries": [
                {
                    "verdict": verdict.name.lower(),
                    "subject": entry.subject,
                    "words": entry.words,
                    "file": entry.file or None,
                    "line": entry.line or None,
                }
                for verdict in _HEADINGS
                for entry in self.of(verdict)
            ],
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """For people."""
        share = f", {self.understood * 100 // self.statements} %" if self.statements else ""
        lines = [f"{self.understood} of {self.statements} statements of the configuration were understood{share}"]
        for verdict, heading in _HEADINGS.items():
            if found := self.of(verdict):
                lines += ["", f"{heading} ({len(found)})"]
                lines += [f"  {_place(entry)}{entry.subject}: {entry.words}" for entry in found]
        if self.notes:
            lines += ["", "Notes", *(f"  {note}" for note in self.notes)]
        return "\n".join(lines)


def _place(entry: Entry) -> str:
    return f"{entry.where}  " if entry.where else ""
