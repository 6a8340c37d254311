"""Which snapshots go: what restic's own rules say, item by item, and nothing because a clock was wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from pdshub.api.backup_job import Keep
from pdshub.backup.retention import doomed, plan
from pdshub.backup.snapshots import Snapshot, choose, moment, snapshot
from pdshub.backup.verdict import Failed
from tests.unit.backup.harness import Hub

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
POLICIES = (
    Keep(last=1, daily=0, weekly=0, monthly=0),
    Keep(last=3, daily=14, weekly=8, monthly=12),
    Keep(last=2, daily=3, weekly=0, monthly=2),
    Keep(last=1, daily=0, weekly=5, monthly=0),
    Keep(last=1, daily=0, weekly=0, monthly=24),
    Keep(last=100, daily=1, weekly=1, monthly=1),
)


def made(
    at: datetime, item: str = "home/ada", host: str = "hub/sbn", kept: bool = False, name: str = "", mark: str = ""
) -> Snapshot:
    tags = (f"item={item}", f"run=r{at}", *(["keep"] if kept else []), *([mark] if mark else []))
    return Snapshot(name or f"{at.timestamp():064.0f}", host, at.timestamp(), at.isoformat(), tags)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory, with_repository: Callable[[Hub], Hub]) -> Hub:
    """A repository with snapshots of 400 days."""
    hub = Hub(tmp_path_factory.mktemp("retention"))
    with_repository(hub)
    dice = random.Random(14)
    hours = sorted({dice.randrange(400 * 24) for _ in range(10)} | {dice.randrange(30 * 24) for _ in range(16)})
    for n, hour in enumerate(hours):
        at = NOW - timedelta(hours=hour)
        keep = ["--tag", "keep"] if n == 20 else []
        time = at.strftime("%Y-%m-%d %H:%M:%S")
        words = ["--host", hub.hub, "--tag", "item=home/ada", *keep, "--time", time, "--force", str(hub.home)]
        hub.call("backup", "-q", *words)
    return hub


@pytest.mark.parametrize("keep", POLICIES, ids=str)
def test_the_same_go_as_by_restics_own_rules(old: Hub, keep: Keep) -> None:
    listed = [s for s in map(snapshot, json.loads(old.call("snapshots", "--json"))) if s]
    words = [f"--keep-{name}={value}" for name, value in keep.model_dump(exclude={"upgrades"}).items() if value]
    groups = json.loads(old.call("forget", "--dry-run", "--json", "--group-by", "host", "--keep-tag", "keep", *words))
    theirs = {s["id"] for group in groups for s in group["remove"] or []}
    assert {s.id for s in doomed(listed, keep, NOW.timestamp())} == theirs


def test_items_and_hubs_do_not_push_each_other_out() -> None:
    found = [
        made(NOW - timedelta(days=d), item, host)
        for d in range(3)
        for item in ("home/ada", "database")
        for host in ("a/a", "b/b")
    ]
    gone = plan(found, "a/a", None, POLICIES[0], NOW.timestamp())
    assert len(gone) == 4 and {s.host for s in gone} == {"a/a"}
    assert {s.item for s in plan(found, "a/a", "database", POLICIES[0], NOW.timestamp())} == {"database"}


def test_snapshots_that_are_not_ours_stay() -> None:
    strange = Snapshot("1" * 64, "a/a", NOW.timestamp(), "", ("of=somebody",))
    assert plan([strange], "a/a", None, POLICIES[0], NOW.timestamp() + 10) == []


def test_what_is_tagged_keep_stays() -> None:
    found = [made(NOW - timedelta(days=d), kept=d == 2) for d in range(4)]
    assert [s.at for s in doomed(found, POLICIES[0], NOW.timestamp())] == [found[1].at, found[3].at]


@pytest.mark.parametrize(("upgrades", "stay"), [(0, []), (1, [30]), (3, [30, 60, 90]), (20, [30, 60, 90, 120, 150])])
def test_from_before_upgrades_the_newest_stay(upgrades: int, stay: list[int]) -> None:
    """However many there were: the older ones go as any other goes. They do not count for what is saved daily."""
    daily = [made(NOW - timedelta(days=d)) for d in range(5)]
    before = {d: made(NOW - timedelta(days=d), mark="upgrade") for d in range(30, 180, 30)}
    keep = Keep(last=2, daily=0, weekly=0, monthly=0, upgrades=upgrades)
    gone = doomed([*daily, *before.values()], keep, NOW.timestamp())
    assert [d for d, one in before.items() if one not in gone] == stay
    assert [one for one in daily if one not in gone] == daily[:2]


def test_one_of_a_wrong_clock_takes_no_place_among_those_of_upgrades() -> None:
    ahead, before = made(NOW + timedelta(days=900), mark="upgrade"), made(NOW - timedelta(days=9), mark="upgrade")
    keep = Keep(last=1, daily=0, weekly=0, monthly=0, upgrades=1)
    assert doomed([ahead, made(NOW), before], keep, NOW.timestamp()) == []


@pytest.mark.parametrize("years", [3, 30])
def test_a_clock_that_ran_ahead_pushes_nothing_out(years: int) -> None:
    """Snapshots of the future stay and do not count; so do all of today's for a clock that is behind."""
    past = [made(NOW - timedelta(days=d)) for d in range(3)]
    future = [made(NOW + timedelta(days=365 * years + d)) for d in range(5)]
    gone = doomed(past + future, Keep(last=2, daily=0, weekly=0, monthly=0), NOW.timestamp())
    assert gone == [past[2]]
    behind = doomed(
        [*past, made(datetime(1970, 1, 2, tzinfo=UTC))], POLICIES[0], datetime(1970, 1, 3, tzinfo=UTC).timestamp()
    )
    assert behind == []


