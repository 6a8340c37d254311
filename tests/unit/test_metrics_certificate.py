"""Metrics of certificates: by the moments in the status, at the moment of the scrape."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub import rfc3339
from pdshub.metrics import Facts, text

NOW = rfc3339.seconds("2026-06-01T00:00:00Z")


def hub(name: str, certificate: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "ns", "name": name}, "status": {"certificate": certificate}}


CASES: list[tuple[Any, str]] = [
    ({"notBefore": "2026-05-01T00:00:00Z", "notAfter": "2026-06-11T00:00:00Z"}, "0.24390243902439024"),
    ({"notBefore": "2026-05-01T00:00:00Z", "notAfter": "2026-06-01T00:00:00Z"}, "0.0"),
    ({"notBefore": "", "notAfter": ""}, "-1.0"),
]


@pytest.mark.parametrize(("certificate", "left"), CASES)
def test_what_is_left_is_counted_at_the_scrape(certificate: Any, left: str) -> None:
    said = text(Facts("1", True, 0.0, True, hubs=[hub("demo", certificate)], now=NOW)).decode()
    assert f'pdshub_operator_certificate_remaining_ratio{{hub="ns/demo"}} {left}' in said
    (line,) = [x for x in said.splitlines() if x.startswith("pdshub_operator_certificate_not_after_timestamp_seconds{")]
    assert float(line.rpartition(" ")[2]) == rfc3339.seconds(certificate["notAfter"])


@pytest.mark.parametrize("certificate", [None, [], "x"])
def test_a_hub_without_one_has_no_series(certificate: Any) -> None:
    said = text(Facts("1", True, 0.0, True, hubs=[hub("demo", certificate)], now=NOW)).decode()
    assert 'hub="ns/demo"' not in said
