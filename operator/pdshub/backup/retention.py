"""Which snapshots go: restic's rules of `forget --keep-*`, applied by item.

restic groups snapshots by whole sets of tags, and no two snapshots here have the same, since each names its run. So
restic would keep all of them. The rules are restic's, to the letter (internal/restic/snapshot_policy.go, ApplyPolicy;
a test compares the two); restic is given the ids.

Of snapshots that were made before an upgrade the newest few stay whatever the rules say, as many as of the copies of
the database; older ones fall under the rules like any other. Counted by item, they are those of the newest upgrades:
each saved every item once.

A snapshot from the future was made by a clock that was wrong, or this node's clock is behind now. Either way counting
it could push out what is worth keeping: it stays, and does not count. What the run itself has saved stays as well:
where the clock of that Job's node was behind it looks old, and is the newest that there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from pdshub.api.backup_job import Keep
from pdshub.backup.snapshots import AHEAD, Snapshot

_Bucket = Callable[[datetime, int], int]


def _week(at: datetime, _: int) -> int:
    year, week, _day = at.isocalendar()
    return year * 100 + week


def _buckets(keep: Keep) -> list[tuple[int, _Bucket]]:
    return [
        (keep.last, lambda _, number: number),
        (keep.daily, lambda at, _: at.toordinal()),
        (keep.weekly, _week),
        (keep.monthly, lambda at, _: at.year * 100 + at.month),
    ]


def doomed(snapshots: Iterable[Snapshot], keep: Keep, now: float, run: str = "") -> list[Snapshot]:
    """Snapshots of one item that no rule keeps, the newest first. The newest always stays, and what ``run`` made."""
    past = [s for s in snapshots if s.at <= now + AHEAD]
    past.sort(key=lambda s: (s.at, s.id), reverse=True)
    left = [count for count, _ in _buckets(keep)]
    last: list[int | None] = [None] * len(left)
    upgrades = [s.id for s in past if s.before_upgrade][: keep.upgrades]
    gone = []
    for number, one in enumerate(past):
        at = datetime.fromtimestamp(one.at, UTC)
        stays = one.kept or one.id in upgrades or number == 0
        for n, (_, bucket) in enumerate(_buckets(keep)):
            value = bucket(at, number)
            # the oldest stays while a rule has counts left: it is the longest history that there is
            if left[n] > 0 and (value != last[n] or number == len(past) - 1):
                stays, last[n] = True, value
                left[n] -= 1
        if not stays and not (run and one.tagged("run") == run):
            gone.append(one)
    return gone


def plan(
    snapshots: Iterable[Snapshot], hub: str, item: str | None, keep: Keep, now: float, run: str = ""
) -> list[Snapshot]:
    """Those of a hub that go, item by item; of another hub none, and none that ``run`` made."""
    items: dict[str, list[Snapshot]] = {}
    for one in snapshots:
        if one.host == hub and one.item and item in (None, one.item):
            items.setdefault(one.item, []).append(one)
    return [gone for name in sorted(items) for gone in doomed(items[name], keep, now, run)]
