"""The price file: which price is known of what, for which region, since when, and where it is published. Pure.

What is asked of it is never guessed: a price that is missing is an error that names it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

OLD_DAYS = 180
"""Days after which a price is said to be old."""
HOURS = Decimal(730)
"""Hours in a month, as AWS reckons (AWS Pricing Calculator)."""
GB = 1024**3
"""Bytes of what AWS calls a gigabyte of storage or transfer. Source: Amazon S3, billing FAQ."""
NAME = "prices.json"
REFRESH = "./hack/aws-prices"


class PriceError(ValueError):
    """The file is none, or lacks a price; the text names what."""


@dataclass(frozen=True)
class Price:
    """US dollars for a unit of something in each region. ``usage``: its usage type in the list; empty: by hand."""

    key: str
    unit: str
    usd: Mapping[str, Decimal]
    offer: str
    usage: str
    day: date
    source: str


@dataclass(frozen=True)
class Prices:
    """The prices of a region."""

    region: str
    every: Mapping[str, Price]
    note: str = ""

    def of(self, key: str) -> Decimal:
        """US dollars for a unit. Raises PriceError."""
        try:
            return self.every[key].usd[self.region]
        except KeyError:
            raise PriceError(f"the price file has no {key} for {self.region}") from None

    def unit(self, key: str) -> str:
        """What the price is for. Raises PriceError."""
        self.of(key)
        return self.every[key].unit

    @property
    def oldest(self) -> date:
        """The date of the oldest price."""
        return min(price.day for price in self.every.values())

    def age(self, today: date) -> int:
        """Days since the oldest price was right."""
        return (today - self.oldest).days

    def warning(self, today: date) -> str:
        """What to say of their age; empty where they are young enough."""
        days = self.age(today)
        if days <= OLD_DAYS:
            return ""
        return f"prices are of {self.oldest}, {days} days old: {REFRESH} fetches them anew"


def regions(text: str) -> list[str]:
    """The regions of which a price file has every price. Raises PriceError."""
    every = _every(text)
    found: set[str] | None = None
    for price in every.values():
        found = set(price.usd) if found is None else found & set(price.usd)
    return sorted(found or ())


def load(text: str, region: str) -> Prices:
    """The prices of a region from the text of a price file. Raises PriceError."""
    known = regions(text)
    if region not in known:
        raise PriceError(f"the price file has no region {region}: it has {', '.join(known) or 'none'}")
    return Prices(region, _every(text), str(json.loads(text).get("note", "")))


def _every(text: str) -> dict[str, Price]:
    try:
        listed = json.loads(text)["prices"]
        found = [_price(one) for one in listed]
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise PriceError(f"the price file is none: {error}") from None
    if len({price.key for price in found}) != len(found) or not found:
        raise PriceError("the price file is empty, or names a price twice")
    return {price.key: price for price in found}


def _price(one: Mapping[str, Any]) -> Price:
    usd = {str(region): Decimal(str(value)) for region, value in one["usd"].items()}
    if not all(value.is_finite() and value >= 0 for value in usd.values()) or not one["source"]:
        raise ValueError(f"{one['key']}: no price, or none with a source")
    day = date.fromisoformat(one["date"])
    return Price(one["key"], one["unit"], usd, one["offer"], one["usage"], day, one["source"])
