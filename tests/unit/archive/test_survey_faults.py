"""A survey over a file system that lies: no listing without its error makes a hole, and whatever happened, the survey
that remembers ends as the one that begins anew."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdshub.archive import record
from pdshub.archive.plan import Plan, open_plan
from pdshub.archive.survey import Options, Result, survey
from pdshub.archive.view import view_from_spec
from pdshub.archive.walk import SourceError
from tests.unit.archive.archive_support import bundle, kinds, spec, visible
from tests.unit.archive.simulated import ROOT, SECOND, Fault, FaultyFileSystem, Nas

SETTLE = RACY = 120
ALWAYS = 10**6
DATASETS = ("n/1", "n/2", "b")  # two nights and a bundle
DIRECTORIES = ("n/1", "n/1/d", "n/2", "b", "b/data", "b/data/deep", "loose", "loose/deep")


def everything(path: str) -> bool:
    return True


class Site:
    """A NAS, its surveyor's memory, and what users would see."""

    def __init__(self, folder: Path, nas: Nas, settle: int = SETTLE) -> None:
        self.folder, self.nas, self.fs = folder, nas, FaultyFileSystem(nas)
        self.view = view_from_spec("v", spec(["a"], nightPatterns=["n/*"], settleSeconds=settle))
        self.last: Path | None = None
        self.number = 0
        for path in DIRECTORIES:
            nas.mkdir(path)
        nas.put("b/bundle.xml", bundle("b").encode())
        for path in DIRECTORIES:
            for name in ("f", "g", "h"):
                nas.put(f"{path}/{name}", b"1")
        self.later(10**6)

    def later(self, seconds: float) -> None:
        self.nas.now += int(seconds * SECOND)

    def _survey(self, out: Path, previous: Path | None, restat: Callable[[str], bool]) -> Result:
        options = Options(self.nas.now, 1, restat=restat, racy_ns=RACY * SECOND, fs=self.fs)
        out.mkdir()
        return survey(self.view, {"a": Path(ROOT)}, out, options, previous)

    def survey(self, *faults: Fault, restat: Callable[[str], bool] = lambda path: False) -> Plan:
        """One more generation. One that fails leaves the one before. The faults end with it."""
        self.number += 1
        out = self.folder / f"g{self.number}"
        self.fs.faults = list(faults)
        try:
            self._survey(out, self.last, restat)
            self.last = out
        finally:
            self.fs.faults = []
            self.fs.remember()
        return open_plan(out)

    def fresh(self) -> Plan:
        self.number += 1
        out = self.folder / f"g{self.number}"
        self._survey(out, None, lambda path: False)
        return open_plan(out)

    def reads(self) -> int:
        """How many directories a survey lists now."""
        self.number += 1
        return self._survey(self.folder / f"g{self.number}", self.last, lambda path: False).counters.directories_read

    def plan(self) -> Plan:
        assert self.last is not None
        return open_plan(self.last)

    def is_true(self, plan: Plan) -> None:
        """It is what a survey without a memory finds, and shows every file."""
        fresh = self.fresh()
        assert sorted(visible(plan)) == sorted(self.nas.files())
        assert plan.path.read_bytes() == fresh.path.read_bytes()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path, Nas())
    made.survey()
    made.later(600)
    made.survey()
    made.later(600)
    return made


def paths(plan: Plan, kind: str) -> set[str]:
    return {path for f in plan.tail["findings"] if f["kind"] == kind for path in f["paths"]}


# --- one listing that lies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["empty", "truncated"])
@pytest.mark.parametrize("where", ["n/1", "b", "b/data", "loose", "n", ""])
def test_a_listing_that_is_wrong_once_is_taken_again(site: Site, kind: str, where: str) -> None:
    if where:
        site.nas.put(f"{where}/new", b"2")
        site.later(600)
    plan = site.survey(Fault(kind, where, 1), restat=everything)
    assert "listing-doubted" not in kinds(plan)
    site.is_true(plan)


@pytest.mark.parametrize("kind", ["empty", "truncated"])
@pytest.mark.parametrize("where", ["n/1", "n/1/d", "b", "b/data", "loose", "n", ""])
@pytest.mark.parametrize("settle", [0, SETTLE])
def test_another_listing_under_the_same_times_changes_nothing(
    tmp_path: Path, kind: str, where: str, settle: int
) -> None:
    site = Site(tmp_path, Nas(), settle)
    for _ in range(2):
        before = site.survey()
        site.later(600)
    for _ in range(2):  # it is there for one survey each: never told of the same twice in time
        plan = site.survey(Fault(kind, where, ALWAYS), restat=everything)
        assert visible(plan) == visible(before)
        assert "listing-doubted" in kinds(plan)
        assert any(path == f"a:{where}" for path in paths(plan, "listing-doubted"))
        site.later(10)
    after = site.survey(restat=everything)
    site.is_true(after)


