"""``kubectl pdshub plan aws``: what a running hub would need and cost at AWS, and what else it could be there."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from pdshub.aws_plan import alternatives, picture, plan, prices, words
from pdshub.aws_plan.prices import PriceError
from pdshub.cli import hub_choice, plan_move, plan_peaks, plan_read, terminal
from pdshub.cli.archive import CliError, Said
from pdshub.cli.census import quantity
from pdshub.cli.hub_choice import key
from pdshub.cli.kubectl import Kubectl

REGION = "us-east-1"


def amount(text: str) -> float:
    """Bytes of a quantity as Kubernetes writes them. Raises argparse.ArgumentTypeError."""
    found = quantity(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount: write for example 40Ti, 500Gi or 200M")
    return float(found)


def count(text: str) -> float:
    """A number above 0. Raises argparse.ArgumentTypeError."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not (math.isfinite(found) and 0 < found < 1e12):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return found


def arguments(areas: Any, common: Callable[[], argparse.ArgumentParser]) -> None:
    """The command line of ``plan``. ``areas``: where commands are added; ``common``: options that every one has."""
    commands = areas.add_parser(
        "plan", help="what a hub would need and cost elsewhere, and how long a move takes"
    ).add_subparsers(dest="command", required=True, metavar="COMMAND")
    text = "sizing and monthly cost of a running hub at AWS, and four ways compared; nothing is changed or asked of AWS"
    sub = commands.add_parser("aws", parents=[common()], help=text, description=text)
    hub_choice.arguments(sub)
    sub.add_argument("--region", default=REGION, help=f"a region of the price file (default {REGION})")
    sub.add_argument(
        "--archive", choices=alternatives.ARCHIVES, default="s3", help="where the archive lies at AWS (default s3)"
    )
    sub.add_argument("--at-once", type=count, default=None, metavar="N", help="servers at the busiest time")
    sub.add_argument("--busy-hours", type=count, default=None, metavar="N", help="hours a month at which so many run")
    sub.add_argument("--memory", type=amount, default=None, metavar="SIZE", help="memory of a server at its peak")
    sub.add_argument("--cores", type=count, default=None, metavar="N", help="cores of a server whose user works")
    sub.add_argument("--reads", type=amount, default=None, metavar="SIZE", help="read of the archive in a month")
    sub.add_argument("--egress", type=amount, default=None, metavar="SIZE", help="out to the internet in a month")
    sub.add_argument("--archive-bytes", type=amount, default=None, metavar="SIZE", help="default: what users see")
    sub.add_argument("--archive-files", type=count, default=None, metavar="N", help="default: what users see")
    sub.add_argument(
        "--prometheus", type=plan_peaks.prometheus, default=None, metavar="NAMESPACE/SERVICE:PORT",
        help="peaks of 30 days from here (default: what the kubelets say at this moment)",
    )  # fmt: skip
    sub.add_argument("--prices", default="", metavar="FILE", help="default: the file that the plugin carries")
    sub.add_argument(
        "--directory", default="", metavar="DIR", help="also write plan.md, plan.json and plan.svg into DIR"
    )
    sub.set_defaults(run=aws)
    sub = commands.add_parser("move", parents=[common()], help=plan_move.TEXT, description=plan_move.TEXT)
    plan_move.arguments(sub, amount, count)


def price_file(name: str) -> str:
    """The text of a price file, or of the one beside the code. Raises CliError."""
    try:
        if name:
            return Path(name).read_text(encoding="utf-8")
        return resources.files("pdshub.aws_plan").joinpath(prices.NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise CliError(f"{name or prices.NAME}: {getattr(error, 'strerror', None) or error}") from None


def today() -> date:
    """The day, in UTC."""
    return datetime.now(UTC).date()


def aws(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Answers ``plan aws``. Raises UseError, KubectlError, CliError."""
    hub = hub_choice.one(kubectl, args)
    try:
        known = prices.load(price_file(args.prices), args.region)
        usage, notes = plan_read.read(kubectl, hub, args)
        made = plan.make("/".join(key(hub)), usage, known, today(), args.archive, tuple(notes))
    except PriceError as error:
        raise CliError(str(error)) from None
    answer, page = plan.as_json(made), words.markdown(made)
    if args.directory:
        texts = {
            "plan.md": page + "\n",
            "plan.json": json.dumps(answer, indent=1) + "\n",
            "plan.svg": picture.svg(made) + "\n",
        }
        _write(Path(args.directory), texts)
    return answer, page, 0


def _write(folder: Path, texts: dict[str, str]) -> None:
    """Writes the files. Raises CliError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            shown = "\n".join(terminal.safe(line) for line in text.split("\n"))
            (folder / name).write_text(shown, encoding="utf-8")
    except OSError as error:
        raise CliError(f"{error.filename}: {error.strerror}") from None
