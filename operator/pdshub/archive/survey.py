"""One survey: walk, find datasets, decide, merge, write. The edge between the pure parts and the disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pdshub.archive import entries, record
from pdshub.archive import plan as plans
from pdshub.archive.authority import decide
from pdshub.archive.datasets import Dataset, LayerDatasets, OpenLabel, discover
from pdshub.archive.decision import Decision
from pdshub.archive.file_system import FileSystem, LocalFileSystem
from pdshub.archive.findings import Findings, as_text
from pdshub.archive.hollow import drop_hollow
from pdshub.archive.labels import LabelReader
from pdshub.archive.layering import common_directory, data_order, data_roots
from pdshub.archive.merge import Merger, VisibleDir
from pdshub.archive.placement import Placement, contributions, with_parents
from pdshub.archive.refs import declared_paths
from pdshub.archive.settle import hold_back
from pdshub.archive.view import SurveyedView
from pdshub.archive.walk import RACY_NS, Counters, DirRecord, Scan, SourceError, scan

LABEL_BUDGET = 1000  # labels that may be opened for their company alone, or one in 200 files if that is more


class Lister(Protocol):
    """A source that has no directories to be walked."""

    def scan(
        self,
        tops: Collection[str],
        previous: Scan | None,
        exclude: Collection[str],
        findings: Findings,
        progress: Callable[[int], None],
    ) -> Scan:
        """The directories ``tops`` with all below them. Raises SourceError."""


@dataclass(slots=True)
class Options:
    """How to survey, apart from what the view says. Times in nanoseconds since 1970."""

    now_ns: int
    workers: int = 8
    settle_seconds: int | None = None
    restat: Callable[[str], bool] = lambda path: False
    racy_ns: int = RACY_NS
    """A directory that had changed this shortly before it was read is read again by the next survey."""
    progress: Callable[[str], None] = lambda text: None
    fs: FileSystem | None = None
    """The sources' file system; None: this machine's, below the sources' directories."""
    listed: Mapping[str, Lister] = field(default_factory=dict)
    """Sources that are listed instead of walked, by name."""


@dataclass(slots=True)
class Result:
    """What a survey found and what it cost."""

    counts: dict[str, Any]
    counters: Counters
    findings: Findings
    held_back: int
    previous_files: int | None = None
    doubted: bool = False
    """Some of what is held back is in doubt: a survey decides that begins more than ``racy_ns`` later."""


class Openers(Protocol):
    """Opens dataset labels of a source, or knows what they say."""

    def opener(self, source: str) -> OpenLabel:
        """The function that answers for labels of one source."""


def survey(
    view: SurveyedView, roots: Mapping[str, Path], out: Path, options: Options, previous: Path | None = None
) -> Result:
    """Surveys the view's sources (``roots``: name -> directory) and writes plan, findings and record to ``out``.

    Raises SourceError when a source can't be read as a whole. ``previous`` is the former generation's directory.
    """
    findings = Findings()
    old_scans, old_labels = _previous(previous, findings)
    counters = Counters()
    fs = options.fs or LocalFileSystem(map(str, roots.values()))
    scans: dict[str, Scan] = {}
    for source in view.sources:
        tops = [layer.path for layer in view.layers if layer.source == source]
        if not tops:
            continue
        if source not in roots:
            raise SourceError(f"source {source}: no directory given")
        options.progress(f"reading {source}")
        if source in options.listed:
            scans[source] = options.listed[source].scan(
                tops, old_scans.get(source), view.authority.exclude, findings, _entries(options)
            )
        else:
            scans[source] = scan(
                source,
                str(roots[source]),
                tops,
                previous=old_scans.get(source),
                workers=options.workers,
                exclude=view.authority.exclude,
                restat=options.restat,
                racy_ns=options.racy_ns,
                progress=_entries(options),
                fs=fs,
            )
        for name, value in asdict(scans[source].counters).items():
            setattr(counters, name, getattr(counters, name) + value)
    _missing(view, scans, findings)
    read, seen = {name: dict(found.dirs) for name, found in scans.items()}, entries.look(view, scans)
    labels = LabelReader(roots, fs, counters, old_labels, scans, old_scans, options.racy_ns, options.progress)
    settle = view.authority.settle_seconds if options.settle_seconds is None else options.settle_seconds
    doubted = any(directory.doubted for scanned in scans.values() for directory in scanned.dirs.values())
    hold = settle > 0 or doubted
    found, datasets = _discover(view, scans, labels, Findings() if hold else findings)
    held = 0
    if hold:
        held = hold_back(found, datasets, scans, old_scans, options.now_ns, settle * 10**9, findings)
        found, datasets = _discover(view, scans, labels, findings)
    said = entries.report(view, seen, entries.look(view, scans), findings)
    options.progress(f"{len(datasets)} datasets")
    decisions = decide(datasets, view.authority, view.sources, findings)
    counts = _write(view, scans, found, datasets, decisions, findings, said, out)
    (out / "findings.txt").write_text(as_text(findings.sorted()), encoding="utf-8")
    options.progress("writing the record")
    record.write_record(out / record.FILE, scans, labels.known())
    record.write_record(out / record.HELD, {name: _held(found, read[name]) for name, found in scans.items()}, {})
    before = (
        plans.open_plan(previous).tail["counts"]["files"] if previous and (previous / plans.FILE).exists() else None
    )
    return Result(counts, counters, findings, held, before, doubted)


def _entries(options: Options) -> Callable[[int], None]:
    return lambda n: options.progress(f"{n} entries")


