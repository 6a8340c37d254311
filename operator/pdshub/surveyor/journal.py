"""What an audit has read so far, so that the next life of the surveyor goes on where this one ended.

At a bounded rate a million labels take days. The journal keeps what each label said, in the plan's order; all that
the audit concludes of them (products that are there twice, members that are nowhere) it concludes again from that.

A line holds some labels: base64 of zlib of {"plan": digest, "from": number of labels before it, "labels": […]}. A line
that is cut short, damaged, of another plan or not the next one ends what is known. A LID and its version take some 10
bytes.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

from pdshub.archive.audit import Said

log = logging.getLogger(__name__)

FILE = "audit.journal"
LABELS = 10_000
CHARACTERS = 1 << 20
SECONDS = 30.0
"""What is lost at most: so many labels, characters or seconds."""
MAX_BYTES = 64 << 20
"""Beyond it no more is kept: an audit that is interrupted then goes on from there."""


class Journal:
    """The journal of one plan, for one life: first ``known`` to its end, then ``note``."""

    def __init__(self, path: Path, plan: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._plan, self._clock = path, plan, clock
        self._count = 0  # labels that are kept
        self._size = 0  # bytes that hold them
        self._texts: list[str] = []  # of labels that are not kept yet
        self._characters = 0
        self._kept_at = clock()
        self._full = False

    def known(self) -> Iterator[Said]:
        """What is known of the first labels."""
        try:
            with self._path.open("rb") as lines:
                for line in lines:
                    found = self._parse(line)
                    if found is None:
                        return
                    self._count += len(found)
                    self._size += len(line)
                    yield from found
        except OSError:
            return  # there is none yet

    def _parse(self, line: bytes) -> list[Said] | None:
        if not line.endswith(b"\n"):
            return None
        try:
            part = json.loads(zlib.decompress(base64.b64decode(line)))
            if (part["plan"], part["from"]) != (self._plan, self._count):
                return None
            return [_whole(item) for item in part["labels"]]
        except (zlib.error, ValueError, LookupError, TypeError):
            return None

    def note(self, said: Said) -> None:
        """One label more. It is kept with others, now or soon; a store that is full ends the keeping, no more."""
        if self._full:
            return
        self._texts.append(json.dumps(_short(said), separators=(",", ":")))
        self._characters += len(self._texts[-1])
        much = len(self._texts) >= LABELS or self._characters >= CHARACTERS
        if much or self._clock() - self._kept_at >= SECONDS:
            self._keep()

    def _keep(self) -> None:
        head = json.dumps({"plan": self._plan, "from": self._count})
        text = f'{head[:-1]}, "labels": [{",".join(self._texts)}]}}'
        line = base64.b64encode(zlib.compress(text.encode("ascii"), 6)) + b"\n"
        if self._size + len(line) > MAX_BYTES:
            self._full = True
            return
        try:
            with self._path.open("ab") as file:
                file.truncate(self._size)  # what a crash cut short, or another plan's
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            log.warning("an audit that is interrupted begins anew: %s", error)
            self._full = True
            return
        self._count += len(self._texts)
        self._size += len(line)
        self._texts, self._characters, self._kept_at = [], 0, self._clock()

    def remove(self) -> None:
        """Removes the file: the audit is done."""
        self._path.unlink(missing_ok=True)


def _short(said: Said) -> list[Any]:
    """The fields, without those at the end that say nothing."""
    values = list(astuple(said))
    while values and not values[-1]:
        values.pop()
    return values


def _whole(values: list[Any]) -> Said:
    lid, version, absent, missing, inventories, trouble, why, wrong = [*values, *astuple(Said())[len(values) :]]
    named = (tuple(absent), int(missing), tuple(inventories))
    return Said(str(lid), str(version), *named, str(trouble), str(why), tuple(wrong))
