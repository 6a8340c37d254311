"""Pure decisions of the surveyor: when to survey, what to read again, what to keep, what counts as released."""

from __future__ import annotations

import itertools
from hashlib import sha256
from typing import Any

import pytest

from pdshub.archive.guard import guard
from pdshub.surveyor.retention import baseline, doomed
from pdshub.surveyor.schedule import Facts, due, restat

NAMES = [f"sha256:{sha256(bytes([n])).hexdigest()}" for n in range(8)]
REST: dict[str, Any] = {
    "now": 10_000.0, "interval": 3600.0, "content": "c", "tried_content": "c", "finished": 9_000.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason", "wait"),
    [
        ({}, "", 2600.0),
        ({"now": 12_600.0}, "the interval passed", 0.0),
        ({"content": "d"}, "the view changed", 0.0),
        ({"tried_content": "", "finished": None}, "the view changed", 0.0),
        ({"finished": None}, "there was none yet", 0.0),
        ({"request": "r"}, "asked for", 0.0),
        ({"request": "r", "tried_request": "r"}, "", 2600.0),
        ({"request": "", "tried_request": "r"}, "", 2600.0),
        ({"stamp": "s"}, "the stamp file changed", 0.0),
        ({"stamp": "", "tried_stamp": "s"}, "", 2600.0),
        ({"settles": 10_100.0}, "", 100.0),
        ({"settles": 9_999.0}, "a settle time ended", 0.0),
        ({"settles": 20_000.0}, "", 2600.0),
        ({"failed": 9_990.0, "failures": 1}, "", 20.0),
        ({"failed": 9_970.0, "failures": 1}, "the last one failed", 0.0),
        ({"failed": 9_990.0, "failures": 3}, "", 110.0),
        ({"failed": 9_990.0, "failures": 99}, "", 890.0),
        ({"failed": 9_990.0, "failures": 99, "interval": 60.0}, "", 50.0),
        ({"failed": 9_990.0, "failures": 99, "request": "r"}, "asked for", 0.0),
        ({"failed": 9_990.0, "failures": 1, "stamp": "s"}, "", 20.0),  # the source may be away: no storm
        ({"finished": 99_999.0}, "the clock was set back", 0.0),
    ],
)
def test_due(change: dict[str, Any], reason: str, wait: float) -> None:
    assert due(Facts(**(REST | change))) == (reason, wait)


def test_every_directory_is_read_again_once_in_a_period() -> None:
    paths = [f"volume{n:04d}/data" for n in range(2000)]
    read = dict.fromkeys(paths, 0)
    period = 168 * 3600
    times = [1.7e9 + period * n / 50 for n in range(51)]
    for last, now in itertools.pairwise(times):
        wanted = restat(last, now, 168)
        chosen = [p for p in paths if wanted(p)]
        assert len(chosen) < len(paths) / 25
        for path in chosen:
            read[path] += 1
    assert set(read.values()) == {1}


@pytest.mark.parametrize(
    ("last", "now", "hours", "all_read"),
    [
        (None, 1e9, 168, True),
        (1e9, 1e9 + 168 * 3600, 168, True),
        (1e9, 1e9 - 1, 168, True),
        (None, 1e9, 0, False),
        (1e9, 2e9, 0, False),
        (1e9, 1e9, 168, False),
    ],
)
def test_restat_at_its_ends(last: float | None, now: float, hours: float, all_read: bool) -> None:
    wanted = restat(last, now, hours)
    assert {wanted(f"d{n}") for n in range(100)} == {all_read}


@pytest.mark.parametrize(
    ("keep", "held", "dropped"),
    [
        (8, [], []),
        (2, [], NAMES[2:]),
        (0, [], NAMES[1:]),  # the newest stays in any case
        (2, [NAMES[5]], NAMES[2:5] + NAMES[6:]),
        (2, [NAMES[5].removeprefix("sha256:")], NAMES[2:5] + NAMES[6:]),
        (2, [NAMES[5][:19], None, "", NAMES[0]], NAMES[2:5] + NAMES[6:]),
        (2, [NAMES[5][:12]], NAMES[2:]),  # 5 digits: too short to mean one
        (100, ["sha256:" + "f" * 64], []),
    ],
)
def test_retention(keep: int, held: list[str | None], dropped: list[str]) -> None:
    assert doomed(NAMES, keep, held) == dropped


@pytest.mark.parametrize(
    ("accepted", "approved", "found"),
    [
        ([True, True], [], 0),
        ([False, True], [], 1),
        ([False, True], [NAMES[0]], 0),
        ([False, False], [], None),
        ([False, False, True], [NAMES[1], None], 1),
        ([], [], None),
    ],
)
def test_baseline(accepted: list[bool], approved: list[str | None], found: int | None) -> None:
    made = baseline(list(zip(NAMES, accepted, strict=False)), approved)
    assert made == (None if found is None else NAMES[found])


@pytest.mark.parametrize(
    ("before", "after", "threshold", "accepted"),
    [(None, 0, 20, True), (100, 80, 20, True), (100, 79, 20, False), (100, 0, 100, True), (0, 0, 0, True),
     (100, 99, 0, False), (100, 500, 0, True)],
)  # fmt: skip
def test_guard(before: int | None, after: int, threshold: int, accepted: bool) -> None:
    assert guard(before, after, threshold)["accepted"] is accepted
    assert guard(before, after, threshold, accept=True)["accepted"]
