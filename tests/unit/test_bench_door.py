"""docs/benchmarks/door.md: what was measured stands beside its bar."""

from __future__ import annotations

from tests.bench import door

DOCUMENT = {
    "date": "2026-11-26 00:00 UTC", "processor": "x", "cores": 2, "python": "3", "apache": "Apache/2.4.71", "load": 0.1,
    "shared": False, "users": 84, "proxy": True,
    "sockets": {"sockets": 500, "seconds": 600.0, "dropped": 0, "slower": 0.004,
                "before": {"p50": 0.010, "p95": 0.020}, "beside": {"p50": 0.014, "p95": 0.030}},
    "download": {"bytes": 1 << 30, "rounds": 5, "straight": 1.0, "through": 1.25, "worst": 0.7, "share": 0.8,
                 "best": 0.9},
    "sign-ins": {"people": 200, "rounds": 5, "failed": {"straight": 1, "through": 0},
                 "straight": {"p50": 2.0, "p95": 4.0}, "through": {"p50": 2.1, "p95": 4.25}},
    "renewal": {"rate": 20.0, "seconds": 60.0, "asked": 1200, "failed": 0, "why": [], "sockets": 50, "dropped": 0},
}  # fmt: skip


def test_a_page_has_each_figure_and_its_bar() -> None:
    said = door.page(DOCUMENT)
    for row in (
        "| 500 idle websockets for 10.0 min | 0 dropped | 0 |",
        "| a new request beside them | 10 ms, then 14 ms (p95 20 and 30 ms) | 100 ms slower at most |",
        "| a download of 1024 MiB, 5 times each way in turns | 819 MiB/s through TLS and Apache, 1024 MiB/s straight,"
        " at the median; of a pair's straight one the other has 0.80 at the median, 0.70 to 0.90 | 0.8 of straight |",
        "| 200 people sign in at once, 5 times each way in turns | 1 failed; p95 4.2 s through TLS and Apache, ",
        "| a renewal under 20 requests/s for 60 s | 0 of 1200 requests failed, 0 of 50 websockets dropped | 0, 0 |",
    ):
        assert row in said
    assert "other work shared" not in said and "other work shared" in door.page({**DOCUMENT, "shared": True})
