"""The price file: every price has a region, a date and a source, and an old one is said to be old."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from devcluster import price_list

from pdshub.aws_plan.prices import OLD_DAYS, PriceError, load, regions
from pdshub.aws_plan.sizing import LARGER, MACHINES
from tests.unit.aws_plan.hubs import FILE, prices


def test_the_file_is_whole() -> None:
    assert regions(FILE) == ["us-east-1", "us-west-2"]
    known = prices()
    for machine in (*MACHINES, *LARGER):
        assert known.of(f"ec2.{machine.name}") > 0
    for price in known.every.values():
        assert price.source.startswith("https://") and price.day <= datetime.now(UTC).date()
        assert price.usage or "/pricing/" in price.source, f"{price.key}: by hand, from a page that people read"


def test_a_file_that_was_not_fetched_says_so() -> None:
    known = prices()
    assert ("not fetched" in known.note) is (known.oldest == date(2025, 6, 30))


@pytest.mark.parametrize(("days", "old"), [(0, False), (OLD_DAYS, False), (OLD_DAYS + 1, True), (500, True)])
def test_an_old_file_is_said_to_be_old(days: int, old: bool) -> None:
    known = prices()
    assert bool(known.warning(known.oldest + timedelta(days=days))) is old
    assert known.age(known.oldest + timedelta(days=days)) == days


def test_the_oldest_price_decides() -> None:
    body = json.loads(FILE)
    body["prices"][3]["date"] = "2020-01-01"
    found = load(json.dumps(body), "us-west-2")
    assert found.oldest == date(2020, 1, 1) and "./hack/aws-prices" in found.warning(date(2026, 1, 1))


def spoiled(change: Callable[[list[dict[str, Any]]], Any]) -> str:
    body = json.loads(FILE)
    change(body["prices"])
    return json.dumps(body)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"prices": []}', '{"prices": 7}', '{"prices": [7]}',
        spoiled(lambda found: found.append(found[0])),
        spoiled(lambda found: found[0].update(source="")),
        spoiled(lambda found: found[0].update(date="yesterday")),
        spoiled(lambda found: found[0].update(usd={"us-east-1": "-1"})),
        spoiled(lambda found: found[0].update(usd={"us-east-1": "NaN"})),
        spoiled(lambda found: found[0].update(usd={"us-east-1": "cheap"})),
        spoiled(lambda found: found[0].pop("unit")),
    ],
)  # fmt: skip
def test_a_file_that_is_none(text: str) -> None:
    with pytest.raises(PriceError):
        load(text, "us-east-1")


def test_what_is_missing_is_named_and_never_guessed() -> None:
    with pytest.raises(PriceError, match="no region us-gov-west-1: it has us-east-1, us-west-2"):
        prices("us-gov-west-1")
    with pytest.raises(PriceError, match=r"no ec2\.p5\.48xlarge for us-east-1"):
        prices().of("ec2.p5.48xlarge")


HEAD = '"FormatVersion","v1.0"\n"Disclaimer","x"\n"Publication Date","x"\n"Version","x"\n"OfferCode","x"\n'
NAMES = "SKU,TermType,Currency,usageType,operation,StartingRange,PricePerUnit\n"


def listed(*lines: str) -> list[str]:
    return [line + "\n" for line in (HEAD + NAMES + "\n".join(lines)).splitlines()]


def wanted(**more: str) -> dict[str, str]:
    return {"key": "k", "unit": "hour", "usage": "BoxUsage:m6i.large", **more}


@pytest.mark.parametrize(
    ("lines", "more", "found"),
    [
        (["a,OnDemand,USD,BoxUsage:m6i.large,RunInstances,0,0.0960000000"], {}, {"k": "0.096"}),
        (["a,OnDemand,USD,USW2-BoxUsage:m6i.large,RunInstances,0,0.1"], {}, {"k": "0.1"}),
        (["a,Reserved,USD,BoxUsage:m6i.large,RunInstances,0,0.05"], {}, {}),
        (["a,OnDemand,CNY,BoxUsage:m6i.large,RunInstances,0,0.05"], {}, {}),
        (["a,OnDemand,USD,USE1-X-BoxUsage:m6i.large,RunInstances,0,0.05"], {}, {}),
        (["a,OnDemand,USD,BoxUsage:m6i.large,RunInstances:0002,0,0.2"], {"operation": "RunInstances"}, {}),
        (["a,OnDemand,USD,BoxUsage:m6i.large,o,0,0.2", "b,OnDemand,USD,BoxUsage:m6i.large,p,0,0.3"], {}, {}),
        (["a,OnDemand,USD,BoxUsage:m6i.large,o,0,0.2", "b,OnDemand,USD,BoxUsage:m6i.large,p,0,0.2"], {}, {"k": "0.2"}),
        (["a,OnDemand,USD,BoxUsage:m6i.large,o,0,0", "b,OnDemand,USD,BoxUsage:m6i.large,p,0,0.2"], {}, {"k": "0.2"}),
        (["a,OnDemand,USD,BoxUsage:m6i.large,o,0,0.2", "b,OnDemand,USD,BoxUsage:m6i.large,o,10240,0.1"],
         {"from": "10240"}, {"k": "0.1"}),
        (["a,OnDemand,USD,BoxUsage:m6i.large,o,0,0.0000004"], {"unit": "1000 requests"}, {"k": "0.0004"}),
        (["a,OnDemand,USD,BoxUsage:m6i.large,o,0,free"], {}, {}),
        ([], {}, {}),
    ],
)  # fmt: skip
def test_what_is_picked_from_the_public_list(lines: list[str], more: dict[str, str], found: dict[str, str]) -> None:
    assert price_list.picked(price_list.rows(listed(*lines)), [wanted(**more)]) == found


def test_a_file_that_is_no_list_has_no_price() -> None:
    assert price_list.picked(price_list.rows(["<html>"]), [wanted()]) == {}


def test_refreshing_writes_what_was_found_and_names_the_rest() -> None:
    body = json.loads(FILE)
    said: list[str] = []

    def lines(url: str) -> list[str]:
        assert url.endswith(("us-east-1/index.csv", "us-west-2/index.csv")) and "REGION" not in url
        return listed("a,OnDemand,USD,USE1-AmazonEKS-Hours:perCluster,o,0,0.11")

    price_list.refresh(body, "2026-11-26", said.append, lines, only="AmazonEKS")
    (eks,) = (one for one in body["prices"] if one["key"] == "eks.cluster")
    assert eks["usd"] == {"us-east-1": "0.11", "us-west-2": "0.11"} and eks["date"] == "2026-11-26"
    assert load(price_list.text(body), "us-east-1").of("eks.cluster") == Decimal("0.11")
    assert "not fetched" in body["note"], "others are as they were"
    price_list.refresh(body, "2026-11-27", said.append, lambda _: listed(), only="AmazonS3")
    assert eks["date"] == "2026-11-26"
    assert "not found as Requests-Tier1, look it up: s3.put" in said
    assert not any("AmazonEC2" in line for line in said)


def test_a_price_file_is_written_as_it_is_kept() -> None:
    assert price_list.text(json.loads(FILE)) == FILE
