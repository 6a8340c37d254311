"""Files of a real survey are read into packs: once each, the newest first, never mixed, never beyond the bounds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pdshub.archive.content import collect, merging
from pdshub.archive.content.collect import Collector, Step
from pdshub.archive.content.document import Amount
from pdshub.archive.content.pack import Pack, objects, unpacked
from pdshub.archive.content.rules import Rules
from pdshub.archive.content.shelf import Shelf, Shelved
from pdshub.archive.pace import Pace
from pdshub.archive.plan import Plan
from tests.unit.archive.archive_support import OLD, build, run, spec

FILES = {"a/x.xml": "label of x", "a/x.dat": "data", "a/y.lbl": "label of y", "b/z.XML": "label of x", "top.lblx": "t"}
LABELS = {"a/x.xml", "a/y.lbl", "b/z.XML", "top.lblx"}


class Bench:
    """A source, its plans, and a shelf."""

    def __init__(self, tmp: Path, files: Mapping[str, str] = FILES) -> None:
        self.tmp, self.source = tmp, build(tmp / "s", files)
        self.folder = tmp / "packs"
        self.folder.mkdir()
        self.plans = 0

    def plan(self) -> Plan:
        self.plans += 1
        return run(self.tmp, {"s": self.source}, spec(["s"]), f"gen{self.plans}")[0]

    def collector(self, plan: Plan, rules: Rules | None = None, **more: object) -> Collector:
        shelf, pace = Shelf(self.tmp / "content.db"), Pace(0)
        given: dict[str, object] = {"budget": 1 << 30, **more}
        return Collector(plan, {"s": self.source}, rules or Rules(), shelf, self.folder, pace, **given)  # type: ignore[arg-type]

    def step(self, plan: Plan, rules: Rules | None = None, **more: object) -> Step:
        collector = self.collector(plan, rules, **more)
        try:
            return collector.step()
        finally:
            collector.shelf.close()

    def held(self) -> dict[str, bytes]:
        """Path in the source -> bytes, by shelf and packs."""
        shelf = Shelf(self.tmp / "content.db")
        bytes_of: dict[bytes, bytes] = {}
        for one in shelf.packs():
            with (self.folder / f"{one.pack.digest.removeprefix('sha256:')}{collect.SUFFIX}").open("rb") as file:
                bytes_of.update(objects(unpacked(file), one.pack))
        found = {}
        for folder in ("", "a", "b"):
            for name, seen in shelf.files("s", folder).items():
                found[f"{folder}/{name}".lstrip("/")] = bytes_of[seen.digest]
        shelf.close()
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_labels_are_read_once_and_equal_bytes_lie_once(bench: Bench) -> None:
    plan = bench.plan()
    done = bench.step(plan)
    assert bench.held() == {path: FILES[path].encode() for path in LABELS}
    assert (done.local, done.wanted, done.rest, done.read) == (Amount(4, 31), Amount(4, 31), 0, 4)
    assert [pack.objects for pack in done.packs] == [3], "two labels have the same bytes"
    again = bench.step(plan)
    assert (again.read, again.packs, again.local) == (0, done.packs, done.local)


def test_only_what_is_new_is_read(bench: Bench) -> None:
    bench.step(bench.plan())
    build(bench.source, {"a/new.xml": "new", "a/x.xml": "another"}, OLD + 10)
    done = bench.step(bench.plan())
    assert done.read == 2
    assert [pack.objects for pack in done.packs] == [3, 2]
    assert bench.held()["a/x.xml"] == b"another"


def test_what_changed_since_the_survey_is_left_to_the_next(bench: Bench) -> None:
    plan = bench.plan()
    build(bench.source, {"a/x.xml": "LABEL OF X"}, OLD + 10)  # of the same size
    (bench.source / "a/y.lbl").unlink()
    done = bench.step(plan)
    assert (done.changed, done.unreadable, done.read) == (1, 1, 2)
    assert set(bench.held()) == {"b/z.XML", "top.lblx"}
    done = bench.step(bench.plan())
    assert (done.changed, done.read) == (0, 1)
    assert bench.held()["a/x.xml"] == b"LABEL OF X"


def test_what_changes_while_it_is_read_is_not_taken(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, looked = bench.plan(), collect.synced_stat.fstat

    def touched(descriptor: int) -> os.stat_result:
        found = looked(descriptor)
        os.utime(bench.source / "a/x.xml", (OLD + 5, OLD + 5))
        return found

    monkeypatch.setattr(collect.synced_stat, "fstat", touched)
    assert bench.step(plan).changed == 1
    assert "a/x.xml" not in bench.held()


def test_the_newest_dataset_comes_first(tmp_path: Path) -> None:
    volume = (
        'PDS_VERSION_ID = PDS3\r\nOBJECT = VOLUME\r\n VOLUME_ID = "{0}"\r\n VOLUME_VERSION_ID = "1"\r\n'
        ' DATA_SET_ID = "DS-{0}"\r\nEND_OBJECT = VOLUME\r\nEND\r\n'
    )
    bench = Bench(tmp_path, {f"{name}/VOLDESC.CAT": volume.format(name.upper()) for name in ("a", "b", "c")})
    for number, name in enumerate(("b", "c", "a")):
        build(bench.source, {f"{name}/x.lbl": name}, OLD + number)
    plan, order = bench.plan(), list[str]()

    class Told(Collector):
        def _bytes(self, readers, some, done):  # type: ignore[no-untyped-def]
            order.extend(one.path for one in some)
            return super()._bytes(readers, some, done)

    shelf = Shelf(tmp_path / "content.db")
    Told(plan, {"s": bench.source}, Rules(), shelf, bench.folder, Pace(0), 1 << 30).step()
    shelf.close()
    assert [path for path in order if path.endswith("lbl")] == ["a/x.lbl", "c/x.lbl", "b/x.lbl"]


def test_a_step_ends_in_time_and_the_next_goes_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, now = bench.plan(), iter(range(1000))
    monkeypatch.setattr(collect, "_FILES", 1)
    done = [bench.step(plan, seconds=1, clock=lambda: next(now)) for _ in range(5)]
    assert [one.read for one in done] == [1, 1, 1, 1, 0]
    assert [one.rest for one in done] == [3, 2, 1, 0, 0]
    assert set(bench.held()) == LABELS


def test_beyond_the_budget_nothing_more_is_read(bench: Bench) -> None:
    plan = bench.plan()
    done = bench.step(plan, budget=0)
    assert (done.over_budget, done.read, done.rest, done.packs) == (True, 0, 4, [])
    assert bench.step(plan, budget=1 << 20).over_budget is False


DAMAGE: dict[str, Callable[[Bench], object]] = {
    "a pack is gone": lambda b: next(b.folder.glob("*.zst")).unlink(),
    "a pack was cut short": lambda b: os.truncate(next(b.folder.glob("*.zst")), 10),
    "the memory is no database": lambda b: (b.tmp / "content.db").write_bytes(b"x" * 9000),
    "the memory is empty": lambda b: (b.tmp / "content.db").write_bytes(b""),
    "a writer was killed": lambda b: (b.folder / "pack.partial").write_bytes(b"half"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_is_damaged_is_read_again(bench: Bench, damage: Callable[[Bench], object]) -> None:
    plan = bench.plan()
    bench.step(plan)
    damage(bench)
    bench.step(plan)
    assert bench.held() == {path: FILES[path].encode() for path in LABELS}
    assert not list(bench.folder.glob("*.partial"))


def test_many_packs_become_one_and_none_is_read_from_the_source(bench: Bench) -> None:
    for number in range(merging.BASE - 1):
        build(bench.source, {f"a/{number}.xml": f"label {number}"}, OLD + number)
        bench.step(bench.plan(), Rules(include=("x",)))
    build(bench.source, {"a/last.xml": "last"}, OLD)
    done = bench.step(bench.plan())
    assert (done.read, len(done.packs)) == (1, 1)
    assert len(bench.held()) == len(LABELS) + merging.BASE
    former = {path.name for path in bench.folder.iterdir()}
    assert len(former) == merging.BASE + 1, "former packs stay until they are swept away: nodes may be fetching them"
    collector = bench.collector(bench.plan())
    kept = next(name for name in former if name.removesuffix(collect.SUFFIX) not in done.packs[0].digest)
    collector.sweep({"sha256:" + kept.removesuffix(collect.SUFFIX)})
    collector.shelf.close()
    assert {path.name for path in bench.folder.iterdir()} == {kept, collector.path(done.packs[0]).name}


def test_what_no_generation_shows_is_forgotten(bench: Bench) -> None:
    bench.step(bench.plan())
    shelf = Shelf(bench.tmp / "content.db")
    assert shelf.forget_folders([("s", "a"), ("s", "")]) == 1
    assert shelf.files("s", "b") == {}
    shelf.close()
    assert set(bench.held()) == LABELS - {"b/z.XML"}


def _shelved(number: int, size: int, count: int = 100) -> Shelved:
    return Shelved(number, Pack(f"sha256:{hashlib.sha256(b'%d' % number).hexdigest()}", size, count), size // 5)


SMALL, LARGE = 1 << 18, 400 << 20
MERGED = {
    "nothing": ([], {}, []),
    "one": ([_shelved(1, SMALL)], {1: (100, SMALL)}, []),
    "few of one size": ([_shelved(n, SMALL) for n in range(7)], {}, []),
    "many of one size": ([_shelved(n, SMALL) for n in range(9)], {}, list(range(9))),
    "a hollow one": ([_shelved(1, SMALL), _shelved(2, SMALL)], {1: (49, 10)}, [1]),
    "an empty one": ([_shelved(1, SMALL), _shelved(2, SMALL)], {1: (0, 0)}, [1]),
    "large ones, of which only one fits": ([_shelved(n, LARGE) for n in range(9)], {}, []),
    "many of several sizes": ([_shelved(n, SMALL << (3 * (n % 6))) for n in range(41)], {}, [0, 6]),
}


@pytest.mark.parametrize(("packs", "live", "merged"), MERGED.values(), ids=MERGED)
def test_packs_of_one_size_become_one(
    packs: list[Shelved], live: dict[int, tuple[int, int]], merged: list[int]
) -> None:
    whole = {one.number: (one.pack.objects, one.pack.size) for one in packs} | live
    assert [one.number for one in merging.to_merge(packs, whole)] == merged
