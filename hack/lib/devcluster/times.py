"""What the parts of hack/test cost: read from JUnit XML, kept in the cache, written to docs/benchmarks/tests.md."""

from __future__ import annotations

import contextlib
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .figures import BENCHMARKS
from .parts import Ended, Part
from .settings import Paths

SHOWN = 10
"""So many of the slowest tests are named."""
PARTS = 20
"""So many of a part's slowest tests are kept."""


@dataclass(frozen=True)
class Test:
    """A test that ran: its id as pytest takes it, and the seconds of its set-up, call and tear-down."""

    name: str
    seconds: float


def kind_of_run(paths: Paths) -> str:
    """What a run that begins now is: ``warm`` with a cluster, ``cold`` with an empty cache, "" half way between."""
    if paths.env.exists():
        return "warm"
    return "" if paths.artefacts.exists() else "cold"


def tests(report: Path, root: Path) -> list[Test]:
    """The tests in a JUnit XML file, or in all of a directory; none when there is nothing, or nothing readable.

    ``root``: the directory that pytest ran in, by which files are told from classes.
    """
    found: list[Test] = []
    for file in sorted(report.glob("*.xml")) if report.is_dir() else [report]:
        try:
            cases = list(ET.parse(file).getroot().iter("testcase"))  # noqa: S314  # written by our own pytest
        except (OSError, ET.ParseError):
            continue
        found += [
            Test(_id(case.get("classname", ""), case.get("name", ""), root), float(case.get("time", 0)))
            for case in cases
        ]
    return found


def _id(classname: str, name: str, root: Path) -> str:
    """pytest's id of a test from JUnit's dotted names."""
    words = classname.split(".")
    for number in range(len(words), 0, -1):
        path = Path(*words[:number]).with_suffix(".py")
        if (root / path).is_file():
            return "::".join([str(path), *words[number:], name])
    return f"{classname}::{name}"


def slowest(parts: Iterable[Part], root: Path, count: int = SHOWN) -> list[Test]:
    """The slowest tests of all parts that have a report, the slowest first."""
    found = [test for part in parts if part.report for test in tests(part.report, root)]
    return sorted(found, key=lambda test: -test.seconds)[:count]


def lines(found: Iterable[Test]) -> list[str]:
    """One line a test: seconds and id."""
    return [f"{test.seconds:8.1f} s  {test.name}" for test in found]


def record_file(paths: Paths) -> Path:
    """Where the figures of hack/test are kept."""
    return paths.cache / "tests.json"


def record(paths: Paths, ended: Sequence[Ended], whole: Mapping[str, float], root: Path) -> None:
    """Keep what parts that did not fail have cost, and the whole by kind of run (``warm``, ``cold``), in seconds."""
    file, day = record_file(paths), f"{datetime.now(UTC):%Y-%m-%d}"
    known: dict[str, Any] = {"parts": {}, "whole": {}}
    if file.exists():
        with contextlib.suppress(ValueError):  # a figure file is never worth a failure
            known |= json.loads(file.read_text())
    for end in ended:
        if not end.failed:
            ran = tests(end.part.report, root) if end.part.report else []
            slow = sorted(ran, key=lambda test: -test.seconds)[:PARTS]
            known["parts"][end.part.name] = {
                "seconds": round(end.seconds, 1),
                "tests": len(ran),
                "date": day,
                "slowest": [[round(test.seconds, 1), test.name] for test in slow],
            }
    known["whole"] |= {kind: {"seconds": round(s, 1), "date": day} for kind, s in whole.items() if kind}
    new = file.with_suffix(".new")
    new.write_text(json.dumps(known, indent=1) + "\n")
    new.rename(file)


def page(known: Mapping[str, Any], machine: str) -> str:
    """The figures as a page of the manual."""
    rows = [
        f"| {name} | {part['tests'] or ''} | {part['seconds']:.0f} s | {part['date']} |"
        for name, part in known["parts"].items()
    ]
    rows += [
        f"| the whole, {kind} | | {figure['seconds']:.0f} s | {figure['date']} |"
        for kind, figure in known["whole"].items()
    ]
    every = sorted((row for part in known["parts"].values() for row in part["slowest"]), key=lambda row: -row[0])
    slow = [f"| {seconds:.1f} s | `{name}` |" for seconds, name in every[:SHOWN]]
    return "\n".join(
        [
            "# Figures of hack/test",
            "",
            "Written by `./hack/bench tests` from the record of the runs in the cache; raw data in tests.json.",
            f"{machine}. Parts run side by side (see [testing](../testing.md)), so their sum is more than the whole.",
            "",
            "| part | tests | time | measured |",
            "|---|---|---|---|",
            *rows,
            "",
            "The slowest tests, with set-up and tear-down:",
            "",
            "| time | test |",
            "|---|---|",
            *slow,
            "",
        ]
    )


def write(known: Mapping[str, Any], machine: str, folder: Path = BENCHMARKS) -> None:
    """docs/benchmarks/tests.json and tests.md."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tests.json").write_text(json.dumps({"machine": machine, **known}, indent=1) + "\n")
    (folder / "tests.md").write_text(page(known, machine))
