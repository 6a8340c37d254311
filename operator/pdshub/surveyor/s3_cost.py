"""What surveys of sources in S3 ask for and cost, said before they run. Pure: prices are a file's text.

A listing is a request for each 1,000 names; each label of a dataset that is new is one more. What is not known is said
to be so, and the bound of the source stands in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_UP, Decimal
from importlib.resources import files
from typing import Any

from pdshub.api.base import parse_quantity
from pdshub.api.generation import SurveyCost
from pdshub.api.view import ArchiveViewSpec, Source
from pdshub.aws_plan import prices
from pdshub.s3.page import NAMES

LIST, GET = "s3.put", "s3.get"
"""Keys of prices: AWS prices a listing as a PUT. Source: Amazon S3 pricing, Requests and data retrievals."""
MONTH = prices.HOURS * 3600
"""Seconds."""
_CENT = Decimal("0.01")
Requests = Mapping[str, Any]
"""Of each source by its name, what a survey asked: {"lists": …, "gets": …}."""


@dataclass(frozen=True)
class Price:
    """What a thousand requests cost; None where that is not known, and why."""

    lists: Decimal | None
    gets: Decimal | None
    note: str


def shipped() -> str:
    """The price file of this version."""
    return files("pdshub.aws_plan").joinpath(prices.NAME).read_text(encoding="utf-8")


def price(source: Source, text: str, today: date) -> Price:
    """Prices for one source's requests."""
    s3 = source.s3
    if s3 is None or not s3.amazon:
        return Price(None, None, "no prices are known of this service")
    try:
        found = prices.load(text, s3.region or "")
        warning = found.warning(today)
        return Price(found.of(LIST), found.of(GET), warning or f"prices of {found.oldest}")
    except prices.PriceError as error:
        return Price(None, None, str(error))


def cost(source: Source, asked: Requests, known: int | None, interval: int, text: str, today: date) -> SurveyCost:
    """Of one source. ``asked``: by the last survey; ``known``: files that some survey found in it; ``interval``:
    seconds between surveys."""
    assert source.s3 is not None  # noqa: S101 - asked for sources in S3 alone
    last = asked.get(source.name)
    lists, gets = _counts(last)
    if lists is not None:
        how, expected = "as the last survey asked", lists
    elif known is not None:
        how, expected = f"{known} files, {NAMES} to a request", max(1, -(-known // NAMES))
    else:
        expected = source.s3.limits.requests_per_survey
        how = "not known before the first survey: this is the source's limit"
    of = price(source, text, today)
    usd = None if of.lists is None else of.lists * expected / 1000
    month = None if usd is None else usd * MONTH / interval
    return SurveyCost(
        source=source.name,
        requests=None if lists is None else lists + (gets or 0),
        expected=expected,
        usd="" if usd is None else f"{usd.normalize():f}",
        usd_per_month="" if month is None else f"{month.quantize(_CENT, ROUND_UP):f}",
        message=f"{how}; {of.note}",
    )


def _counts(last: Any) -> tuple[int | None, int | None]:
    if not isinstance(last, Mapping) or not all(type(last.get(key)) is int for key in ("lists", "gets")):
        return None, None
    return int(last["lists"]), int(last["gets"])


def costs(spec: ArchiveViewSpec, asked: Requests, known: Mapping[str, int], text: str, today: date) -> list[SurveyCost]:
    """Of every source of a view that is in S3, in the view's order."""
    interval = spec.survey.interval_seconds
    return [cost(s, asked, known.get(s.name), interval, text, today) for s in spec.sources if s.s3]


def refusal(spec: ArchiveViewSpec, expected: Sequence[SurveyCost]) -> str:
    """Why a survey is not begun: by what is known it would go beyond a limit of a source. Empty where it may."""
    limits = {source.name: source.s3.limits for source in spec.sources if source.s3}
    for one in expected:
        limit = limits[one.source]
        known = one.requests is not None or one.expected < limit.requests_per_survey
        if one.requests is None and one.expected > limit.requests_per_survey:
            return (
                f"source {one.source}: a survey asks for {one.expected} pages, more than limits.requestsPerSurvey "
                f"({limit.requests_per_survey})"
            )
        if limit.usd_per_month is None or not known:
            continue
        if not one.usd_per_month:
            return f"source {one.source}: limits.usdPerMonth cannot be held: {one.message}"
        if Decimal(one.usd_per_month) > parse_quantity(limit.usd_per_month):
            return (
                f"source {one.source}: surveys would cost {one.usd_per_month} US dollars a month, more than "
                f"limits.usdPerMonth ({limit.usd_per_month}): survey less often (spec.survey.intervalSeconds), or "
                "raise the limit"
            )
    return ""


def words(expected: Sequence[SurveyCost]) -> str:
    """For people: a table, or that nothing is in S3."""
    if not expected:
        return "no source is in S3: a survey costs nothing"
    rows = [("SOURCE", "REQUESTS", "USD", "USD A MONTH", "")]
    rows += [
        (one.source, f"{one.expected:,}", one.usd or "-", one.usd_per_month or "-", one.message) for one in expected
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)), row[4]]).rstrip()
        for row in rows
    )
