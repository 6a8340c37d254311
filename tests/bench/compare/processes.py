"""Memory by what it is used for: processes of this machine, containers among them, and the group that each is in."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)
POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})")
UNIT = re.compile(r"/([\w@:.\\-]+\.service)(?:/|$)")


@dataclass(frozen=True)
class Process:
    """One of this machine's. ``memory``: its proportional share (Pss), in bytes; ``group``: where cgroups have it."""

    pid: int
    command: str
    group: str
    memory: int

    def inside(self, container: str) -> bool:
        """Whether it is in a container of this id."""
        return bool(container) and container in self.group

    @property
    def pod(self) -> str:
        """The uid of the pod that it is in, with dashes; empty where it is in none."""
        found = POD.search(self.group)
        return found[1].replace("_", "-") if found else ""

    @property
    def unit(self) -> str:
        """The unit of systemd that it is in; of nested ones the innermost."""
        found = UNIT.findall(self.group)
        return found[-1] if found else ""


def deepest(text: str) -> str:
    """The path in /proc/PID/cgroup that says most: hybrid hierarchies have some that are not divided."""
    paths = [line.split(":", 2)[2] for line in text.splitlines() if line.count(":") >= 2]
    return max(paths, key=len, default="")


def running(proc: Path = Path("/proc")) -> list[Process]:
    """Every process that has memory of its own; who ends meanwhile is left out."""
    found = []
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            shares = PSS.findall((folder / "smaps_rollup").read_text())
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            group = deepest((folder / "cgroup").read_text())
        except OSError:
            continue
        if shares:
            found.append(Process(int(folder.name), command, group, 1024 * sum(map(int, shares))))
    return found


def shared(every: Iterable[Process], part: Callable[[Process], str]) -> dict[str, int]:
    """Bytes of each part; a process whose part is "" counts nowhere."""
    found: dict[str, int] = defaultdict(int)
    for one in every:
        if name := part(one):
            found[name] += one.memory
    return dict(found)
