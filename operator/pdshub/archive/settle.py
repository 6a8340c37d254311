"""Datasets that are still being copied, or whose listing is in doubt, keep their former state."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pdshub.archive.datasets import Dataset, LayerDatasets
from pdshub.archive.directory import CHANGED, INCOMPLETE
from pdshub.archive.findings import Findings
from pdshub.archive.walk import DirRecord, Scan


def hold_back(
    layers: Sequence[LayerDatasets],
    datasets: Sequence[Dataset],
    scans: Mapping[str, Scan],
    previous: Mapping[str, Scan],
    now_ns: int,
    settle_ns: int,
    findings: Findings,
) -> int:
    """Puts former directories back for datasets with a change younger than ``settle_ns`` or with a directory in
    doubt, and for directories in doubt outside of any dataset; returns how many datasets and such directories.

    What the former survey knew no file of is withheld with all that lies inside it. Times ahead of this machine's clock
    by more than the settle time say nothing and are ignored. ``scans`` are changed in place.
    """
    held = 0
    reads = {name: dict(scan.dirs) for name, scan in scans.items()}
    for found in layers:
        source = found.layer.source
        scan, read, former = scans[source], reads[source], previous.get(source)
        youngest: dict[int, int] = {}
        doubted: dict[int, list[DirRecord]] = {}
        alone: list[DirRecord] = []
        for path, owner in found.owners.items():
            record = scan.dirs.get(path)
            if record is None:
                continue
            if owner is not None:
                youngest[owner] = max(youngest.get(owner, 0), record.youngest)
            if read[path].doubted:
                (alone if owner is None else doubted.setdefault(owner, [])).append(read[path])
        young = {i for i, t in youngest.items() if abs(now_ns - t) < settle_ns}
        kept = young | doubted.keys()
        if not kept and not alone:
            continue
        held += len(kept) + len(alone)
        known = _known(former, scan)
        new = {i for i in kept if not _had(former, datasets[i].root)}
        for index in sorted(kept):
            dataset = datasets[index]
            says = "it is withheld" if index in new else "this generation keeps its former state"
            if index in doubted:
                _say_doubt(findings, f"{dataset.name}: {says}", source, doubted[index])
            else:
                place = [f"{source}:{dataset.root}"]
                findings.add("info", "settling", f"{dataset.name} is still changing: {says}", place)
        for path, owner in found.owners.items():
            if owner is not None and (owner in kept or _inside(datasets, owner, new)):
                scan.dirs.pop(path, None)
        roots = {datasets[i].root: i for i in set(found.owners.values()) if i is not None}
        for path, record in known.items():
            if found.layer.holds(path):
                owner = _owner(path, roots)
                if owner in kept and not _inside(datasets, owner, new):
                    scan.dirs[path] = _again(record, read.get(path))
        for record in alone:
            says = "this generation keeps its former state" if record.path in known else "it is not shown"
            _say_doubt(findings, f"{found.layer.place(record.path) or '.'}: {says}", source, [record])
            _put_back(scan, known, read, record)
        scan.order()
    return held


def _known(former: Scan | None, scan: Scan) -> Mapping[str, DirRecord]:
    """The former records, as the present table of attributes numbers them: a source may have become another place, and
    one that is listed has a table of its own."""
    if former is None:
        return {}
    if scan.attrs[: len(former.attrs)] == former.attrs:
        return former.dirs
    number = {attr: at for at, attr in enumerate(scan.attrs)}
    for attr in former.attrs:
        if attr not in number:
            number[attr] = len(scan.attrs)
            scan.attrs.append(attr)
    table = [number[attr] for attr in former.attrs]
    return {
        path: replace(record, attrs=array("H", (table[at] for at in record.attrs)))
        for path, record in former.dirs.items()
    }


def _say_doubt(findings: Findings, begin: str, source: str, records: Iterable[DirRecord]) -> None:
    lists = {INCOMPLETE: [], "": []}  # type: dict[str, list[str]]
    for record in records:
        lists[record.doubt if record.doubt == INCOMPLETE else ""].append(f"{source}:{record.path}")
    if lists[INCOMPLETE]:
        words = "the server lists less than a directory's links or its own names tell of; it is asked again"
        findings.add("error", "listing-doubted", f"{begin}, as {words}", lists[INCOMPLETE])
    if lists[""]:
        words = (
            "the server lists other names than before in a directory whose times stand still; "
            "a later survey that is told the same believes it"
        )
        findings.add("error", "listing-doubted", f"{begin}, as {words}", lists[""])


def _again(former: DirRecord, read: DirRecord | None) -> DirRecord:
    """The former record, which the next survey reads again if this one read something else."""
    if read is None or read.sizes is former.sizes:
        return former
    doubt = read.doubt or CHANGED
    if not read.doubt and read.same_times(former) and not read.same_names(former):
        doubt = read.digest()  # it was believed now, and what holds it back is something else
    return replace(former, doubt=doubt, since=read.since)


def _put_back(scan: Scan, known: Mapping[str, DirRecord], read: Mapping[str, DirRecord], record: DirRecord) -> None:
    """The former state of one directory, with those below it that were not met now; nothing without one."""
    top = record.path
    inside = f"{top}/" if top else ""
    former = known.get(top)
    if former is not None:
        scan.dirs[top] = _again(former, record)
        lost = {name for name in former.dirs if inside + name not in read}
        for path, below in known.items():
            if path.startswith(inside) and path != top and path[len(inside) :].partition("/")[0] in lost:
                scan.dirs[path] = below
        return
    for path in [p for p in scan.dirs if p == top or p.startswith(inside)]:
        del scan.dirs[path]


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
