"""What surveys of S3 cost: said before they run, and held to the limits of a source."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pdshub.api.view import ArchiveViewSpec
from pdshub.surveyor import answers, s3_cost
from pdshub.surveyor.store import Store
from pdshub.surveyor.surveyor import Surveyor

DAY = date(2026, 1, 1)
PRICES = json.dumps(
    {
        "prices": [
            {"key": key, "unit": "1000 requests", "usd": {"us-east-1": usd}, "offer": "", "usage": "",
             "date": "2025-12-01", "source": "https://example.org"}
            for key, usd in (("s3.put", "0.005"), ("s3.get", "0.0004"))
        ]
    }
)  # fmt: skip


def spec(interval: int = 3600, **s3: Any) -> ArchiveViewSpec:
    return ArchiveViewSpec.model_validate(
        {
            "sources": [
                {"name": "main", "s3": {"bucket": "pds-x", "region": "us-east-1", **s3}},
                {"name": "nas", "nfs": {"server": "nas", "export": "/pds"}},
            ],
            "tree": [{"path": "a", "layers": [{"source": "main"}]}],
            "survey": {"intervalSeconds": interval},
        }
    )


def cost(
    of: ArchiveViewSpec, asked: Any = None, known: int | None = None, prices: str = PRICES, day: date = DAY
) -> Any:
    (found,) = s3_cost.costs(of, asked or {}, {} if known is None else {"main": known}, prices, day)
    return found


@pytest.mark.parametrize(
    ("asked", "known", "expected", "usd", "month", "says"),
    [
        (None, 1_000_000, 1000, "0.005", "3.65", "1000000 files"),
        (None, 1_000_001, 1001, "0.005005", "3.66", "1000001 files"),
        (None, 0, 1, "0.000005", "0.01", "0 files"),
        (None, None, 20_000, "0.1", "73.00", "not known before the first survey"),
        ({"main": {"lists": 1003, "gets": 97}}, 5, 1003, "0.005015", "3.67", "as the last survey asked"),
        ({"main": {"lists": "many"}}, 5000, 5, "0.000025", "0.02", "5000 files"),
    ],
)
def test_a_survey(asked: Any, known: int | None, expected: int, usd: str, month: str, says: str) -> None:
    found = cost(spec(), asked, known)
    assert (found.expected, found.usd, found.usd_per_month) == (expected, usd, month)
    assert says in found.message and "2025-12-01" in found.message


def test_once_a_day_costs_a_part_of_it() -> None:
    assert cost(spec(86400), None, 1_000_000).usd_per_month == "0.16"


@pytest.mark.parametrize(
    ("s3", "prices", "day", "says"),
    [
        ({"region": "eu-north-1"}, PRICES, DAY, "no region eu-north-1"),
        ({"endpoint": "https://s3.example.org"}, PRICES, DAY, "no prices are known"),
        ({}, "{}", DAY, "the price file is none"),
    ],
)
def test_no_price_is_guessed(s3: dict[str, Any], prices: str, day: date, says: str) -> None:
    found = cost(spec(**s3), None, 1000, prices, day)
    assert (found.usd, found.usd_per_month, found.expected) == ("", "", 1) and says in found.message


def test_old_prices_are_said_to_be_old() -> None:
    assert "days old" in cost(spec(), None, 1, PRICES, date(2026, 12, 1)).message
    assert "old" in cost(spec(), None, 1, s3_cost.shipped(), date(2026, 12, 1)).message, "those that are shipped are"


@pytest.mark.parametrize(
    ("limits", "asked", "known", "says"),
    [
        ({}, None, 1_000_000, ""),
        ({}, None, 50_000_000, "limits.requestsPerSurvey (20000)"),
        ({"usdPerMonth": 5}, None, 1_000_000, ""),
        ({"usdPerMonth": "3.50"}, None, 1_000_000, "3.65 US dollars a month"),
        ({"usdPerMonth": "3.50"}, {"main": {"lists": 2000, "gets": 1}}, 5, "7.30 US dollars a month"),
        ({"usdPerMonth": 1}, None, None, ""),  # nothing is known: the first one is made, within its requests
    ],
)
def test_limits(limits: dict[str, Any], asked: Any, known: int | None, says: str) -> None:
    of = spec(limits=limits)
    said = s3_cost.refusal(of, [cost(of, asked, known)])
    assert (says in said) if says else said == "", said


def test_a_limit_that_cannot_be_held_is_no_limit_that_holds() -> None:
    of = spec(region="eu-north-1", limits={"usdPerMonth": 1})
    assert "cannot be held" in s3_cost.refusal(of, [cost(of, None, 5)])


def test_words() -> None:
    text = s3_cost.words([cost(spec(), None, 1_000_000)])
    assert "1,000" in text and "0.005" in text and "3.65" in text and "main" in text
    assert "nothing" in s3_cost.words([])


def test_the_surveyor_says_it_before_it_surveys_and_holds_its_limits(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.path.mkdir()
    store.open()
    surveyor = Surveyor(store, tmp_path / "sources", keys=tmp_path / "keys")
    body = {"name": "sbn", "generation": 1, "request": "", "keep": [], "spec": spec(limits={"usdPerMonth": 1}).wire()}
    surveyor.put(body)
    (said,) = answers.survey(surveyor).cost
    assert said.source == "main" and said.requests is None and said.expected == 20_000
    surveyor.progress.requests = {"main": {"lists": 5000, "gets": 2}}
    (said,) = answers.survey(surveyor).cost
    assert (said.requests, said.expected) == (5002, 5000)
    asyncio.run(surveyor.turn())
    assert "limits.usdPerMonth" in surveyor.progress.message and surveyor.progress.failures == 1
    store.close()
