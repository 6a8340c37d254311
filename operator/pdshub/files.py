"""Small files that are replaced whole: written aside and renamed, so that a reader meets the old or the new.

That holds when the writer dies. ``durable`` says whether it also holds when the machine does: the content is forced
to the disk before the name is, and the name before the call returns. It costs two waits for the disk; without it a
file may be empty or of yesterday after a power failure, which is right for what is made again or only saves work.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def sync(path: Path) -> None:
    """Forces a file or a directory to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def partial(path: Path) -> Path:
    """Where a file is written before it has its name; a crash may leave it."""
    return path.with_name(f".{path.name}.partial")


def write_text(path: Path, text: str, *, durable: bool, mode: int | None = None) -> None:
    """Replaces a file. ``mode``: its permissions, whatever the umask. Raises OSError."""
    new = partial(path)
    new.write_text(text, encoding="utf-8")
    if mode is not None:
        new.chmod(mode)
    if durable:
        sync(new)
    new.replace(path)
    if durable:
        sync(path.parent)


def write_json(path: Path, value: Any, *, durable: bool) -> None:
    """Replaces a file by one JSON document; equal values give equal bytes. Raises OSError."""
    write_text(path, json.dumps(value, sort_keys=True) + "\n", durable=durable)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in the file; None when there is no such file, or it is damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