def planned(
    view: SurveyedView, scans: dict[str, Scan], labels: Openers, findings: Findings, out: Path
) -> dict[str, Any]:
    """Decides on what a survey has read and writes the plan to ``out``; returns its counts."""
    _missing(view, scans, findings)
    found, datasets = _discover(view, scans, labels, findings)
    seen = entries.look(view, scans)
    said = entries.report(view, seen, seen, findings)
    decisions = decide(datasets, view.authority, view.sources, findings)
    return _write(view, scans, found, datasets, decisions, findings, said, out)


def _missing(view: SurveyedView, scans: Mapping[str, Scan], findings: Findings) -> None:
    for layer in view.layers:
        if layer.path not in scans[layer.source].dirs:
            findings.add(
                "error",
                "layer-missing",
                f"{layer.tree or '.'}: {layer.source} has no directory {layer.path or '.'}",
            )


def _held(scan: Scan, read: Mapping[str, DirRecord]) -> Scan:
    """Directories as they were read, where the survey went on with another state of them."""
    changed = {path: found for path, found in read.items() if scan.dirs.get(path) is not found}
    return Scan(scan.source, "", changed, scan.attrs)


def _previous(previous: Path | None, findings: Findings) -> tuple[dict[str, Scan], record.Labels]:
    if previous is None:
        return {}, {}
    try:
        return record.read_record(previous / record.FILE)
    except ValueError as error:
        findings.add("warning", "record-unreadable", f"everything was read anew: {error}")
        return {}, {}


def _discover(
    view: SurveyedView, scans: Mapping[str, Scan], labels: Openers, findings: Findings
) -> tuple[list[LayerDatasets], list[Dataset]]:
    datasets: list[Dataset] = []
    declared = declared_paths(view.authority, view.sources)
    found: list[LayerDatasets] = []
    for layer in view.layers:
        files = sum(len(d.sizes) for d in scans[layer.source].dirs.values())
        found.append(
            discover(
                layer,
                scans[layer.source],
                labels.opener(layer.source),
                view.authority.night_patterns,
                declared,
                findings,
                datasets,
                max(LABEL_BUDGET, files // 200),
            )
        )
    return found, datasets


def _write(
    view: SurveyedView,
    scans: dict[str, Scan],
    found: list[LayerDatasets],
    datasets: list[Dataset],
    decisions: list[Decision],
    findings: Findings,
    said: list[dict[str, Any]],
    out: Path,
) -> dict[str, Any]:
    placement = Placement(datasets, decisions, view.authority)
    places = contributions(found, datasets, placement, findings)
    for place in view.live:
        places.setdefault(place, [])
    layer_sources = [f.layer.source for f in found]
    tops = {placement.renamed(layer.tree) for layer in view.layers} | set(view.live)
    drop_hollow(places, lambda item: scans[layer_sources[item.layer]].dirs[item.path], tops)
    merger = Merger(found, scans, datasets, findings)
    before: set[tuple[str, str]] = set()
    bases: dict[str, str] = {}

    def tree() -> Iterator[VisibleDir]:
        ordered = list(with_parents(places))
        subdirs: dict[str, set[str]] = {}
        for place, _ in ordered:
            if place:
                above, _, name = place.rpartition("/")
                subdirs.setdefault(above, set()).add(name)
        for place, filled in ordered:
            directory = merger.directory(place, filled, subdirs.get(place, ()))
            for group in directory.groups:
                source = layer_sources[group.layer]
                bases[source] = common_directory(bases.get(source), group.path)
            if len(scans) > 1:
                _shadowing(directory, layer_sources, scans, before)
            yield directory

    def tail() -> dict[str, Any]:
        return {
            "dataOrder": data_order([s for s in view.sources if s in bases], before),
            "dataRoots": data_roots(bases),
            "entries": said,
            "findings": [f.wire() for f in findings.sorted()],
        }

    header = {
        "view": view.name,
        "sources": [{"name": s} for s in view.sources],
        "layers": [{"tree": la.tree, "rank": la.rank, "source": la.source, "path": la.path} for la in view.layers],
        "live": list(view.live),
        "authority": json.loads(view.authority.model_dump_json(by_alias=True, exclude_none=True)),
        "datasets": [_dataset(d, decisions[d.index], placement) for d in datasets],
    }
    return plans.write_plan(out / plans.FILE, header, tree(), list(view.sources), layer_sources, tail)


def _shadowing(
    directory: VisibleDir, layer_sources: list[str], scans: Mapping[str, Scan], before: set[tuple[str, str]]
) -> None:
    """Notes which sources hold paths of which others' winners, for the files of one directory."""
    for group in directory.groups:
        source = layer_sources[group.layer]
        for other, scanned in scans.items():
            if other == source or (source, other) in before:
                continue
            twin = scanned.dirs.get(group.path)
            if twin is not None and not set(group.names).isdisjoint(twin.files()):
                before.add((source, other))


def _dataset(dataset: Dataset, decision: Decision, placement: Placement) -> dict[str, Any]:
    home = placement.of(dataset.index)
    item: dict[str, Any] = {
        "name": dataset.name,
        "key": dataset.key,
        "kind": dataset.kind,
        "version": dataset.version_text,
        "source": dataset.layer.source,
        "root": dataset.root,
        "place": dataset.place,
        "state": decision.state,
        "home": None if home is None else placement.renamed(home),
    }
    optional = {
        "label": dataset.label or None,
        "by": decision.by or None,
        "reason": decision.reason or None,
        "winner": decision.winner,
        "parent": dataset.parent,
    }
    return item | {key: value for key, value in optional.items() if value is not None}
