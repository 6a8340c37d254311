"""docs/benchmarks/homes.md: what was measured, of each kind of disk that there was."""

from __future__ import annotations

from tests.bench import homes


def row(how: str, content: int, seconds: float) -> homes.Json:
    keys = ("create", "mount", "checkpoint", "stands still", "grow")
    return {"how": how, "content": content, **dict.fromkeys(keys, seconds)}


def test_a_page_has_the_middle_and_the_worst_of_each_kind() -> None:
    about = {"date": "2026-11-26 00:00 UTC", "processor": "x", "cores": 2, "kernel": "6.18", "load": 0.1, "rounds": 3}
    rows = [row("reflink", 64, seconds) for seconds in (0.3, 0.1, 0.2)]
    said = homes.page({**about, "shared": False, "rows": rows})
    assert f"| reflinks (XFS) | 64 MiB |{' 0.200, 0.300 |' * 5}\n" in said
    assert "does not" not in said and "other work" not in said
    assert "other work" in homes.page({**about, "shared": True, "rows": rows})
