"""The whole plan: figures, machines, four ways with their bills, and what to know. As JSON holds it, too. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from pdshub.aws_plan import alternatives, bill
from pdshub.aws_plan.alternatives import Option
from pdshub.aws_plan.bill import Bills, Kind, Line
from pdshub.aws_plan.prices import Prices
from pdshub.aws_plan.sizing import Sizing
from pdshub.aws_plan.usage import GIB, How, Usage

Json = dict[str, Any]
NOT_DEPLOYED = (
    "Nothing of this was deployed: figures are arithmetic on list prices, and the ground in deploy/aws is validated."
)
HEADROOM = 1.25
"""A server is planned with a quarter more than its measured peak."""


@dataclass(frozen=True)
class Plan:
    """A plan for a hub."""

    hub: str
    prices: Prices
    today: date
    archive: str
    usage: Usage
    sizing: Sizing | None
    options: list[Option]
    survey: tuple[int, Decimal]
    """Requests and US dollars of one survey of S3."""
    archives: list[tuple[str, Decimal]]
    """US dollars a month of the archive, by where it lies."""
    notes: list[str]


def make(hub: str, usage: Usage, prices: Prices, today: date, archive: str = "s3", notes: tuple[str, ...] = ()) -> Plan:
    """The plan of a hub at a region's prices. ``notes``: what could not be read. Raises PriceError."""
    chosen, found = alternatives.options(usage, prices, archive)
    bills = Bills(usage, prices)
    requests = bills.listings_of_one()
    price = bills.line(Kind.ARCHIVE, "a survey", Decimal(requests) / 1000, "s3.put")
    places = [(place, bill.total(alternatives.archive_lines(bills, place))) for place in alternatives.ARCHIVES]
    places.append(("premises", bill.total(bills.archive_at_home())))
    warning = prices.warning(today)
    said = [NOT_DEPLOYED, warning, prices.note, *_advice(usage, chosen)]
    return Plan(
        hub, prices, today, archive, usage, chosen, found, (requests, price.quantity * price.price), places,
        [*filter(None, said), *notes],
    )  # fmt: skip


def _advice(usage: Usage, chosen: Sizing | None) -> list[str]:
    found = []
    assumed = [words for _, words, figure in usage.figures() if figure.how is How.ASSUMED]
    if assumed:
        found.append(f"assumed, since nobody said and nothing tells: {'; '.join(assumed)}")
    if chosen is not None:
        gib = usage.memory.value / GIB
        found.append(
            f"{chosen.per_node} servers on a {chosen.machine.name} hold if server.resources.memory.guarantee is about "
            f"{gib:.1f} GiB: Kubernetes places servers by what is guaranteed, not by what they take"
        )
    if chosen is not None and chosen.bound == "volumes":
        found.append("volumes of homes bound a node before memory does: larger machines would hold no more servers")
    return found


def as_json(plan: Plan) -> Json:
    """The plan for programs: keys are always the same, money is text, so that no digit of it is lost."""
    return {
        "hub": plan.hub,
        "region": plan.prices.region,
        "archive": plan.archive,
        "date": plan.today.isoformat(),
        "prices": {
            "oldest": plan.prices.oldest.isoformat(),
            "days": plan.prices.age(plan.today),
            "old": bool(plan.prices.warning(plan.today)),
        },
        "figures": {
            key: {"value": figure.value, "how": str(figure.how), "why": figure.why}
            for key, _, figure in plan.usage.figures()
        },
        "sizing": _sizing(plan.sizing),
        "options": [_option(option) for option in plan.options],
        "survey": {"requests": plan.survey[0], "usd": str(plan.survey[1])},
        "archives": {place: str(usd) for place, usd in plan.archives},
        "notes": list(plan.notes),
    }


def _sizing(found: Sizing | None) -> Json | None:
    if found is None:
        return None
    return {
        "machine": found.machine.name,
        "perNode": found.per_node,
        "nodes": found.nodes,
        "bound": found.bound,
        "monthly": str(found.monthly.quantize(bill.CENT)),
    }


def _option(option: Option) -> Json:
    return {
        "key": option.key,
        "title": option.title,
        "monthly": None if option.why_not else str(option.monthly),
        "lines": [_line(line) for line in option.lines],
        "once": [_line(line) for line in option.once],
        "keeps": list(option.keeps),
        "breaks": list(option.breaks),
        "whyNot": option.why_not or None,
    }


def _line(line: Line) -> Json:
    return {
        "kind": str(line.kind),
        "what": line.what,
        "quantity": str(line.quantity),
        "unit": line.unit,
        "price": str(line.price),
        "monthly": str(line.monthly),
    }
