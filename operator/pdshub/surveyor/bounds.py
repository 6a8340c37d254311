"""How much memory a process for a task may take."""

from __future__ import annotations

from pathlib import Path

CGROUP = Path("/sys/fs/cgroup/memory.max")
OWN_MEMORY = 160 << 20
"""Bytes of the container's limit that a survey's process leaves to the others."""


def memory_bound(cgroup: Path = CGROUP) -> int:
    """Bytes for a survey's process: the container's limit without what the surveyor itself needs; 0 unbounded."""
    try:
        text = cgroup.read_text().strip()
    except OSError:
        return 0
    return max(OWN_MEMORY, int(text) - OWN_MEMORY) if text.isdecimal() else 0
