"""docs/benchmarks/walls.md: what is measured, what is kept, and what is left out while nobody measured it."""

from __future__ import annotations

import re
from pathlib import Path

from tests import records
from tests.bench import walls
from tests.hostile_values.attack import Outcome, Report
from tests.hostile_values.payloads import PAYLOADS

ROOT = Path(__file__).parents[2]


def report(chart: str, end: Outcome) -> Report:
    outcomes = {(place, text): end for place in ("a", "b") for text in PAYLOADS}
    return Report(chart, outcomes)


def test_a_page_has_every_attack() -> None:
    one, two = walls.measured(report("one", Outcome.LOOK)), walls.measured(report("two", Outcome.DATA))
    assert (one["attacks"], one["places"], one["escaped"]) == (2 * len(PAYLOADS), 2, [])
    said = walls.page({"charts": {"one": one, "two": two}})
    assert f"| **attacks tried** | {2 * len(PAYLOADS)} | {2 * len(PAYLOADS)} |" in said
    assert f"| {Outcome.LOOK} | {2 * len(PAYLOADS)} | 0 |" in said and f"| {Outcome.ESCAPED} | 0 | 0 |" in said
    assert all(f"| {text} | 2 |" in said for text in PAYLOADS)
    assert "drift is repaired" not in said, "nobody measured it"


def test_seconds_of_repair_are_those_of_the_record(tmp_path: Path) -> None:
    file = tmp_path / "walls.json"
    assert records.known(file) == {}
    records.keep("drift", "service proxy-api, deleted", 3.25, file)
    records.keep("drift", "service proxy-api, deleted", 4.21, file)
    records.keep("dry runs", "one", {"look": 3}, file)
    drift = records.known(file)["drift"]
    assert re.search(
        r"^\| service proxy-api, deleted \| 4\.2 \| \d{4}-\d\d-\d\d \|$",
        walls.page({"charts": {}, "drift": drift}),
        re.M,
    )
    file.write_text("no JSON")
    assert records.known(file) == {}
    records.keep("drift", "x", 1, tmp_path / "nowhere" / "walls.json")


def test_the_page_leads_to_the_other_figures() -> None:
    said = walls.page({"charts": {}})
    links = re.findall(r"\]\(([^)#]+)", said)
    assert len(links) >= 5
    assert [link for link in links if not (ROOT / "docs/benchmarks" / link).exists()] == []
