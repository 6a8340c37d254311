"""NFS calls and bytes of one mount, from /proc/self/mountstats."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_OP = re.compile(r"^\s+([A-Z_0-9]+): (\d+) ")


@dataclass(frozen=True)
class Traffic:
    """Since the mount was made."""

    calls: Counter[str]
    """Operation -> calls."""
    bytes_read: int
    """From the server, in answers to READ."""

    def since(self, before: Traffic) -> Traffic:
        return Traffic(self.calls - before.calls, self.bytes_read - before.bytes_read)

    @property
    def reads(self) -> int:
        return self.calls["READ"] + self.calls["READ_PLUS"]

    @property
    def total(self) -> int:
        return self.calls.total()


def parse(text: str, point: str) -> Traffic:
    """The part of ``text`` about the mount at ``point``. Raises LookupError."""
    for block in text.split("\ndevice "):
        head, _, rest = block.partition("\n")
        if f" mounted on {point} with fstype nfs" not in head:
            continue
        found = re.search(r"^\s*bytes:\s+(.+)$", rest, re.M)
        operations = rest.partition("per-op statistics")[2]
        calls = {m[1]: int(m[2]) for line in operations.splitlines() if (m := _OP.match(line)) and int(m[2])}
        return Traffic(Counter(calls), int(found[1].split()[4]) if found else 0)
    raise LookupError(f"{point} is no NFS mount")


def traffic(point: Path) -> Traffic:
    return parse(Path("/proc/self/mountstats").read_text(), str(point))
