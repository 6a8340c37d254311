"""What the survey has to say in words: overlaps, conflicts, broken labels, names that cause trouble."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_KEPT_PER_KIND = 1000
MAX_EXAMPLES = 10
SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One statement. ``paths`` are examples, ``count`` says how many there are."""

    severity: str
    kind: str
    message: str
    paths: tuple[str, ...] = ()
    count: int = 1

    def wire(self) -> dict[str, Any]:
        """The finding as JSON, as plans and the surveyor hand it out."""
        return {
            "severity": self.severity,
            "kind": self.kind,
            "message": self.message,
            "paths": list(self.paths),
            "count": self.count,
        }


@dataclass(slots=True)
class Findings:
    """Collects findings; keeps a bounded number of each kind and counts the rest."""

    _kept: dict[str, list[Finding]] = field(default_factory=dict)
    _dropped: Counter[str] = field(default_factory=Counter)

    def add(self, severity: str, kind: str, message: str, paths: Iterable[str] = (), count: int | None = None) -> None:
        """Adds one finding. ``paths``: examples; ``count``: how many there are, else as many as ``paths``.

        Raises ValueError for an unknown severity.
        """
        if severity not in SEVERITIES:
            raise ValueError(severity)
        examples: list[str] = []
        seen = 0
        for path in paths:
            seen += 1
            if len(examples) < MAX_EXAMPLES:
                examples.append(path)
        kept = self._kept.setdefault(kind, [])
        if len(kept) >= MAX_KEPT_PER_KIND:
            self._dropped[kind] += 1
            return
        kept.append(Finding(severity, kind, message, tuple(examples), max(1, seen) if count is None else count))

    def sorted(self) -> list[Finding]:
        """Errors first, then by kind and text; where some were dropped a last finding of the kind says so."""
        rank = {name: n for n, name in enumerate(SEVERITIES)}
        every = [f for kept in self._kept.values() for f in kept]
        every += [
            Finding(self._kept[kind][0].severity, kind, f"{number} more of this kind are not listed", (), number)
            for kind, number in self._dropped.items()
        ]
        return sorted(every, key=lambda f: (rank[f.severity], f.kind, f.message, f.paths))

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))


def as_text(findings: Iterable[Finding]) -> str:
    """Findings as people read them, one paragraph each."""
    lines: list[str] = []
    for f in findings:
        lines.append(f"{f.severity}: {f.kind}: {printable(f.message)}")
        lines += [f"    {printable(path)}" for path in f.paths]
        if f.count > len(f.paths) > 0:
            lines.append(f"    … {f.count - len(f.paths)} more")
    return "\n".join(lines) + ("\n" if lines else "nothing found\n")


def printable(path: str) -> str:
    """A file name, or any untrusted text, on one line of a terminal.

    Undecodable bytes, control characters, line ends and what turns the direction of writing are shown as escapes.
    """
    try:
        text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a pair, which is no byte of a name
        text = path
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
