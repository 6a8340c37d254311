"""Steps in lanes: what runs beside what, with progress lines and a record of times.

A step belongs to a lane; a lane does one step after the other, lanes run side by side. A step starts when
the steps it needs are done. Steps must be declared after what they need, so nothing can wait in a circle.
"""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .console import say
from .run import StepFailed, log_to

HEARTBEAT = 15.0
"""Seconds between two lines about a step that goes on."""


@dataclass
class Step:
    """``do`` returns whether it had to work (cold) or found its result (warm); None: always the same work."""

    name: str
    lane: str
    do: Callable[[], bool | None]
    needs: tuple[str, ...] = ()
    seconds: float = 0.0
    built: bool | None = None
    error: str = ""
    done: threading.Event = field(default_factory=threading.Event)


class Ordered(Protocol):
    """What stands after what it needs: a step of hack/up, a part of hack/test."""

    @property
    def name(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...


def misplaced(items: Iterable[Ordered]) -> tuple[str, list[str]] | None:
    """The first item that stands twice or before what it needs: its name, and what is missing. None: all is well."""
    seen: set[str] = set()
    for item in items:
        missing = [need for need in item.needs if need not in seen]
        if missing or item.name in seen:
            return item.name, missing
        seen.add(item.name)
    return None


def check_order(steps: Iterable[Step]) -> None:
    """Raises ValueError unless every step is declared after what it needs and names are unique."""
    if wrong := misplaced(steps):
        raise ValueError(f"step {wrong[0]}: declared twice, or before what it needs: {wrong[1]}")


def run_steps(steps: list[Step], logs: Path) -> None:
    """Run all steps; raises StepFailed with every error when some failed.

    A step whose need failed is left out, and so is everything not yet begun once one has failed.
    """
    check_order(steps)
    by_name = {s.name: s for s in steps}
    failed = threading.Event()

    def lane(mine: list[Step]) -> None:
        for step in mine:
            for need in step.needs:
                by_name[need].done.wait()
            if not failed.is_set():
                _run_one(step, logs)
                if step.error:
                    failed.set()
            step.done.set()

    threads = [
        threading.Thread(target=lane, args=([s for s in steps if s.lane == name],), daemon=True)
        for name in dict.fromkeys(s.lane for s in steps)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    errors = [f"{s.name}: {s.error}" for s in steps if s.error]
    if errors:
        raise StepFailed("\n".join(errors))


def _run_one(step: Step, logs: Path) -> None:
    over = threading.Event()
    began = time.monotonic()

    def heartbeat() -> None:
        while not over.wait(HEARTBEAT):
            say(f"... {step.name} ({time.monotonic() - began:.0f} s)")

    beat = threading.Thread(target=heartbeat, daemon=True)
    beat.start()
    try:
        with log_to(logs / f"{step.name.replace(' ', '-')}.log"):
            step.built = step.do()
    except StepFailed as e:
        step.error = str(e)
    except Exception:
        step.error = traceback.format_exc()
    finally:
        over.set()
        step.seconds = time.monotonic() - began
    if step.error:
        say(f"FAILED {step.name}")
    elif step.built is not False or step.seconds >= 1:
        verb = "kept" if step.built is False else "done"
        say(f"{verb} {step.name} in {step.seconds:.1f} s")


WHOLE = "the whole"
"""Under this name stands what a run took from its first line to the hub, beside its steps."""


def record(steps: list[Step], file: Path, whole: Mapping[str, float] | None = None) -> dict[str, dict[str, float]]:
    """Merge this run's times into the JSON at ``file`` and return all of them; ``whole``: kind of run -> seconds.

    For each step: ``cold`` (seconds when it had to build), ``warm`` (when it found what it needs), or
    ``run`` (a step that does the same work every time).
    """
    known: dict[str, dict[str, float]] = {}
    if file.exists():
        try:
            known = json.loads(file.read_text())
        except ValueError:
            known = {}  # a figure file is never worth a failure
    for step in steps:
        if step.done.is_set() and not step.error and step.seconds:
            kind = {True: "cold", False: "warm", None: "run"}[step.built]
            known.setdefault(step.name, {})[kind] = round(step.seconds, 1)
    for kind, seconds in (whole or {}).items():
        if kind:
            known.setdefault(WHOLE, {})[kind] = round(seconds, 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(known, indent=1) + "\n")
    new.rename(file)
    return known


def table(steps: list[Step], known: dict[str, dict[str, float]]) -> str:
    """The times of ``steps`` as text: this run, and the last cold and warm time of each."""
    rows = [("step", "this run", "cold", "warm")]
    for step in steps:
        times = known.get(step.name, {})
        every = times.get("run")
        cold, warm = times.get("cold", every), times.get("warm", every)
        rows.append((step.name, f"{step.seconds:.1f} s", _seconds(cold), _seconds(warm)))
    width = max(len(r[0]) for r in rows)
    return "\n".join(f"  {r[0]:<{width}} {r[1]:>9} {r[2]:>9} {r[3]:>9}" for r in rows)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