def test_latest_is_not_a_snapshot_of_the_future() -> None:
    past, future = made(NOW), made(NOW + timedelta(days=400))
    now = NOW.timestamp
    assert choose([past, future], "hub/sbn", "home/ada", "latest", now=now) == past
    assert choose([future], "hub/sbn", "home/ada", "latest", now=now) == future, "the only one there is"
    assert choose([past, future], "hub/sbn", "home/ada", future.id, now=now) == future


@pytest.mark.parametrize(
    ("wanted", "as_of", "found"),
    [
        ("latest", "2026-11-26T12:00:00Z", 0),
        ("latest", "2026-11-26T11:59:59.999Z", 1),
        ("latest", "2026-11-26T12:59:59+01:00", 1),
        ("latest", "2020-01-01T00:00:00Z", "NotFound"),
        ("latest", "yesterday", "BadRequest"),
        ("latest", "2026-11-26T12:00:00", "BadRequest"),
        ("ffffffff", "", "NotFound"),
        ("00000000", "", "NotFound"),
    ],
)
def test_a_moment_chooses(wanted: str, as_of: str, found: int | str) -> None:
    listed = [made(NOW), made(NOW - timedelta(days=1))]
    if isinstance(found, int):
        assert choose(listed, "hub/sbn", "home/ada", wanted, as_of, NOW.timestamp) == listed[found]
        return
    with pytest.raises(Failed) as failed:
        choose(listed, "hub/sbn", "home/ada", wanted, as_of, NOW.timestamp)
    assert failed.value.reason == found


@pytest.mark.parametrize("other", [made(NOW, host="x/y"), made(NOW, item="home/bob"), made(NOW, item="home/adA")])
def test_a_snapshot_of_somebody_else_is_not_there(other: Snapshot) -> None:
    with pytest.raises(Failed) as failed:
        choose([other], "hub/sbn", "home/ada", other.id, now=NOW.timestamp)
    assert failed.value.reason == "NotFound" and "bob" not in failed.value.message


@pytest.mark.parametrize(
    "text", [{}, [], None, {"id": 1}, {"id": "a", "time": "never"}, {"id": "a", "time": 1, "tags": 3}]
)
def test_what_is_no_snapshot_is_none(text: object) -> None:
    assert snapshot(text) is None


def test_moments_have_nine_digits() -> None:
    assert moment("2026-11-26T12:00:00.123456789Z") == pytest.approx(NOW.timestamp() + 0.123456789)


def test_snapshots_from_before_upgrades_pile_up_no_more(hub: Hub) -> None:
    """With restic itself: a tag of its own, and only the newest few of it stay."""
    for _ in range(3):
        hub.run("backup", before_upgrade=True).good()
    hub.run("backup").good()
    hub.run("backup", keep_always=True).good()
    hub.run("backup").good()
    policy = {"last": 1, "daily": 0, "weekly": 0, "monthly": 0, "upgrades": 1}
    hub.run("forget", keep=policy).good()
    left = [one for one in map(snapshot, json.loads(hub.call("snapshots", "--json"))) if one]
    assert [one.tagged("run") for one in sorted(left, key=lambda s: s.at)] == ["run-4", "run-6", "run-7"]
    assert [one.before_upgrade for one in sorted(left, key=lambda s: s.at)] == [True, False, False]
