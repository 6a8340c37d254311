"""Figures that tests measure by the way, kept beside the cluster's cache for ``./hack/bench walls``."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def record_file() -> Path:
    """Where they are kept: no part of the project."""
    return Path(os.environ.get("PDSHUB_CACHE") or Path("~/.cache/pdshub").expanduser()) / "walls.json"


def known(file: Path | None = None) -> dict[str, Any]:
    """What was kept; empty where there is nothing, or nothing that can be read."""
    try:
        found = json.loads((file or record_file()).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def keep(subject: str, name: str, value: Any, file: Path | None = None) -> None:
    """Keep the last value of a figure with today's date; a figure is never worth a failure."""
    target = file or record_file()
    figures = known(target)
    figures.setdefault(subject, {})[name] = {"value": value, "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    try:
        new = target.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(figures, indent=1) + "\n")
        new.rename(target)
    except OSError:
        return
