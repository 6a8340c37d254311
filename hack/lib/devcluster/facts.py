"""The facts file of a cluster: KEY=VALUE lines for tests and scripts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path


def write(file: Path, facts: Mapping[str, str]) -> None:
    """Write ``facts`` so that a shell can source them; the file is whole at every moment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text("".join(f"{k}={shlex.quote(v)}\n" for k, v in facts.items()))
    new.rename(file)


def read(file: Path) -> dict[str, str]:
    """What :func:`write` wrote; empty when there is no file."""
    if not file.exists():
        return {}
    pairs = (line.partition("=") for line in file.read_text().splitlines() if "=" in line)
    return {k: (shlex.split(v) or [""])[0] for k, _, v in pairs}
