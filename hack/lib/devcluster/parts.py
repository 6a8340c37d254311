"""Parts of hack/test: commands that run side by side, each with a log of its own that is printed whole when it ends.

A part belongs to a lane; a lane runs one part after the other, lanes run side by side. Unlike the steps of hack/up,
a part that fails stops nothing: every later part runs too, and the failures are named at the end.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .steps import misplaced

ANY_CODE = tuple(range(-64, 256))
"""The exit codes of a part that only reports, for :attr:`Part.fine`: a signal that ended it is less than 0."""
HEARTBEAT = 60.0
"""Seconds between two lines that say what goes on."""


@dataclass(frozen=True)
class Part:
    """A command of hack/test.

    ``needs``: names of parts that must have ended before, whatever came of them. ``report``: where the command writes
    its JUnit XML; None when it runs no tests. ``fine``: its exit codes that are no failure.
    """

    name: str
    lane: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    report: Path | None = None
    fine: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Ended:
    """A part that has run: its exit code, the seconds it took, and what it printed."""

    part: Part
    code: int
    seconds: float
    log: Path

    @property
    def failed(self) -> bool:
        """Whether its exit code is a failure."""
        return self.code not in self.part.fine


@dataclass
class _Board:
    """What goes on, and the right to print."""

    quiet: threading.Lock = field(default_factory=threading.Lock)
    running: dict[str, float] = field(default_factory=dict)  # name -> when it began
    ended: dict[str, Ended] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, part: Part, logs: Path, cwd: Path, environ: Mapping[str, str]) -> None:
        """Run a part and print everything that it printed."""
        with self.quiet:
            self.running[part.name] = time.monotonic()
        end = _run(part, logs, cwd, environ)
        with self.quiet:
            del self.running[part.name]
            self.ended[part.name] = end
            said = end.log.read_text(errors="replace")
            print(f"== {part.name}")
            print(said, end="" if said.endswith("\n") or not said else "\n")
            word = f"FAILED: {part.name} (exit code {end.code})" if end.failed else "ok"
            print(f"   {word}, {end.seconds:.0f} s", flush=True)

    def beat(self) -> None:
        """Say every :data:`HEARTBEAT` seconds what goes on, until everything is over."""
        while not self.over.wait(HEARTBEAT):
            with self.quiet:
                now = time.monotonic()
                print("   ... " + ", ".join(f"{n} ({now - t:.0f} s)" for n, t in self.running.items()), flush=True)


def check_order(parts: Iterable[Part]) -> None:
    """Raises ValueError unless every part stands after what it needs and names are unique."""
    if wrong := misplaced(parts):
        raise ValueError(f"part {wrong[0]}: named twice, or before what it needs: {wrong[1]}")


def run_parts(parts: Sequence[Part], logs: Path, cwd: Path, environ: Mapping[str, str]) -> list[Ended]:
    """Run all parts in ``cwd``; returns how each ended, in the order of ``parts``.

    Each prints to ``logs/test-NAME.log``, which is printed whole when the part ends.
    """
    check_order(parts)
    logs.mkdir(parents=True, exist_ok=True)
    board, done = _Board(), {part.name: threading.Event() for part in parts}

    def lane(mine: Sequence[Part]) -> None:
        for part in mine:
            for need in part.needs:
                done[need].wait()
            try:
                board.run(part, logs, cwd, environ)
            finally:
                done[part.name].set()

    lanes = {part.lane: [p for p in parts if p.lane == part.lane] for part in parts}
    threads = [threading.Thread(target=lane, args=(mine,), daemon=True) for mine in lanes.values()]
    beat = threading.Thread(target=board.beat, daemon=True)
    for thread in (beat, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    board.over.set()
    beat.join()
    return [board.ended[part.name] for part in parts]


def _run(part: Part, logs: Path, cwd: Path, environ: Mapping[str, str]) -> Ended:
    log = logs / f"test-{'-'.join(part.name.replace('/', ' ').split())}.log"
    began = time.monotonic()
    with log.open("wb") as out:
        try:
            done = subprocess.run(
                part.command,
                cwd=cwd,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
            code = done.returncode
        except OSError as error:
            out.write(f"{part.command[0]}: {error.strerror}\n".encode())
            code = 127
    return Ended(part, code, time.monotonic() - began, log)
