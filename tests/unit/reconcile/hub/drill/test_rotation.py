"""In turn, so that no luck is needed: after how many drills each home was taken, and each byte read."""

from __future__ import annotations

import random

import pytest

from pdshub.reconcile.hub.drill import rotation


@pytest.mark.parametrize(("homes", "sample"), [(1, 3), (3, 3), (20, 3), (20, 1), (7, 2), (100, 7)])
def test_each_home_is_taken_within_the_bound_and_again_within_it(homes: int, sample: int) -> None:
    there = {f"u{n:03}" for n in range(homes)}
    bound, waiting, last = rotation.rounds(homes, sample), list[str](), dict[str, int]()
    for drill in range(1, 4 * bound + 1):
        waiting = rotation.queue(waiting, there)
        taken = rotation.sample(waiting, sample)
        for user in taken:
            assert drill - last.get(user, 0) <= bound
            last[user] = drill
        waiting = rotation.done(waiting, taken)
    assert last.keys() == there


def test_who_comes_and_goes_delays_nobody() -> None:
    chosen = random.Random(7)
    there = {f"u{n}" for n in range(20)}
    waiting, entered, number = list[str](), dict[str, tuple[int, int]](), 20
    for drill in range(200):
        waiting = rotation.queue(waiting, there)
        for place, user in enumerate(waiting):
            entered.setdefault(user, (drill, place))
        taken = rotation.sample(waiting, 3)
        for user in taken:
            since, place = entered.pop(user)
            assert drill - since <= place // 3, "whoever comes later stands behind"
        waiting = rotation.done(waiting, taken)
        there |= {f"u{number + n}" for n in range(5)}
        number += 5
        there -= set(chosen.sample(sorted(there), 5))


def test_who_was_not_compared_keeps_the_place() -> None:
    assert rotation.done(["a", "b", "c", "d"], {"b"}) == ["a", "c", "d", "b"]
    assert rotation.queue(["b", "gone", "a"], {"a", "b", "new", "anew"}) == ["b", "a", "anew", "new"]


@pytest.mark.parametrize(
    ("percent", "parts"), [(100, 1), (99, 2), (50, 2), (34, 3), (33, 4), (10, 10), (3, 34), (1, 100)]
)
def test_all_data_is_read_within_the_bound(percent: int, parts: int) -> None:
    assert rotation.parts(percent) == parts <= rotation.MOST_PARTS
    read: dict[str, str] = {}
    for drill in range(3 * parts):
        number = rotation.next_part(read, parts)
        assert number == drill % parts + 1
        read[rotation.part(number, parts)] = f"2026-01-01T00:{drill // 60:02}:{drill % 60:02}Z"
        assert (rotation.all_since(read, parts) == "") == (drill + 1 < parts)


def test_damage_is_found_within_as_many_drills_as_there_are_parts() -> None:
    """A pack is in one part for ever: whichever it is, and whenever its bytes were overwritten."""
    for parts in (1, 3, 10):
        for pack in range(parts):
            for damaged_before in range(2 * parts):
                read: dict[str, str] = {}
                found = 0
                for drill in range(5 * parts):
                    number = rotation.next_part(read, parts)
                    if drill >= damaged_before and number == pack + 1:
                        found = drill
                        break
                    read[rotation.part(number, parts)] = f"2026-01-01T00:{drill // 60:02}:{drill % 60:02}Z"
                assert found - damaged_before < parts


def test_another_division_begins_anew() -> None:
    read = {"1/10": "2026-01-01T00:00:00Z", "2/10": "2026-01-02T00:00:00Z"}
    assert rotation.kept(read, 4) == {} and rotation.kept(read, 10) == read
    assert rotation.next_part(read, 4) == 1 and rotation.all_since({}, 1) == ""
