"""How long a move takes: steps with their seconds, from sizes and the speed of the line. Pure.

The hub stands still only between the fence and the new address; all that takes long is before. What is assumed is said.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from pdshub.aws_plan.usage import Figure, How

Json = dict[str, Any]
_SPEED = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kMGT]?)(bit/s|bps|B/s)")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
SHARE = 0.7
"""Of a line that others use, too."""
FILES_A_SECOND = Figure(200.0, How.ASSUMED, "16 at a time, over a line of some milliseconds")
COMPARED = Figure(150e6, How.ASSUMED, "bytes that one process reads and digests through a mount")
JOB = Figure(20.0, How.ASSUMED, "a Job for each home, whatever is in it")
READY = Figure(120.0, How.ASSUMED, "in a cluster that has its images")
AT_A_TIME = 3
"""Homes that are saved or brought back side by side (reconcile/hub/recovery)."""
WARN_SECONDS = 300.0
"""Between what people are told and the end of their servers."""
CHANGES = 0.02
"""Part of what is in homes that changes in a day."""


def speed(text: str) -> float:
    """Bytes a second of ``1Gbit/s``, ``100Mbit/s`` or ``50MB/s``. Raises ValueError."""
    found = _SPEED.fullmatch(text.strip())
    if not found or float(found[1]) <= 0:
        raise ValueError(f"{text!r} is no speed: write for example 1Gbit/s, 100Mbit/s or 50MB/s")
    return float(found[1]) * _UNITS[found[2]] / (1 if found[3] == "B/s" else 8)


@dataclass(frozen=True)
class Facts:
    """What the times come from. ``line``: bytes a second; ``ttl``: seconds of the name's record."""

    line: Figure
    share: Figure
    archive_bytes: Figure
    archive_files: Figure
    homes: Figure
    home_used: Figure
    changes: Figure
    """Part of homes that changes in a day."""
    ttl: Figure
    warn: Figure
    days: Figure
    """Between the first copy of homes and the move."""
    files_a_second: Figure = FILES_A_SECOND
    compared: Figure = COMPARED
    job: Figure = JOB
    ready: Figure = READY

    def figures(self) -> list[tuple[str, str, Figure]]:
        """Key, what it is in words, and the figure."""
        words = (
            ("line", "bytes a second of the line"),
            ("share", "part of the line that the copy has"),
            ("archive_bytes", "size of the archive"),
            ("archive_files", "files of the archive"),
            ("homes", "homes"),
            ("home_used", "used in homes"),
            ("changes", "part of homes that changes in a day"),
            ("days", "days between the last backup before and the move"),
            ("warn", "seconds between the warning and the end of servers"),
            ("ttl", "seconds for which the old address is remembered"),
            ("files_a_second", "small files that are copied in a second"),
            ("compared", "bytes that are compared in a second"),
            ("job", "seconds that each home takes beside its bytes"),
            ("ready", "seconds from a hub's manifest to Ready"),
        )
        return [(key, text, getattr(self, key)) for key, text in words]


@dataclass(frozen=True)
class Stage:
    """One step of a move. ``down``: nobody has a hub meanwhile. ``told``: what users are told before it."""

    key: str
    what: str
    seconds: float
    why: str
    down: bool = False
    told: str = ""


@dataclass(frozen=True)
class Moving:
    """A move: its steps in their order."""

    facts: Facts
    stages: list[Stage]

    @property
    def down(self) -> float:
        """Seconds without a hub."""
        return sum(stage.seconds for stage in self.stages if stage.down)

    @property
    def whole(self) -> float:
        """Seconds of all steps, one after the other."""
        return sum(stage.seconds for stage in self.stages)


