"""The plan as a page of Markdown. What comes from a cluster is text to it, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from pdshub.aws_plan.alternatives import Option
from pdshub.aws_plan.bill import Line, total
from pdshub.aws_plan.plan import Plan
from pdshub.aws_plan.usage import BYTES, Figure

_MARKS = re.compile(r"([\\`*_{}\[\]<>|#])")


def plain(text: str) -> str:
    """Text that is no Markdown and stays on its line."""
    return _MARKS.sub(r"\\\1", " ".join("".join(c if c.isprintable() else " " for c in text).split()))


def money(usd: Decimal) -> str:
    """US dollars as people write them: 1,234.56."""
    return f"{usd:,.2f}"


def number(value: float) -> str:
    """A count, with as many digits as say something."""
    return f"{value:,.0f}" if value == int(value) or value >= 1000 else f"{value:,.2f}"


def size(count: float) -> str:
    """Bytes for people, as 1.5 TiB."""
    for unit, factor in (("PiB", 1 << 50), ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{count:,.0f} bytes"


def figure(key: str, found: Figure) -> str:
    """A figure's number for people."""
    return size(found.value) if key in BYTES else number(found.value)


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    right = ["---:" if word.startswith("US") or word in ("quantity", "one") else "---" for word in heading]
    return [f"| {' | '.join(row)} |" for row in (heading, right, *rows)]


def _bill(lines: Sequence[Line]) -> list[str]:
    rows = [
        [plain(line.what), f"{line.quantity:,.2f}", line.unit, f"{line.price.normalize():f}", money(line.monthly)]
        for line in lines
    ]
    rows.append(["**all**", "", "", "", f"**{money(total(lines))}**"])
    return _table(("what", "quantity", "unit", "one", "US dollars"), rows)


def _option(option: Option) -> list[str]:
    lines = [f"## {plain(option.title)}", ""]
    if option.why_not:
        lines += [f"No plan: {option.why_not}.", ""]
    else:
        lines += [*_bill(option.lines), ""]
    lines += ["What stays:", "", *(f"- {text}" for text in option.keeps), ""]
    lines += ["What breaks:", "", *(f"- {text}" for text in option.breaks), ""]
    if option.once:
        lines += ["Paid once, for the copy of the archive:", "", *_bill(option.once), ""]
    return lines


def markdown(plan: Plan) -> str:
    """The page."""
    prices = f"prices of {plan.prices.oldest}, region {plan.prices.region}"
    compared = [
        [plain(option.title), "none" if option.why_not else money(option.monthly), plain(option.breaks[0])]
        for option in plan.options
    ]
    figures = [
        [words, figure(key, found), str(found.how), plain(found.why)] for key, words, found in plan.usage.figures()
    ]
    lines = [
        f"# {plain(plan.hub)} at AWS",
        "",
        f"Made on {plan.today} from {prices}. US dollars a month, on demand, without taxes and discounts.",
        "",
        *(f"- {plain(note)}" for note in plan.notes),
        "",
        "## Compared",
        "",
        *_table(("way", "US dollars", "first of what breaks"), compared),
        "",
        *_sizing(plan),
        "## The archive",
        "",
        *_table(("where", "US dollars"), [[_PLACES[place], money(usd)] for place, usd in plan.archives]),
        "",
        f"One survey of it in S3: {plan.survey[0]:,} requests, {plan.survey[1].normalize():f} US dollars. "
        "A listing by users asks nothing: names are on the nodes.",
        "",
        "## What is known of the hub",
        "",
        *_table(("what", "figure", "how", "from"), figures),
        "",
    ]
    for option in plan.options:
        lines += _option(option)
    return "\n".join(lines).rstrip("\n")


def _sizing(plan: Plan) -> list[str]:
    found = plan.sizing
    if found is None:
        return []
    text = (
        f"Servers: {found.per_node} on each {found.machine.name} ({found.machine.cores} cores, "
        f"{found.machine.gib} GiB), "
        f"bounded by {found.bound}; {found.nodes} nodes at the busiest time, one at all others. For the template: "
        f"`UserInstanceType={found.machine.name}`, `MostUserNodes={found.nodes + 1}`."
    )
    return [text, ""]


_PLACES = {
    "s3": "S3",
    "efs": "EFS",
    "fsx": "FSx for OpenZFS",
    "premises": "on premises, behind a VPN",
}
