"""The program in the reader's pod: prints lines of the log as JSON, oldest first, or whether it is unchanged.

It runs where the volume is mounted read-only and where nothing else is: no token, no network. The last line that it
prints says how many entries there were.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from pdshub.audit_log import asked, entry, log_files, verify
from pdshub.wellknown import AUDIT_FOLDER


def _recent(folder: Path, since: str) -> list[Path]:
    """Files that may hold entries since a moment: the first line of each says when it began. Raises OSError."""
    found: list[Path] = []
    for number in reversed(log_files.numbers(folder)):
        file = log_files.path(folder, number)
        found.append(file)
        first = entry.read(next(log_files.lines(file), b"")) or {}
        if since and str(first.get("time", "")) < since:
            break
    return found[::-1]


def entries(folder: Path, question: asked.Asked) -> Iterator[bytes]:
    """Lines that answer a question, oldest first; lines that are none are left to verify. Raises OSError."""
    for file in _recent(folder, question.since):
        try:
            for raw in log_files.lines(file):
                if raw.endswith(b"\n") and (found := entry.read(raw)) and question.matches(found):
                    yield raw
        except FileNotFoundError:  # the oldest, taken away a moment ago
            continue


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="pdshub.audit_log.query", description=__doc__, allow_abbrev=False)
    asked.arguments(made)
    return made


def main(words: Sequence[str] | None = None, out: TextIO = sys.stdout) -> int:
    """Answer one question; 0 when it was answered, 1 when the log cannot be read."""
    args = parser().parse_args(words)
    folder = Path(os.environ.get("PDSHUB_AUDIT_FOLDER", AUDIT_FOLDER))
    try:
        if args.verify:
            verdict = verify.verify(folder, verify.anchor(args.anchor) if args.anchor else None)
            out.write(json.dumps(verdict.wire()) + "\n")
            return 0
        kept: deque[bytes] = deque(maxlen=args.limit)
        matched = 0
        for found in entries(folder, asked.Asked(args.user, args.hub, args.event, args.since)):
            kept.append(found)
            matched += 1
    except OSError as error:
        sys.stderr.write(f"the audit log cannot be read: {error.strerror}\n")
        return 1
    for raw in kept:
        out.write(raw.decode("ascii", "backslashreplace"))
    out.write(json.dumps({"matched": matched, "shown": len(kept)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
