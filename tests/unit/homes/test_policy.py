"""Sizes, and what is decided about a pool and its checkpoints."""

from __future__ import annotations

import dataclasses

import pytest

from pdshub.homes import names, policy, sizes
from pdshub.homes.errors import RangeError
from pdshub.homes.model import Checkpoint, Pool, Volume
from pdshub.homes.policy import Limits, Schedule

MI, GI = 1 << 20, 1 << 30
DAY = 86_400.0
NOON = 1_800_000_000.0 - 1_800_000_000.0 % DAY + DAY / 2
ONE, OTHER = names.volume_id("one"), names.volume_id("other")


@pytest.mark.parametrize(
    ("required", "limit", "size"),
    [
        (GI, 0, GI),
        (0, 0, GI),
        (0, 512 * MI, 512 * MI),
        (1, 0, 300 * MI),
        (300 * MI, 300 * MI, 300 * MI),
        (GI + 1, 0, GI + 4 * MI),
        (10 * GI, 10 * GI, 10 * GI),
        (2 * GI, GI, None),
        (1, 100 * MI, None),
        (GI + 1, GI + 1, None),
        (-1, 0, None),
    ],
)
def test_size_for_a_range(required: int, limit: int, size: int | None) -> None:
    if size is None:
        with pytest.raises(RangeError):
            sizes.chosen(required, limit)
    else:
        assert sizes.chosen(required, limit) == size


@pytest.mark.parametrize(
    ("size", "required", "limit", "good"),
    [(GI, GI, 0, True), (GI, 0, GI, True), (GI, GI + 1, 0, False), (2 * GI, GI, GI, False), (2 * GI, GI, 3 * GI, True)],
)
def test_a_volume_that_is_there_fulfils_a_range(size: int, required: int, limit: int, good: bool) -> None:
    assert sizes.fulfils(size, required, limit) is good


@pytest.mark.parametrize(
    ("pool", "limits", "room"),
    [
        (Pool(100, 0, 0), Limits(), 100),
        (Pool(100, 50, 70), Limits(), 30),
        (Pool(100, 50, 100), Limits(), 0),
        (Pool(100, 50, 150), Limits(overcommit=3), 150),
        (Pool(100, 50, 150), Limits(overcommit=1), 0),
        (Pool(100, 96, 10), Limits(), 0),
        (Pool(100, 10, 10, metadata=0.97), Limits(), 0),
        (Pool(0, 0, 0), Limits(), 0),
        (Pool(100, 50, 20, others=40), Limits(), 40),
        (Pool(100, 50, 20, others=40), Limits(overcommit=2), 100),
        (Pool(100, 90, 20, others=90), Limits(), 0),
    ],
    ids=[
        *("empty", "some", "all promised", "thrice", "promised before by more", "full", "metadata full", "no pool"),
        *("others have a part", "that part is promised to nobody", "others have nearly all"),
    ],
)
def test_room_that_may_be_promised(pool: Pool, limits: Limits, room: int) -> None:
    assert policy.available(pool, limits) == room
    assert not room or policy.why_no_room(pool, limits, room) == ""
    assert policy.why_no_room(pool, limits, room + 1)


def made(volume: str, name: str, age: float, *, daily: bool = True) -> Checkpoint:
    return Checkpoint(names.checkpoint_id(volume, name), NOON - age * DAY, GI, daily, "thin")


SEEN = dataclasses.replace(made(ONE, "d", 0.1, daily=False), brief=True)
OLD, NEW, ASKED = made(ONE, "a", 5), made(OTHER, "b", 1), made(ONE, "c", 9, daily=False)


@pytest.mark.parametrize(
    ("used", "metadata", "there", "gone"),
    [
        (90, 0.0, [OLD, NEW], None),
        (91, 0.0, [NEW, OLD], OLD),
        (91, 0.0, [ASKED, NEW], NEW),
        (91, 0.0, [ASKED], ASKED),
        (99, 0.0, [], None),
        (10, 0.91, [OLD, NEW], OLD),
        (91, 0.0, [ASKED, SEEN], SEEN),
    ],
    ids=[
        *("not too full", "the oldest", "daily ones first", "then the others", "nothing to drop", "metadata"),
        "of a look before one that was asked for",
    ],
)
def test_what_goes_before_the_pool_is_full(
    used: int, metadata: float, there: list[Checkpoint], gone: Checkpoint | None
) -> None:
    assert policy.next_to_drop(Pool(100, used, 0, metadata), there, Limits()) == gone


def test_each_volume_keeps_its_newest_days() -> None:
    days = [made(v, f"day{n}", n) for v in (ONE, OTHER) for n in range(5)]
    gone = policy.expired([*days, ASKED], 3, NOON)
    assert {c.id for c in gone} == {names.checkpoint_id(v, f"day{n}") for v in (ONE, OTHER) for n in (3, 4)}
    assert [c.created for c in gone] == sorted(c.created for c in gone)
    assert policy.expired(days, 5, NOON) == []


VOLUME = Volume(ONE, GI, MI)
TODAY = policy.day_name(NOON, 2)


@pytest.mark.parametrize(
    ("volume", "there", "schedule", "wanted"),
    [
        (VOLUME, [], Schedule(), TODAY),
        (VOLUME, [made(ONE, TODAY, 0.1)], Schedule(), ""),
        (VOLUME, [made(OTHER, TODAY, 0.1)], Schedule(), TODAY),
        (VOLUME, [made(ONE, "daily-before", 1)], Schedule(), TODAY),
        (VOLUME, [], Schedule(keep=0), ""),
        (dataclasses.replace(VOLUME, changed=NOON - 2 * DAY), [made(ONE, "x", 1)], Schedule(), ""),
        (dataclasses.replace(VOLUME, changed=NOON - 0.5 * DAY), [made(ONE, "x", 1)], Schedule(), TODAY),
        (dataclasses.replace(VOLUME, changed=NOON - 9 * DAY), [], Schedule(), TODAY),
    ],
    ids=["first", "made", "another's", "next day", "none wanted", "nothing changed", "changed", "old and never kept"],
)
def test_when_a_daily_checkpoint_is_due(
    volume: Volume, there: list[Checkpoint], schedule: Schedule, wanted: str
) -> None:
    assert policy.due(volume, there, NOON, schedule) == wanted


def test_a_day_begins_at_its_hour() -> None:
    midnight = NOON - DAY / 2
    assert policy.day_name(midnight + 3600, 2) == policy.day_name(midnight - 3600, 2)
    assert policy.day_name(midnight + 3600, 2) != policy.day_name(midnight + 2 * 3600, 2)
    assert policy.day_name(midnight + 3600, 0) == policy.day_name(NOON, 2)
