"""Figures of hubs."""

from __future__ import annotations

from datetime import date
from importlib import resources

from pdshub.aws_plan.prices import Prices, load
from pdshub.aws_plan.usage import GIB, TIB, Figure, How, Usage

FILE = resources.files("pdshub.aws_plan").joinpath("prices.json").read_text(encoding="utf-8")
TODAY = date(2026, 11, 26)
SMALL: dict[str, float] = {
    "users": 40, "at_once": 10, "busy_hours": 176, "memory": 2 * GIB, "cores": 0.5, "largest_memory": 4 * GIB,
    "homes": 40, "home_bytes": 400 * GIB, "home_used": 120 * GIB, "archive_bytes": 10 * TIB, "archive_files": 1e6,
    "read_bytes": TIB, "egress_bytes": 80 * GIB, "surveys": 730,
}  # fmt: skip


def usage(**changed: float) -> Usage:
    """A small node's hub, but for what is changed."""
    return Usage(**{key: Figure(float(value), How.GIVEN, "a test") for key, value in {**SMALL, **changed}.items()})


def prices(region: str = "us-east-1") -> Prices:
    """The file that the plugin carries."""
    return load(FILE, region)