@pytest.mark.parametrize("sneaky", ["put", "remove"])
def test_times_that_do_not_move_are_believed_the_second_time(site: Site, sneaky: str) -> None:
    before = site.plan()
    if sneaky == "put":
        site.nas.put("b/data/new", b"2", sneaky=True)
    else:
        site.nas.remove("b/data/f", sneaky=True)
    first = site.survey(restat=everything)
    assert visible(first) == visible(before) and paths(first, "listing-doubted") == {"a:b/data"}
    site.later(5)
    assert visible(site.survey()) == visible(before), "asked again at once, a server says the same"
    site.later(600)
    site.is_true(site.survey())


def test_a_doubt_that_was_a_lie_ends_with_it(site: Site) -> None:
    site.survey(Fault("empty", "b/data", ALWAYS), restat=everything)
    site.later(600)
    after = site.survey()
    site.is_true(after)
    assert "listing-doubted" not in kinds(after)


@pytest.mark.parametrize("where", ["n/1", "b/data", "loose"])
def test_a_record_of_an_empty_directory_is_never_believed(site: Site, where: str) -> None:
    """As a survey before this one may have left it: nothing in it, its times the directory's own."""
    assert site.last is not None
    scans, labels = record.read_record(site.last / record.FILE)
    known = scans["a"].dirs[where]
    known.names, known.dirs, known.sizes = "", (), known.sizes[:0]
    known.mtimes, known.attrs = known.mtimes[:0], known.attrs[:0]
    record.write_record(site.last / record.FILE, scans, labels)
    site.survey()
    site.later(600)
    site.is_true(site.survey())


def test_a_record_of_the_former_format_is_read_again(site: Site) -> None:
    assert site.last is not None
    scans, labels = record.read_record(site.last / record.FILE)
    known = scans["a"].dirs["b/data"]
    known.names, known.sizes = "f", known.sizes[:1]
    known.mtimes, known.attrs = known.mtimes[:1], known.attrs[:1]
    as_before(site.last / record.FILE, scans, labels)
    assert "b/data/g" in visible(site.survey())


def as_before(path: Path, scans: Any, labels: Any) -> None:
    """Write the record as version 1 did."""
    record.write_record(path, scans, labels)
    with gzip.open(path, "rt") as made:
        lines = [json.loads(line) for line in made]
    lines[0] = {"format": record.FORMER}
    lines = [line[:14] if isinstance(line, list) else line for line in lines]
    with gzip.open(path, "wt") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)


# --- link counts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "shown"),
    [("b/data", "this generation keeps its former state"), ("loose", "this generation keeps its former state")],
)
def test_links_without_directories_are_not_released(site: Site, where: str, shown: str) -> None:
    """The directory changed, so nothing is known of it; but its link count says that one is missing."""
    before = visible(site.plan())
    site.nas.put(f"{where}/new", b"2")
    site.later(600)
    plan = site.survey(Fault("empty", where, ALWAYS))
    assert visible(plan) == before
    assert [f["severity"] for f in plan.tail["findings"] if shown in f["message"]] == ["error"]
    site.is_true(site.survey())


@pytest.mark.parametrize("where", ["b/data", "loose"])
def test_without_a_former_state_they_are_not_shown(tmp_path: Path, where: str) -> None:
    site = Site(tmp_path, Nas())
    plan = site.survey(Fault("empty", where, ALWAYS))
    hidden = "b" if where == "b/data" else where
    assert visible(plan) and not any(path.startswith(f"{hidden}/") for path in visible(plan))
    assert f"a:{where}" in paths(plan, "listing-doubted")
    site.later(600)
    site.is_true(site.survey())


def test_where_links_are_not_counted_nothing_is_concluded(tmp_path: Path) -> None:
    site = Site(tmp_path, Nas(counts_links=False))
    plan = site.survey()
    assert "listing-doubted" not in kinds(plan)
    site.is_true(plan)


# --- what is named and not there ------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["n", "n/1/d", "b/data", "loose"])
def test_a_directory_that_is_named_and_not_found_is_looked_for_again(site: Site, where: str) -> None:
    site.is_true(site.survey(Fault("ENOENT", where, 1)))


@pytest.mark.parametrize("where", ["n/1/d", "b/data", "loose"])
def test_one_that_stays_away_is_not_taken_for_removed(site: Site, where: str) -> None:
    before = visible(site.plan())
    plan = site.survey(Fault("ENOENT", where, ALWAYS))
    assert visible(plan) == before and "listing-doubted" in kinds(plan)
    site.is_true(site.survey())


