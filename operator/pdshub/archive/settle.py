"""Datasets that are still being copied keep their former state until their times are old enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pdshub.archive.datasets import Dataset, LayerDatasets
from pdshub.archive.findings import Findings
from pdshub.archive.walk import Scan


def hold_back(
    layers: Sequence[LayerDatasets],
    datasets: Sequence[Dataset],
    scans: Mapping[str, Scan],
    previous: Mapping[str, Scan],
    now_ns: int,
    settle_ns: int,
    findings: Findings,
) -> int:
    """Puts former directories back for datasets with a change younger than ``settle_ns``; returns their number.

    A dataset of which the former survey knew no file is withheld with all that lies inside it. Times ahead of this
    machine's clock by more than the settle time say nothing and are ignored. ``scans`` are changed in place.
    """
    held = 0
    for found in layers:
        source = found.layer.source
        scan, former = scans[source], previous.get(source)
        youngest: dict[int, int] = {}
        for path, owner in found.owners.items():
            if owner is not None and path in scan.dirs:
                youngest[owner] = max(youngest.get(owner, 0), scan.dirs[path].youngest)
        young = {i for i, t in youngest.items() if abs(now_ns - t) < settle_ns}
        if not young:
            continue
        held += len(young)
        new = {i for i in young if not _had(former, datasets[i].root)}
        for index in sorted(young):
            dataset = datasets[index]
            findings.add(
                "info",
                "settling",
                f"{dataset.name} is still changing: "
                + ("it is withheld" if index in new else "this generation keeps its former state"),
                [f"{source}:{dataset.root}"],
            )
        for path, owner in found.owners.items():
            if owner is not None and (owner in young or _inside(datasets, owner, new)):
                scan.dirs.pop(path, None)
        if former is not None:
            roots = {datasets[i].root: i for i in set(found.owners.values()) if i is not None}
            for path, record in former.dirs.items():
                if found.layer.holds(path):
                    owner = _owner(path, roots)
                    if owner in young and not _inside(datasets, owner, new):
                        scan.dirs[path] = record
        scan.dirs = dict(sorted(scan.dirs.items(), key=lambda item: item[0].split("/")))
    return held


def _had(former: Scan | None, root: str) -> bool:
    """Whether there is a former state: an empty directory, made before the first file came, is none."""
    left = [root]
    while former is not None and left:
        path = left.pop()
        record = former.dirs.get(path)
        if record is not None:
            if record.names or record.links:
                return True
            left += [f"{path}/{name}" if path else name for name in record.dirs]
    return False


def _owner(path: str, roots: Mapping[str, int]) -> int | None:
    while path not in roots:
        if not path:
            return None
        path = path.rpartition("/")[0]
    return roots[path]


def _inside(datasets: Sequence[Dataset], index: int | None, tops: set[int]) -> bool:
    while index is not None:
        if index in tops:
            return True
        index = datasets[index].parent
    return False
