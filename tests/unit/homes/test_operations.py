"""What is done with homes, on a disk that is only remembered: repeated, refused, and by itself."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pdshub.homes import names
from pdshub.homes.errors import ArgumentError, FullError, HomesError, MissingError, RangeError, TakenError
from pdshub.homes.locks import Locks
from pdshub.homes.policy import Limits, Schedule
from pdshub.homes.upkeep import AGE, ROOM, Upkeep
from tests.unit.homes.memory import GI, NOW, Memory, homes

DAY = 86_400.0


def test_made_once_whatever_is_asked_twice(tmp_path: Path) -> None:
    disk = Memory()
    found = homes(tmp_path, disk)
    first = found.create("pvc-1", GI, 0)
    assert found.create("pvc-1", GI, 0) == first == found.volume(first.id)
    assert disk.did == ["prepare", f"create {first.id} {GI}"]
    with pytest.raises(TakenError):
        found.create("pvc-1", 2 * GI, 0)


@pytest.mark.parametrize(
    ("required", "limit", "error"), [(200 * GI, 0, FullError), (2 * GI, GI, RangeError)], ids=["no room", "no size"]
)
def test_what_can_t_be_made(tmp_path: Path, required: int, limit: int, error: type[HomesError]) -> None:
    disk = Memory()
    with pytest.raises(error):
        homes(tmp_path, disk).create("pvc-1", required, limit)
    assert not disk.kept


def test_growth_takes_room_once_and_never_shrinks(tmp_path: Path) -> None:
    disk = Memory(total=10 * GI)
    found = homes(tmp_path, disk)
    volume = found.create("pvc-1", 4 * GI, 0).id
    found.create("pvc-2", 4 * GI, 0)
    assert found.grow(volume, 6 * GI).size == 6 * GI
    assert found.grow(volume, 6 * GI).size == 6 * GI
    assert found.grow(volume, GI).size == 6 * GI
    with pytest.raises(FullError):
        found.grow(volume, 7 * GI)
    with pytest.raises(MissingError):
        found.grow(names.volume_id("nobody"), GI)


def test_a_volume_goes_with_its_days_and_not_with_what_was_asked_for(tmp_path: Path) -> None:
    disk = Memory()
    found = homes(tmp_path, disk)
    volume = found.create("pvc-1", GI, 0).id
    asked = found.checkpoint(volume, "before-the-upgrade")
    upkeep = Upkeep(found, Schedule())
    upkeep.daily()
    assert len(found.checkpoints(volume)) == 2
    for _ in range(2):
        found.delete(volume)
    found.delete("no id at all")
    assert found.volumes() == [] and found.checkpoints(volume) == [asked]
    again = found.create("pvc-1", GI, 0, asked.id)
    assert disk.did[-1] == f"create {again.id} {GI} {asked.id}"


def test_a_volume_from_a_checkpoint_is_as_large_as_that(tmp_path: Path) -> None:
    disk = Memory()
    found = homes(tmp_path, disk)
    kept = found.checkpoint(found.create("pvc-1", 4 * GI, 0).id, "x")
    assert found.create("pvc-2", GI, 0, kept.id).size == 4 * GI
    with pytest.raises(RangeError):
        found.create("pvc-3", GI, GI, kept.id)
    with pytest.raises(MissingError):
        found.create("pvc-4", GI, 0, names.checkpoint_id(names.volume_id("x"), "y"))


def test_a_name_is_one_checkpoint_s(tmp_path: Path) -> None:
    found = homes(tmp_path, Memory())
    one, other = found.create("pvc-1", GI, 0).id, found.create("pvc-2", GI, 0).id
    assert found.checkpoint(one, "x") == found.checkpoint(one, "x")
    with pytest.raises(TakenError):
        found.checkpoint(other, "x")
    found.drop(found.checkpoint(one, "x").id)
    found.drop("-rf")
    assert found.checkpoint(other, "x").volume == other
    with pytest.raises(MissingError):
        found.checkpoint(names.volume_id("nobody"), "z")


def test_days_come_and_go(tmp_path: Path) -> None:
    now = [NOW]
    found = homes(tmp_path, Memory(), now=now)
    one, other = (found.create(name, GI, 0).id for name in ("pvc-1", "pvc-2"))
    upkeep = Upkeep(found, Schedule(keep=3))
    for _ in range(5):
        for _ in range(2):
            assert upkeep.daily() == []
        now[0] += DAY
    assert {len(found.checkpoints(v)) for v in (one, other)} == {3}
    assert min(c.created for c in found.checkpoints()) == NOW + 2 * DAY
    assert upkeep.dropped == {AGE: 4, ROOM: 0}


def test_checkpoints_go_before_the_pool_is_full(tmp_path: Path) -> None:
    disk = Memory(total=100 * GI, each=10 * GI)
    found = homes(tmp_path, disk)
    volumes = [found.create(f"pvc-{n}", GI, 0).id for n in range(3)]
    upkeep = Upkeep(found, Schedule())
    upkeep.daily()
    asked = found.checkpoint(volumes[0], "asked for")
    disk.used = 65 * GI
    assert found.pool().fill > 0.9 and upkeep.make_room() == 2
    assert asked in found.checkpoints() and found.pool().fill <= 0.9
    disk.used = 88 * GI
    assert upkeep.make_room() == 2, "those that somebody asked for are the last"
    assert upkeep.make_room() == 0 and upkeep.dropped[ROOM] == 4
    disk.used = 97 * GI
    assert upkeep.make_room() == 0, "nothing is left to go"
    with pytest.raises(FullError):
        found.create("pvc-9", GI, 0)
    with pytest.raises(FullError):
        found.checkpoint(volumes[0], "now")
    problems = Upkeep(found, Schedule(hour=3)).daily()
    assert len(problems) == 3 and all("full" in problem for problem in problems)


def test_more_than_there_is_may_be_promised(tmp_path: Path) -> None:
    found = homes(tmp_path, Memory(total=10 * GI), Limits(overcommit=2))
    assert found.room() == 20 * GI
    found.create("pvc-1", 18 * GI, 0)
    assert found.room() == 2 * GI
    assert found.add_disk("/dev/sdb").total == 110 * GI and found.room() == 202 * GI


@pytest.mark.parametrize("path", ["/etc", "{k}/../x", "{k}", "relative", "{k}x/y"])
def test_nothing_is_mounted_outside_of_the_kubelet_s_folder(tmp_path: Path, path: str) -> None:
    found = homes(tmp_path, Memory())
    volume = found.create("pvc-1", GI, 0).id
    there = path.format(k=tmp_path / "kubelet")
    for call in (found.stage, found.unstage, found.unpublish):
        with pytest.raises(ArgumentError):
            call(volume, there)


def test_taking_away_what_nobody_knows_is_done(tmp_path: Path) -> None:
    found = homes(tmp_path, Memory())
    for volume in ("no id", names.volume_id("nobody")):
        found.unstage(volume, str(tmp_path / "kubelet/x"))
        found.unpublish(volume, str(tmp_path / "kubelet/y"))


def test_one_at_a_time(tmp_path: Path) -> None:
    """The second comes in when the first has let go, and a lock that was forgotten meanwhile is another one."""
    locks = Locks(tmp_path / "locks")
    locks.prepare()
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with locks("x"):
            order.append("second")

    with locks("x"):
        other = threading.Thread(target=second)
        other.start()
        waiting.wait(10)
        order.append("first")
        locks.forget("x")
    other.join(10)
    assert order == ["first", "second"] and (tmp_path / "locks/x").exists()


def test_what_a_look_left_behind_goes_some_day(tmp_path: Path) -> None:
    """And it is no day: the next one is made though somebody just looked."""
    now = [NOW]
    found = homes(tmp_path, Memory(), now=now)
    volume = found.create("pvc-1", GI, 0).id
    left = found.checkpoint(volume, "pvc-u-9", brief=True)
    upkeep = Upkeep(found, Schedule(keep=2))
    assert upkeep.daily() == [] and len(found.checkpoints(volume)) == 2
    now[0] += 8 * DAY + 1
    upkeep.daily()
    assert left not in found.checkpoints(volume) and upkeep.dropped == {AGE: 1, ROOM: 0}
    Upkeep(found, Schedule(keep=0)).daily()
    assert len(found.checkpoints(volume)) == 2, "0: none are made, and none go"
