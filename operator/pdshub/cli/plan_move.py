"""``kubectl pdshub plan move``: how long a move to another cluster takes, how long without a hub, who is told what."""

from __future__ import annotations

import argparse
from typing import Any

from pdshub.aws_plan import moving, words
from pdshub.aws_plan.moving import Facts, Moving
from pdshub.aws_plan.usage import Figure, How
from pdshub.cli import hub_choice, plan_read
from pdshub.cli.archive import Said
from pdshub.cli.hub_choice import key
from pdshub.cli.kubectl import Kubectl

Json = dict[str, Any]
TTL, DAYS = 300.0, 1.0
TEXT = "how long a move to another cluster takes, from sizes and the speed of the line; nothing is changed"
BYTES = ("archive_bytes", "home_used", "line", "compared")
OF_AWS = ("at_once", "busy_hours", "memory", "cores", "reads", "egress", "prometheus")
"""Figures of ``plan aws`` that no time comes from."""


def line(text: str) -> float:
    """Bytes a second. Raises argparse.ArgumentTypeError."""
    try:
        return moving.speed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def part(text: str) -> float:
    """A part of 1, as 0.7 or 70%. Raises argparse.ArgumentTypeError."""
    try:
        found = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        found = 0.0
    if not 0 < found <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}: write a part of all, as 0.7 or 70%")
    return found


def seconds(text: str) -> float:
    """Seconds, 0 or more. Raises argparse.ArgumentTypeError."""
    if not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return float(text)


def arguments(sub: argparse.ArgumentParser, amount: Any, count: Any) -> None:
    """The command line of ``plan move``. ``amount``, ``count``: readers of bytes, and of numbers above 0."""
    hub_choice.arguments(sub)
    sub.add_argument("--line", type=line, required=True, metavar="SPEED", help="between both, as 1Gbit/s or 50MB/s")
    sub.add_argument("--share", type=part, default=None, metavar="PART", help="of the line that copies have (70%%)")
    sub.add_argument("--changes", type=part, default=None, metavar="PART", help="of homes that changes in a day (2%%)")
    sub.add_argument("--days", type=count, default=None, metavar="N", help="since the last backup before the move (1)")
    sub.add_argument("--ttl", type=seconds, default=None, metavar="SECONDS", help="of the name's record (300)")
    sub.add_argument("--warn", type=seconds, default=None, metavar="SECONDS", help="before servers end (300)")
    sub.add_argument("--archive-bytes", type=amount, default=None, metavar="SIZE", help="default: what users see")
    sub.add_argument("--archive-files", type=count, default=None, metavar="N", help="default: what users see")
    sub.set_defaults(run=move, **dict.fromkeys(OF_AWS))


def _figure(given: float | None, flag: str, assumed: float, why: str) -> Figure:
    return Figure(assumed, How.ASSUMED, why) if given is None else Figure(given, How.GIVEN, flag)


def facts(kubectl: Kubectl, hub: Json, args: argparse.Namespace) -> tuple[Facts, list[str]]:
    """The figures of a hub, and what could not be read. Raises KubectlError."""
    usage, notes = plan_read.read(kubectl, hub, args)
    return Facts(
        line=Figure(args.line, How.GIVEN, "--line"),
        share=_figure(args.share, "--share", moving.SHARE, "others use the line, too"),
        archive_bytes=usage.archive_bytes,
        archive_files=usage.archive_files,
        homes=usage.homes,
        home_used=usage.home_used,
        changes=_figure(args.changes, "--changes", moving.CHANGES, "2 % of what is in homes"),
        ttl=_figure(args.ttl, "--ttl", TTL, "five minutes"),
        warn=_figure(args.warn, "--warn", moving.WARN_SECONDS, "five minutes"),
        days=_figure(args.days, "--days", DAYS, "a backup each day"),
    ), notes  # fmt: skip


def page(hub: str, made: Moving, notes: list[str]) -> str:
    """The plan for people."""
    lines = [
        f"# The move of {words.plain(hub)}", "",
        f"**{moving.duration(made.down)} without a hub**; {moving.duration(made.whole)} for all, step by step.",
        "", "| step | takes | a hub | why | users are told |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for number, stage in enumerate(made.stages, 1):
        hubs = "**none**" if stage.down else "yes"
        lines.append(
            f"| {number}. {stage.what} | {moving.duration(stage.seconds)} | {hubs} | {stage.why} | {stage.told or ''} |"
        )
    lines += ["", "## Figures", "", "| figure | is | how it is known |", "|---|---|---|"]
    for name, text, figure in made.facts.figures():
        shown = words.size(figure.value) if name in BYTES else words.number(figure.value)
        lines.append(f"| {text} | {shown} | {figure.how}: {words.plain(figure.why)} |")
    lines += ["", *(f"- {words.plain(note)}" for note in (*moving.advice(made), *notes))]
    return "\n".join(lines)


def move(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Answers ``plan move``. Raises UseError, KubectlError."""
    hub = hub_choice.one(kubectl, args)
    found, notes = facts(kubectl, hub, args)
    made, name = moving.make(found), "/".join(key(hub))
    return moving.as_json(name, made, notes), page(name, made, notes), 0
