"""What the operator remembers of a hub's drills, from ConfigMap ``<hub>-drills``. Pure; nothing in it is trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.cli.backup_status import number, text

Json = Mapping[str, Any]
SUFFIX, FILE = "-drills", "drill.json"
LARGEST, MOST_STAGES = 1 << 20, 500


@dataclass(frozen=True)
class Verdict:
    """How a drill ended. Times in seconds; 0 where nothing was measured."""

    at: str
    ok: bool
    reason: str
    message: str
    recovery_seconds: float
    age_seconds: float

    def wire(self) -> dict[str, Any]:
        """The same for programs. Keys are always the same."""
        return {
            "at": self.at,
            "ok": self.ok,
            "reason": self.reason,
            "message": self.message,
            "recoverySeconds": self.recovery_seconds,
            "ageSeconds": self.age_seconds,
        }


@dataclass(frozen=True)
class Stage:
    """One thing that a drill does, in one Job."""

    kind: str
    item: str
    phase: str
    message: str
    seconds: float
    """From the Job's making to its answer."""
    restore_seconds: float
    """Of the restore alone, as the Job measured it."""
    files: int
    size_bytes: int

    def wire(self) -> dict[str, Any]:
        """The same for programs. Keys are always the same."""
        return {
            "kind": self.kind,
            "item": self.item,
            "phase": self.phase,
            "message": self.message,
            "seconds": self.seconds,
            "restoreSeconds": self.restore_seconds,
            "files": self.files,
            "sizeBytes": self.size_bytes,
        }


@dataclass(frozen=True)
class Drills:
    """The drills of a hub: how many, the newest, the last that found all well."""

    number: int = 0
    started: str = ""
    running: bool = False
    last: Verdict | None = None
    good: Verdict | None = None
    stages: list[Stage] = field(default_factory=list)
    suspects: list[str] = field(default_factory=list)
    """Items that did not come back as they were saved, and are taken again by each drill."""

    def wire(self) -> dict[str, Any]:
        """The same for programs. Keys are always the same."""
        return {
            "number": self.number,
            "started": self.started or None,
            "running": self.running,
            "last": self.last.wire() if self.last else None,
            "good": self.good.wire() if self.good else None,
            "stages": [stage.wire() for stage in self.stages],
            "suspects": self.suspects,
        }


def read(config_map: Json) -> Drills:
    """The drills that a ConfigMap holds; none where it holds nothing that can be read."""
    packed = (config_map.get("data") or {}).get(FILE)
    if not isinstance(packed, str) or len(packed) > LARGEST:
        return Drills()
    try:
        found = json.loads(packed)
    except (ValueError, RecursionError):
        return Drills()
    if not isinstance(found, Mapping):
        return Drills()
    return Drills(
        number=number(found, "number"),
        started=text(found, "started"),
        running=found.get("running") is True,
        last=_verdict(found.get("last")),
        good=_verdict(found.get("good")),
        stages=[_stage(one) for one in _listed(found, "stages") if isinstance(one, Mapping)],
        suspects=[one for one in _listed(found, "suspects") if isinstance(one, str)],
    )


def _listed(found: Json, key: str) -> list[Any]:
    held = found.get(key)
    return held[:MOST_STAGES] if isinstance(held, list) else []


def _verdict(found: Any) -> Verdict | None:
    if not isinstance(found, Mapping) or not text(found, "at"):
        return None
    return Verdict(
        at=text(found, "at"),
        ok=found.get("ok") is True,
        reason=text(found, "reason"),
        message=text(found, "message"),
        recovery_seconds=_seconds(found, "recoverySeconds"),
        age_seconds=_seconds(found, "ageSeconds"),
    )


def _stage(found: Json) -> Stage:
    return Stage(
        kind=text(found, "kind"),
        item=text(found, "item"),
        phase=text(found, "phase") or "Pending",
        message=text(found, "message"),
        seconds=_seconds(found, "seconds"),
        restore_seconds=_seconds(found, "restoreSeconds"),
        files=number(found, "files"),
        size_bytes=number(found, "sizeBytes"),
    )


def _seconds(found: Json, key: str) -> float:
    value = found.get(key)
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e10
    return float(value) if good and value is not None else 0.0
