"""The helm that tests render charts with."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@functools.cache
def helm() -> str:
    """The helm that hack/up built, else that of this machine. Raises FileNotFoundError."""
    cache = Path(os.environ.get("PDSHUB_CACHE") or Path("~/.cache/pdshub").expanduser())
    for candidate in (ROOT / "build/bin/helm", cache / "bin/helm"):
        if candidate.exists():
            return str(candidate)
    if found := shutil.which("helm"):
        return found
    raise FileNotFoundError("helm is needed: hack/up builds it")
