"""The pure parts of the benchmark of archive views: what is counted, bounds of a median, bars."""

from __future__ import annotations

import pytest

from tests.bench.archive.bars import of_views
from tests.bench.archive.calls import parse
from tests.bench.archive.pairs import interval, summary

MOUNTSTATS = """device tmpfs mounted on /run with fstype tmpfs
device 127.0.0.1:/bench mounted on /run/a with fstype nfs4 statvers=1.1
\tbytes:\t1 2 3 4 500 6 7 8
\tper-op statistics
\t        NULL: 1 1 0 44 24 0 0 0 0
\t        READ: 12 12 0 2 3 4 5 6 0
\t     LOOKUP: 0 0 0 0 0 0 0 0 0
\t EXCHANGE_ID: 2 2 0 0 0 0 0 0 0

device 127.0.0.1:/bench mounted on /run/ab with fstype nfs4 statvers=1.1
\tbytes:\t0 0 0 0 9 0 0 0
\tper-op statistics
\t        READ: 3 3 0 2 3 4 5 6 0
"""


def test_calls_of_one_mount() -> None:
    found = parse(MOUNTSTATS, "/run/a")
    assert (dict(found.calls), found.bytes_read) == ({"NULL": 1, "READ": 12, "EXCHANGE_ID": 2}, 500)
    assert found.since(parse(MOUNTSTATS, "/run/ab")).calls["READ"] == 9
    with pytest.raises(LookupError):
        parse(MOUNTSTATS, "/run")


@pytest.mark.parametrize(
    ("count", "ranks"),
    # tables of the sign test: Conover, Practical Nonparametric Statistics, A3
    [(6, (1, 6)), (10, (2, 9)), (15, (4, 12)), (20, (6, 15)), (21, (6, 16)), (25, (8, 18))],
)
def test_bounds_of_a_median(count: int, ranks: tuple[int, int]) -> None:
    assert interval([float(n) for n in range(count, 0, -1)]) == tuple(float(r) for r in ranks)


def _one(seconds: float, calls: int, read: int = 0) -> dict[str, object]:
    return {"seconds": seconds, "calls": calls, "reads": read, "bytesRead": read * 10, "value": 1}


@pytest.mark.parametrize(
    ("seconds", "calls", "met"),  # met: no calls, faster than NFS, faster than mergerfs
    [(1.0, 0, [True, True, True]), (1.5, 0, [True, True, False]), (3.0, 1, [False, False, False])],
)
def test_bars_of_a_walk(seconds: float, calls: int, met: list[bool]) -> None:
    work = {"NFS": _one(10, 900), "mergerfs": _one(12, 900), "catalog": _one(seconds, calls)}
    found = of_views({"views": {"2": {"os.walk + stat, cold": work}}, "pairs": {}})
    assert [bar.met for bar in found] == met


@pytest.mark.parametrize(
    ("ratio", "pairs", "met"), [(1.0, 15, True), (0.95, 15, False), (1.0, 14, False), (1.2, 21, True)]
)
def test_bar_of_pairs(ratio: float, pairs: int, met: bool) -> None:
    found = list(of_views({"views": {}, "pairs": {"sequential, warm": summary([ratio] * pairs, [1.0] * pairs)}}))
    assert [b.met for b in found] == [met]
