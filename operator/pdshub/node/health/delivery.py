"""Damage or delivery: what it means that a file of the sample is not as the survey recorded it. Pure.

What somebody writes on the NAS has times later than those of the survey: it waits for the next generation (changing).
What differs with the times of the survey was changed by nobody who writes files: that is damage (violated). So is what
still differs in the next generation, as each one notes the times that its survey has seen (surveyor/sample.py); only
what was being copied then keeps the older ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub import rfc3339
from pdshub.node.health.sample import Known, printable

#: What a file's word (examiner_main.check_file) says of the archive.
DIFFERENT = {
    "gone": "is gone",
    "stale": "was replaced since the survey (ESTALE)",
    "size": "has another size",
    "bytes": "has other bytes",
}
NO_DATASET = "files of no dataset"
_UNTOUCHED = ", and the times on the NAS are those of the survey"
_DATASETS = 3  # that a message names


@dataclass(frozen=True)
class Found:
    """A file in its source now, or (`size` None) the nearest directory that is left of its path, `level` above its
    own. Times in nanoseconds since 1970, by the NAS's clock."""

    mtime: int
    ctime: int
    size: int | None = None
    level: int = 0


def found(raw: Mapping[str, Any] | None) -> Found | None:
    """What examiner_main.Sources.look answered; None where it could not look."""
    if not raw or "error" in raw:
        return None
    return Found(int(raw["mtime"]), int(raw["ctime"]), raw.get("size"), int(raw.get("level") or 0))


def touched(known: Known, now: Found) -> bool:
    """Whether somebody has written since the survey. The time of change counts beside that of modification, which
    whoever copies may set (rsync -t), to any time."""
    if now.size is not None:
        return now.mtime != known.mtime or (known.ctime is not None and now.ctime > known.ctime)
    if now.level >= len(known.above):
        return False  # not noted
    mtime, ctime = known.above[now.level]
    return now.mtime != mtime or now.ctime > ctime


def is_delivery(known: Known, now: Found | None, seconds: float, survey_within: float) -> bool:
    """Whether the difference is one that the next generation takes up; else it is damage.

    `now` is None where nothing is known of the file in its source (a sample without sources). `seconds`: for how long
    it has been found just so; `survey_within`: within which a survey must have looked. A survey goes by size and time
    of modification: what differs in neither is never taken up, but may be under way.
    """
    if now is None or not touched(known, now):
        return False
    unseen = now.size == known.size and now.mtime == known.mtime
    return not unseen or seconds <= survey_within


@dataclass(frozen=True)
class Delivery:
    """What was changed in one dataset. Unix times in seconds, by the NAS's clock; `until`: when the last change has
    settled, if it was the last one."""

    dataset: str
    files: int
    first: str
    since: float
    until: float


@dataclass(frozen=True)
class Sorted:
    """The sample's files that were not found as recorded. `violated`: path -> what is wrong with it, in words."""

    violated: Mapping[str, str] = field(default_factory=dict)
    changing: Mapping[str, Found] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)


def sort(
    sample: Iterable[Known],
    words: Mapping[str, str],
    sources: Mapping[str, Mapping[str, Any]],
    same: Mapping[str, float],
    survey_within: float,
) -> Sorted:
    """`words`: path -> word of examiner_main.check_file. `sources`: path -> what its source has
    (examiner_main.Sources.look). `same`: path -> seconds for which that has been so."""
    violated: dict[str, str] = {}
    changing: dict[str, Found] = {}
    unread: dict[str, str] = {}
    for known in sample:
        word, raw = words.get(known.path, "same"), sources.get(known.path)
        if word in ("same", "private"):
            continue
        now = found(raw)
        if word not in DIFFERENT:
            unread[known.path] = word
        elif raw and "error" in raw:
            unread[known.path] = str(raw["error"])
        elif now and is_delivery(known, now, same.get(known.path, 0), survey_within):
            changing[known.path] = now
        else:
            violated[known.path] = DIFFERENT[word] + (_UNTOUCHED if now and not touched(known, now) else "")
    return Sorted(violated, changing, unread)


def doubtful(
    sample: Iterable[Known], words: Mapping[str, str], sources: Mapping[str, Mapping[str, Any]]
) -> list[Known]:
    """The files whose bytes differ and whose times do not. A file system may remember times for some seconds: these
    are looked at again before anybody is alarmed."""
    return [
        known
        for known in sample
        if words.get(known.path) in DIFFERENT
        and (now := found(sources.get(known.path))) is not None
        and not touched(known, now)
    ]


def deliveries(sample: Iterable[Known], changing: Mapping[str, Found], settle: float) -> list[Delivery]:
    """By dataset, the earliest first."""
    by: dict[str, list[Known]] = {}
    for known in sample:
        if known.path in changing:
            by.setdefault(known.dataset or NO_DATASET, []).append(known)
    made = []
    for dataset, files in by.items():
        times = [max(changing[known.path].ctime, 0) / 1e9 for known in files]
        first = min(known.path for known in files)
        made.append(Delivery(dataset, len(files), first, min(times), max(times) + settle))
    return sorted(made, key=lambda d: (d.since, d.dataset))


def told(found: list[Delivery], clock: float) -> str:
    """For people. `clock`: Unix time of now."""
    parts = []
    for one in found[:_DATASETS]:
        files = "1 file" if one.files == 1 else f"{one.files} files"
        ready = f"settles {rfc3339.for_people(one.until)} if no more comes" if one.until > clock else "has settled"
        since = rfc3339.for_people(one.since)
        parts.append(f"{printable(one.dataset)} since {since} ({files}, {printable(one.first)}; {ready})")
    more = f" and {len(found) - _DATASETS} datasets more" if len(found) > _DATASETS else ""
    return f"changed on the NAS since the survey: {', '.join(parts)}{more}; the next generation takes it up"
