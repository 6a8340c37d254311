"""Reads every hostile label at its worst size under bounds of processor time and memory, as a program of its own:
``python -m tests.unit.archive.reads_hostile_labels``. Prints JSON: kind -> what came of it."""

from __future__ import annotations

import io
import json
import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from pdshub.archive import label_pds3, label_pds4
from pdshub.archive.label_error import LabelError
from tests.unit.archive.hostile_labels import PDS3, PDS4, Hostile

CPU_SECONDS = 120
"""For all of them: they take some seconds. One that is read in quadratic time takes more than all of this by itself."""
MEMORY = 1 << 30


def outcome(read: Callable[[BinaryIO], Any], raw: bytes) -> str:
    try:
        read(io.BytesIO(raw))
    except LabelError as error:
        return type(error).__name__
    return "read"


def main() -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    said: dict[str, str] = {}
    everything: list[tuple[str, Mapping[str, Hostile], Callable[[BinaryIO], Any], int]] = [
        ("PDS3", PDS3, label_pds3.read_volume, label_pds3.MAX_BYTES),
        ("PDS4", PDS4, label_pds4.read_label, label_pds4.MAX_LABEL_BYTES),
    ]
    for form, kinds, read, most in everything:
        for name, kind in kinds.items():
            said[f"{form}: {name}"] = outcome(read, kind.make(most - 400))
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
