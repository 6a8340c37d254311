"""What has to be done that a home is at its new place as it is at the old one. Pure.

What somebody wrote at the new place is never lost: a file there is replaced, or removed, only if it is the one that
this import wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pdshub.cli.import_tree import Entry

Written = Mapping[str, Sequence[int]]
"""What was written before: path -> size and time of change."""


@dataclass
class Plan:
    """Steps of one home."""

    send: list[Entry] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """What is another file at the new place, and stays."""
    same: int = 0

    @property
    def bytes(self) -> int:
        """Bytes that have to be sent."""
        return sum(entry.size for entry in self.send)


def make(source: Sequence[Entry], there: Mapping[str, Entry], written: Written) -> Plan:
    """The steps. ``there``: what is at the new place, by path."""
    plan = Plan()
    wanted = {entry.path for entry in source}
    for entry in source:
        seen = there.get(entry.path)
        if seen is not None and same(entry, seen):
            plan.same += 1
        elif seen is None or _ours(seen, written) or _older(seen, entry):
            plan.send.append(entry)
        else:
            plan.kept.append(entry.path)
    for path in sorted(written.keys() - wanted, reverse=True):  # what lies in a directory before the directory
        gone = there.get(path)
        if gone is None:
            continue
        if _ours(gone, written):
            plan.remove.append(path)
        else:
            plan.kept.append(path)
    return plan


def same(one: Entry, other: Entry) -> bool:
    """Whether two entries are the same as far as a listing tells."""
    if one.kind != other.kind:
        return False
    if one.kind == "l":
        return one.target == other.target
    if one.kind == "d":
        return one.mode == other.mode
    return (one.size, one.mtime_ns, one.mode) == (other.size, other.mtime_ns, other.mode)


def _ours(seen: Entry, written: Written) -> bool:
    """Whether what is there is what this import wrote."""
    mark = written.get(seen.path)
    return mark is not None and (seen.kind != "f" or [seen.size, seen.mtime_ns] == list(mark))


def _older(seen: Entry, entry: Entry) -> bool:
    """Whether what is there may be replaced though nobody remembers who wrote it: the home's own is newer."""
    return seen.kind == entry.kind and (seen.kind == "d" or (seen.kind == "f" and seen.mtime_ns < entry.mtime_ns))


def batches(send: Sequence[Entry], most_bytes: int, most_files: int) -> list[list[Entry]]:
    """The entries in parts that are sent one after the other; directories come before what lies in them."""
    made: list[list[Entry]] = []
    size = 0
    for entry in send:
        if not made or (size + entry.size > most_bytes and made[-1]) or len(made[-1]) >= most_files:
            made.append([])
            size = 0
        made[-1].append(entry)
        size += entry.size
    return made


def differences(
    source: Sequence[Entry], old: Mapping[str, str], new: Mapping[str, str], kept: Sequence[str]
) -> list[str]:
    """Paths whose content is not the same at both places. ``old``, ``new``: digests by path."""
    found = []
    excepted = set(kept)
    for entry in source:
        if entry.kind == "d" or entry.path in excepted:
            continue
        if entry.path not in old or old[entry.path] != new.get(entry.path):
            found.append(entry.path)
    return found
