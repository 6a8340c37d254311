"""Writing so that a crash leaves the old or the new, never a half."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def sync(path: Path) -> None:
    """Forces a file or a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Writes aside, forces to the disk, renames."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value, sort_keys=True) + "\n", encoding="ascii")
    sync(partial)
    partial.replace(path)
    sync(path.parent)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in the file; None when there is no such file, or it is damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
