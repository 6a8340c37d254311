"""The comparison as a picture: bars of what is paid for what. SVG, made of text alone."""

from __future__ import annotations

import html
from decimal import Decimal

from pdshub.aws_plan.alternatives import Option
from pdshub.aws_plan.bill import Kind
from pdshub.aws_plan.plan import Plan

WIDTH, LEFT, BAR, GAP, TOP = 760, 24, 22, 34, 84
_LIGHT = {"machines": "#3b6ea5", "homes": "#c98a2b", "archive": "#5a8f5a", "network": "#8a6fa8"}
_DARK = {"machines": "#7fb0e6", "homes": "#e6b25f", "archive": "#8cc78c", "network": "#bfa3e0"}


def parts(option: Option) -> dict[str, Decimal]:
    """US dollars a month of each kind, in the order in which bars show them."""
    found = dict.fromkeys(map(str, Kind), Decimal(0))
    for line in option.lines:
        found[str(line.kind)] += line.monthly
    return found


def _text(words: str) -> str:
    return html.escape("".join(c if c.isprintable() else " " for c in words), quote=True)


def _bars(option: Option, top: int, scale: Decimal) -> list[str]:
    name = f'<text class="name" x="{LEFT}" y="{top}">{_text(option.title)}</text>'
    if option.why_not:
        return [name, f'<text class="small" x="{LEFT}" y="{top + BAR}">{_text(option.why_not)}</text>']
    drawn, x = [name], Decimal(LEFT)
    for each, usd in parts(option).items():
        width = usd * scale
        if width > 0:
            drawn.append(
                f'<rect class="{each}" x="{x:.1f}" y="{top + 7}" width="{width:.1f}" height="{BAR}">'
                f"<title>{each}: {usd:,.2f} US dollars a month</title></rect>"
            )
        x += width
    return [*drawn, f'<text class="small" x="{x + 6:.1f}" y="{top + BAR + 1}">{option.monthly:,.0f}</text>']


def svg(plan: Plan) -> str:
    """The picture, complete in one file."""
    most = max((option.monthly for option in plan.options), default=Decimal(0)) or Decimal(1)
    scale = Decimal(WIDTH - 2 * LEFT - 60) / most
    rows = [_bars(option, TOP + number * (BAR + GAP), scale) for number, option in enumerate(plan.options)]
    height = TOP + len(rows) * (BAR + GAP) + 8
    title = f"{plan.hub} at AWS, US dollars a month"
    legend: list[str] = []
    x = LEFT
    for name in map(str, Kind):
        legend += [
            f'<rect class="{name}" x="{x}" y="44" width="12" height="12"/>',
            f'<text class="small" x="{x + 17}" y="54">{name}</text>',
        ]
        x += 110
    light = "".join(f".{name}{{fill:{colour}}}" for name, colour in _LIGHT.items())
    dark = "".join(f".{name}{{fill:{colour}}}" for name, colour in _DARK.items())
    style = (
        f"text{{font-family:sans-serif;fill:#222}}.name{{font-size:14px}}.small{{font-size:12px}}{light}"
        f"@media (prefers-color-scheme:dark){{text{{fill:#ddd}}{dark}}}"
    )
    said = f"{plan.prices.region}, list prices of {plan.prices.oldest}; arithmetic, not a deployment"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{_text(title)}</title>",
            f"<style>{style}</style>",
            f'<text class="name" x="{LEFT}" y="24">{_text(title)}</text>',
            f'<text class="small" x="{LEFT}" y="{height - 6}">{_text(said)}</text>',
            *legend,
            *(element for row in rows for element in row),
            "</svg>",
        ]
    )