def test_a_file_that_is_named_and_not_found_is_not_taken_for_removed(site: Site) -> None:
    before = visible(site.plan())
    plan = site.survey(Fault("ENOENT", "b/data/f", ALWAYS), restat=everything)
    assert visible(plan) == before and paths(plan, "listing-doubted") == {"a:b/data"}
    site.is_true(site.survey())


def test_a_layer_that_its_directory_names_fails_the_survey(tmp_path: Path) -> None:
    site = Site(tmp_path, Nas())
    site.view = view_from_spec("v", spec(["a"], {".": ["a:b"]}, settleSeconds=0))
    site.survey()
    with pytest.raises(SourceError, match="b is listed and can not be found"):
        site.survey(Fault("ENOENT", "b", ALWAYS))
    site.nas.remove("b")
    assert "layer-missing" in kinds(site.survey())


# --- what another survey must not forget ------------------------------------------------------------------------------


def test_a_write_in_place_that_was_held_back_is_not_forgotten(site: Site) -> None:
    site.nas.overwrite("b/data/f", b"longer")
    young = site.survey(restat=everything)
    assert "settling" in kinds(young)
    site.later(600)
    site.is_true(site.survey())


def test_a_label_that_could_not_be_opened_is_opened_next_time(site: Site) -> None:
    site.nas.put("b/bundle.xml", bundle("b", "2.0").encode())
    site.later(600)
    broken = site.survey(Fault("ENOENT", "b/bundle.xml", ALWAYS))
    assert "broken-label" in kinds(broken) or "listing-doubted" in kinds(broken)
    site.later(600)
    site.is_true(site.survey())


def test_a_label_of_the_same_size_and_time_is_read_again_with_its_directory(site: Site) -> None:
    site.nas.overwrite("b/bundle.xml", bundle("b", "1.1").encode(), keep_mtime=True)
    site.later(600)
    site.is_true(site.survey(restat=everything))


@pytest.mark.parametrize("skew", [0, 3600, -3600], ids=str)
@pytest.mark.parametrize("in_place", [False, True], ids=["anew", "in place"])
def test_a_label_rewritten_in_the_tick_of_its_reading_is_read_again(tmp_path: Path, skew: int, in_place: bool) -> None:
    """Two labels of one size and one time, and only the first had been read."""
    site = Site(tmp_path, Nas(skew=skew * SECOND), settle=0)
    if in_place:  # the directory is known and stands still
        site.nas.put("bundle.xml", bundle("one").encode())
        site.later(600)
        site.survey()
        site.later(600)
        site.nas.overwrite("bundle.xml", bundle("two").encode())
    else:
        site.nas.put("bundle.xml", bundle("two").encode())
    site.survey(restat=everything)
    site.nas.overwrite("bundle.xml", bundle("six").encode())
    site.later(600)
    site.is_true(site.survey(restat=everything))


def test_directories_that_changed_places_are_told_apart(site: Site) -> None:
    site.nas.put("loose/other", b"3")
    for _ in range(2):
        site.later(600)
        site.survey()
    times = {path: (node.mtime, node.ctime) for path, node in site.nas.walk()}
    site.nas.rename("b/data", "x")
    site.nas.rename("loose", "b/data")
    for path in ("b/data", "x"):  # a file system that leaves a directory's times when it is renamed
        site.nas.find(path).mtime, site.nas.find(path).ctime = times["b/data"]
    site.later(600)
    site.survey()
    site.later(600)
    site.is_true(site.survey())