def stages(facts: Facts) -> list[Stage]:
    """The steps with their times."""
    line = facts.line.value * facts.share.value
    archive, files = facts.archive_bytes.value, facts.archive_files.value
    rounds = math.ceil(facts.homes.whole / AT_A_TIME)
    changed = facts.home_used.value * min(1.0, facts.changes.value * facts.days.value)
    jobs, ready = rounds * facts.job.value, facts.ready.value
    return [
        Stage("archive", "the archive is copied", max(archive / line, files / facts.files_a_second.value),
              "bytes by the line, or files, whichever takes longer",
              told="nothing: nobody notices"),
        Stage("compare", "each of its files is compared, and the source is swapped", archive / facts.compared.value,
              "every byte is read once through the mount", told="nothing: notebooks go on"),
        Stage("homes", "homes are saved where the new cluster reads, for the first time",
              facts.home_used.value / line + jobs, "bytes by the line, and a Job for each",
              told="a week before: on which day the hub moves, that files stay, and that running kernels end"),
        Stage("rehearse", "the hub is recovered in the new cluster, without its name",
              ready + facts.home_used.value / line + jobs, "the hub, then bytes by the line, and a Job for each",
              told="a day before: the hour, and for how long"),
        Stage("warn", "people save their work", facts.warn.value, "the warning in JupyterLab",
              told="now: save your work, the hub ends in some minutes"),
        Stage("fence", "the old hub is fenced: servers stop, nobody signs in", 60.0, "a pod has 30 s to end", down=True,
              told="the page of the hub: it is moving, until when, and who to ask"),
        Stage("last", "what changed in homes is saved", changed / line + jobs,
              f"{facts.days.value:g} days of changes by the line, and a Job for each home", down=True),
        Stage("hub", "the hub comes up in the new cluster", ready, "from the manifest to Ready", down=True),
        Stage("name", "its name leads to the new address", facts.ttl.value, "as long as the old one is remembered",
              down=True, told="it is back: the same address, sign in as ever; files come one home after the other"),
        Stage("back", "the last home is back", facts.home_used.value / line + jobs,
              "bytes by the line, and a Job for each; who is told that their home returns waits for it alone"),
    ]  # fmt: skip


def make(facts: Facts) -> Moving:
    """The move."""
    return Moving(facts, stages(facts))


def duration(seconds: float) -> str:
    """Seconds for people, rounded up: 45 s, 12 min, 5 h, 3 days."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    if seconds < 90 * 60:
        return f"{math.ceil(seconds / 60)} min"
    if seconds < 48 * 3600:
        return f"{math.ceil(seconds / 360) / 10:g} h"
    return f"{math.ceil(seconds / 8640) / 10:g} days"


def advice(moving: Moving) -> list[str]:
    """What to know of a plan."""
    facts, found = moving.facts, []
    assumed = [words for _, words, figure in facts.figures() if figure.how is How.ASSUMED]
    if assumed:
        found.append(f"assumed, since nobody said: {'; '.join(assumed)}")
    if facts.ttl.value > 300:
        found.append("the name's record is remembered for long: set its time to live to 60 s two days before")
    by = {stage.key: stage.seconds for stage in moving.stages}
    if by["archive"] > 30 * 86_400:
        found.append(
            "the archive takes more than a month by this line: AWS sends disks (Snowball), or the archive stays"
        )
    if by["last"] > by["hub"] + by["name"]:
        found.append("most of the time without a hub is the last backup: save shortly before, and it is less")
    found.append("times are arithmetic on these figures; the rehearsal tells your own")
    return found


def as_json(hub: str, moving: Moving, notes: list[str]) -> Json:
    """The plan for programs."""
    return {
        "hub": hub,
        "figures": {
            key: {"value": figure.value, "how": str(figure.how), "why": figure.why}
            for key, _, figure in moving.facts.figures()
        },
        "stages": [
            {"key": s.key, "what": s.what, "seconds": math.ceil(s.seconds), "why": s.why, "down": s.down,
             "told": s.told or None}
            for s in moving.stages
        ],
        "secondsWithoutHub": math.ceil(moving.down),
        "secondsOfAll": math.ceil(moving.whole),
        "notes": [*advice(moving), *notes],
    }  # fmt: skip
