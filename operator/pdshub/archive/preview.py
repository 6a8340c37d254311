"""What a view with another tree or other rules would show, decided on what the last survey read: nothing is walked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pdshub.archive import record
from pdshub.archive.datasets import BROKEN, QUARANTINED, Facts
from pdshub.archive.decided import view_of
from pdshub.archive.diff import diff
from pdshub.archive.findings import Finding, Findings
from pdshub.archive.label_error import LabelError, TooCostly
from pdshub.archive.live import diff_from_live
from pdshub.archive.plan import open_plan
from pdshub.archive.survey import planned
from pdshub.archive.view import SurveyedView
from pdshub.archive.walk import Scan

Json = dict[str, Any]
Say = Callable[[str], None]


class NeedsSurvey(Exception):
    """The record does not hold what the view asks for; the text says what is missing."""


class _Known:
    """Labels that a survey has opened; there is no other way to one. ``broken``: what it said of those that it could
    not read, by ``source:path``."""

    def __init__(self, labels: record.Labels, broken: Mapping[str, LabelError]) -> None:
        self._labels, self._broken = labels, broken

    def opener(self, source: str) -> Callable[[str, str, int, int], Facts]:
        def open_label(directory: str, name: str, size: int, mtime: int) -> Facts:
            path = f"{directory}/{name}" if directory else name
            known = self._labels.get((source, path))
            if known is None and f"{source}:{path}" in self._broken:
                raise self._broken[f"{source}:{path}"]
            if known is None or known[:2] != (size, mtime):
                raise NeedsSurvey(f"the label {source}:{path} was not opened by the last survey")
            if isinstance(known[-1], record.Quarantined):
                raise TooCostly(str(known[-1]))
            if isinstance(known[-1], str):
                raise LabelError(known[-1])
            return known[-1]

        return open_label


def preview(
    newest: Path, against: Path | None, view: SurveyedView, work: Path, limit: int = 1000, say: Say = lambda text: None
) -> Json:
    """Plans ``view`` on the record of the generation ``newest`` and compares with the generation ``against``, or with
    the sources live where that is None.

    ``files`` and ``datasets`` as ``diff`` says them, against ``against``; ``alone``: the numbers of what the view
    itself changes, against its present spec on the same record; ``findings``: those that it brings and ends. What is
    still settling stays as it is. ``work``: an empty directory for two plans. Raises NeedsSurvey where the record does
    not hold what the view asks for, PlanError, OSError.
    """
    say("reading what the last survey read")
    try:
        scans, labels = record.read_record(newest / record.FILE)
    except ValueError as error:
        raise NeedsSurvey(str(error)) from None
    plan = open_plan(newest)
    present = view_of(plan.header)
    kinds = {BROKEN: LabelError, QUARANTINED: TooCostly}
    broken = {
        path: kinds[f["kind"]](f["message"]) for f in plan.tail["findings"] if f["kind"] in kinds for path in f["paths"]
    }
    _check(view, present, scans)
    found: list[list[Finding]] = []
    for name, each, read in (
        ("present", present, scans),
        ("wanted", view, _excluded(scans, view, present)),
    ):
        say(f"deciding for {sum(len(s.dirs) for s in read.values())} directories")
        (work / name).mkdir()
        findings = Findings()
        counts = planned(each, read, _Known(labels, broken), findings, work / name)
        found.append(findings.sorted())
    wanted = work / "wanted"
    answer = diff_from_live(newest, limit, say, wanted) if against is None else diff(against, wanted, limit, say)
    alone = diff(work / "present", work / "wanted", 0, say)
    before, after = (set(each) for each in found)
    return {
        **answer,
        "counts": counts,
        "alone": {
            "datasets": {kind: len(items) for kind, items in alone["datasets"].items()},
            "files": {kind: item["count"] for kind, item in alone["files"].items()},
        },
        "findings": {
            "new": [f.wire() for f in found[1] if f not in before],
            "gone": [f.wire() for f in found[0] if f not in after],
        },
    }


def _check(view: SurveyedView, present: SurveyedView, scans: Mapping[str, Scan]) -> None:
    """Raises NeedsSurvey where the record can not hold what the view's layers ask for."""
    for layer in view.layers:
        read = [la for la in present.layers if la.source == layer.source and la.holds(layer.path)]
        if layer.source not in scans or not read:
            raise NeedsSurvey(f"{layer.source}:{layer.path or '.'} was not read by the last survey")
    if entered := sorted(set(present.authority.exclude) - set(view.authority.exclude)):
        raise NeedsSurvey(f"directories called {', '.join(entered)} were not entered by the last survey")


def _excluded(scans: Mapping[str, Scan], view: SurveyedView, present: SurveyedView) -> dict[str, Scan]:
    """The scans without directories whose names are excluded from now on."""
    names = set(view.authority.exclude) - set(present.authority.exclude)
    if not names:
        return dict(scans)
    result = {}
    for source, scan in scans.items():
        tops = {layer.path for layer in view.layers if layer.source == source}
        gone: set[str] = set()
        kept = {}
        for path, directory in scan.dirs.items():
            above, _, name = path.rpartition("/")
            if path not in tops and (name in names or above in gone):
                gone.add(path)
            else:
                dirs = tuple(d for d in directory.dirs if d not in names)
                kept[path] = replace(directory, dirs=dirs)
        result[source] = replace(scan, dirs=kept)
    return result