@pytest.mark.parametrize("skew", [0, 3600, -3600, -300], ids=str)
@pytest.mark.parametrize("tick", [SECOND // 100, SECOND, 2 * SECOND], ids=str)
def test_a_change_in_the_tick_of_the_listing_is_met(tmp_path: Path, skew: int, tick: int) -> None:
    """Whatever the clocks of the NAS and of this machine say."""
    site = Site(tmp_path, Nas(skew=skew * SECOND, tick=tick), settle=0)
    site.survey()
    site.later(600)
    site.nas.now = site.nas.now // (2 * SECOND) * 2 * SECOND
    site.nas.put("b/data/one", b"")
    site.survey()
    site.nas.put("b/data/two", b"")  # at the same moment
    site.later(600)
    plan = site.survey()
    assert {"b/data/one", "b/data/two"} <= set(visible(plan))
    site.is_true(plan)
    site.later(600)
    site.nas.put("n/2/other", b"")
    for _ in range(2):
        site.later(600)
        site.survey()
    site.later(600)
    assert site.reads() == 0, "what nobody touched is not read for ever"


# --- any history ------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["f", "g", "new", "newer"])
CHANGES = st.tuples(
    st.sampled_from(
        ["put", "overwrite", "append", "truncate", "delete", "rename", "mkdir", "move", "sneak", "vanish", "label"]
    ),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    NAMES,
)
FAULTS = st.lists(
    st.tuples(
        st.sampled_from(["empty", "truncated", "older", "times", "ENOENT", "ESTALE", "EIO"]),
        st.integers(0, 10**6),
        st.booleans(),
        st.sampled_from([1, 2, 3, ALWAYS]),
    ),
    max_size=3,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.lists(CHANGES, min_size=1, max_size=4)),
        st.tuples(st.just("wait"), st.sampled_from([0.01, 1, 5, 100, 200, 1000])),
        st.tuples(st.just("survey"), FAULTS, st.sampled_from(["none", "half", "all"])),
    ),
    min_size=1,
    max_size=14,
)
NASES = st.builds(
    Nas,
    skew=st.sampled_from([0, -3600 * SECOND, 3600 * SECOND, -200 * SECOND]),
    tick=st.sampled_from([SECOND // 100, SECOND]),
    counts_links=st.booleans(),
)
RESTAT = {"none": lambda path: False, "half": lambda path: len(path) % 2 == 0, "all": everything}


def change(nas: Nas, what: str, where: int, other: int, name: str) -> None:
    """One change of somebody; what can not be done is not."""
    directories, files = nas.directories(), nas.files()
    place = directories[where % len(directories)]
    file = files[other % len(files)] if files else ""
    new = f"{place}/{name}" if place else name
    taken = new in directories
    match what:
        case "put" | "sneak" if not taken:
            nas.put(new, b"x" * (other % 7), sneaky=what == "sneak")
        case "overwrite" if file:
            nas.overwrite(file, b"y" * (where % 7), keep_mtime=where % 3 == 0)
        case "append" if file and isinstance(held := nas.find(file).held, bytes):
            nas.overwrite(file, held + b"z")
        case "truncate" if file:
            nas.overwrite(file, b"")
        case "delete" | "vanish" if file:
            nas.remove(file, sneaky=what == "vanish")
        case "rename" if file and not taken:
            nas.rename(file, new)
        case "mkdir" if not taken and new not in files:
            nas.mkdir(new)
        case "move" if new not in files and not taken:
            moved = directories[other % len(directories)]
            if moved and not (new + "/").startswith(moved + "/"):
                nas.rename(moved, new)
        case "label":
            nas.put(f"{place}/bundle.xml" if place else "bundle.xml", bundle(f"l{nas.inodes}").encode())


def play(site: Site, steps: list[Any]) -> None:
    for what, *how in steps:
        if what == "change":
            for one in how[0]:
                change(site.nas, *one)
        elif what == "wait":
            site.later(how[0])
        else:
            every = [*site.nas.directories(), *site.nas.files()]
            faults = [Fault(kind, every[n % (len(every))], calls) for kind, n, _, calls in how[0]]
            with suppress(SourceError):  # it is tried again later
                site.survey(*faults, restat=RESTAT[how[1]])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NASES, STEPS, st.sampled_from([0, SETTLE]))
def test_after_any_history_two_surveys_find_what_a_new_one_finds(nas: Nas, steps: list[Any], settle: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        site = Site(Path(name), nas, settle)
        play(site, steps)
        site.later(SETTLE * 4)
        site.survey(restat=everything)  # the period within which every directory has its turn
        site.later(SETTLE * 4)
        plan = site.survey()
        fresh = site.fresh()
        assert plan.tree_digest() == fresh.tree_digest()
        assert plan.header == fresh.header
        assert sorted(visible(plan)) == nas.files()


ORDINARY = ("put", "delete", "rename", "mkdir", "move")


def ordinary(steps: list[Any]) -> list[Any]:
    """Without what directory times do not tell of, and without faults that last longer than a call."""
    kept: list[Any] = []
    for what, *how in steps:
        if what == "change":
            kept.append((what, [one for one in how[0] if one[0] in ORDINARY]))
        elif what == "survey":
            once = ("empty", "truncated", "ENOENT", "ESTALE", "EIO")
            kept.append((what, [(kind, n, flag, 1) for kind, n, flag, _ in how[0][:1] if kind in once], how[1]))
        else:
            kept.append((what, *how))
    return kept


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NASES, STEPS, st.sampled_from([0, SETTLE]))
def test_ordinary_changes_need_no_second_look_at_everything(nas: Nas, steps: list[Any], settle: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        site = Site(Path(name), nas, settle)
        play(site, ordinary(steps))
        site.later(SETTLE * 4)
        site.survey()
        site.later(SETTLE * 4)
        plan = site.survey()
        assert plan.tree_digest() == site.fresh().tree_digest()
