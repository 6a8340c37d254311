"""AWS' public price list: what it says is picked line by line, since one file of it has some hundred megabytes.

Source: AWS, Billing User Guide, "Reading the price list files": five lines about the file, a heading, then a line for
each price.
"""

from __future__ import annotations

import csv
import io
import json
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from .run import StepFailed
from .settings import ROOT

FILE = ROOT / "operator/pdshub/aws_plan/prices.json"
HEADING = 5
"""Lines of a file before its heading."""
SECONDS = 60
Json = dict[str, Any]


def rows(lines: Iterable[str]) -> Iterator[Mapping[str, str]]:
    """The prices of a file, by the names in its heading."""
    given = iter(lines)
    for _ in range(HEADING):
        next(given, "")
    yield from csv.DictReader(given)


def is_meant(row: Mapping[str, str], wanted: Json) -> bool:
    """Whether a line of the list is the price that is wanted, of which a region's name may stand before the usage."""
    usage = row.get("usageType") or ""
    if row.get("TermType") != "OnDemand" or row.get("Currency") != "USD":
        return False
    if wanted["usage"] not in (usage, usage.partition("-")[2]):
        return False
    if "operation" in wanted and row.get("operation") != wanted["operation"]:
        return False
    return "from" not in wanted or row.get("StartingRange") == wanted["from"]


def picked(found: Iterable[Mapping[str, str]], wanted: Sequence[Json]) -> dict[str, str]:
    """Key -> US dollars, of those for which the list has one price and no two."""
    said: dict[str, set[Decimal]] = {one["key"]: set() for one in wanted}
    for row in found:
        for one in wanted:
            if is_meant(row, one):
                try:
                    price = Decimal(row.get("PricePerUnit") or "")
                except InvalidOperation:
                    continue
                per = 1000 if one["unit"] == "1000 requests" else 1
                if price:
                    said[one["key"]].add((price * per).normalize())
    return {key: f"{next(iter(prices)):f}" for key, prices in said.items() if len(prices) == 1}


def fetched(url: str) -> Iterator[str]:
    """The lines of a file. Raises StepFailed."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - https, as the file of prices says
            yield from io.TextIOWrapper(answer, encoding="utf-8", newline="")
    except OSError as error:
        raise StepFailed(f"{url}: {error}") from None


def refresh(
    body: Json, day: str, say: Callable[[str], None], lines: Callable[[str], Iterable[str]] = fetched, only: str = ""
) -> None:
    """Writes into the body of a price file what the list says, with the day. ``only``: one offer."""
    for offer in sorted({one["offer"] for one in body["prices"]}):
        wanted = [one for one in body["prices"] if one["offer"] == offer and one["usage"]]
        if not wanted or only not in ("", offer):
            continue
        new: dict[str, dict[str, str]] = {}
        for region in sorted({region for one in wanted for region in one["usd"]}):
            url = wanted[0]["source"].replace("REGION", region)
            say(f"asking {url}")
            new[region] = picked(rows(lines(url)), wanted)
        for one in wanted:
            if all(one["key"] in new[region] for region in one["usd"]):
                one["usd"] = {region: new[region][one["key"]] for region in one["usd"]}
                one["date"] = day
            else:
                say(f"not found as {one['usage']}, look it up: {one['key']}")
    for one in body["prices"]:
        if not one["usage"] and only in ("", one["offer"]):
            say(f"by hand: {one['key']}, {one['source']}")
    if all(one["date"] == day for one in body["prices"]):
        body["note"] = f"Fetched from AWS' public price list on {day}. On demand, without taxes, discounts, free tiers."


def text(body: Json) -> str:
    """A price file, a price on each line, so that a change is seen."""
    listed = ",\n".join(f"  {json.dumps(one)}" for one in body["prices"])
    return f'{{\n "note": {json.dumps(body["note"])},\n "prices": [\n{listed}\n ]\n}}\n'


def write(only: str, say: Callable[[str], None], file: Path = FILE) -> None:
    """Fetches the prices of the file anew. Raises StepFailed where the list can not be read."""
    body: Json = json.loads(file.read_text())
    refresh(body, f"{datetime.now(UTC):%Y-%m-%d}", say, only=only)
    file.write_text(text(body))
