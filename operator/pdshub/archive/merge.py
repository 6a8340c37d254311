"""Files of the directories that share a place: the first layer wins each name; differences are findings."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from pdshub.archive.datasets import Dataset, LayerDatasets
from pdshub.archive.findings import Findings
from pdshub.archive.links import stays_inside
from pdshub.archive.placement import Contribution
from pdshub.archive.walk import Attr, DirRecord, Scan

# rsync writes .name.XXXXXX and renames; NFS clients keep deleted open files as .nfs…
TEMPORARY = re.compile(r"^(\..+\.[A-Za-z0-9]{6}|\.nfs[0-9a-f]{16,})$")
MAX_PATH = 255  # PDS4 Standards Reference: the length of a path from the bundle's root


@dataclass(slots=True)
class Group:
    """Files of one visible directory that come from one directory of one source; columns are parallel."""

    layer: int
    path: str
    dataset: int | None
    attr: Attr
    names: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    mtimes: list[int] = field(default_factory=list)


@dataclass(slots=True)
class VisibleDir:
    """A directory as users see it."""

    path: str
    attr: Attr
    mtime: int
    groups: list[Group]
    links: list[tuple[str, str, int, int]]  # name, target, mtime, layer


class Merger:
    """Turns contributions into visible directories, one at a time."""

    def __init__(
        self,
        layers: Sequence[LayerDatasets],
        scans: dict[str, Scan],
        datasets: Sequence[Dataset],
        findings: Findings,
    ) -> None:
        self._layers, self._scans, self._datasets, self._findings = layers, scans, datasets, findings

    def directory(self, place: str, filled: Sequence[Contribution], subdirs: Collection[str]) -> VisibleDir:
        """The directory as users see it. ``subdirs``: names of its visible sub-directories, which win over files."""
        if not filled:
            return VisibleDir(place, (0o755, 0, 0), 0, [], [])
        first = self._record(filled[0])
        groups: list[Group] = []
        links: list[tuple[str, str, int, int]] = []
        taken: dict[str, tuple[int, int, int]] = {}
        single = len(filled) == 1
        conflicts: list[str] = []
        doubtful: list[str] = []
        for number, item in enumerate(filled):
            record = self._record(item)
            self._report(item, record)
            last = number == len(filled) - 1
            for group in self._groups(item, record, subdirs, None if single else taken, last, conflicts, doubtful):
                groups.append(group)
            links += self._links(item, record, subdirs, taken, place)
        if conflicts:
            self._findings.add(
                "warning",
                "conflict",
                f"{place}: files of the same name and different size; the earlier layer's are shown",
                conflicts,
            )
        if doubtful:
            self._findings.add(
                "info",
                "conflict-possible",
                f"{place}: files of the same name and size but different time; the earlier layer's are shown",
                doubtful,
            )
        self._names(place, groups, links)
        links.sort()
        return VisibleDir(place, first.attr, first.mtime, groups, links)

    def _record(self, item: Contribution) -> DirRecord:
        return self._scans[self._layers[item.layer].layer.source].dirs[item.path]

    def _groups(
        self,
        item: Contribution,
        record: DirRecord,
        subdirs: Collection[str],
        taken: dict[str, tuple[int, int, int]] | None,
        last: bool,
        conflicts: list[str],
        doubtful: list[str],
    ) -> Iterator[Group]:
        table = self._scans[self._layers[item.layer].layer.source].attrs
        names = record.files()
        if taken is None and not subdirs and "/." not in record.names and record.names[:1] != "." and not record.links:
            uniform = len(set(record.attrs)) == 1
            if uniform:  # nearly every directory: whole columns, nothing to look at one by one
                yield Group(
                    item.layer,
                    item.path,
                    item.dataset,
                    table[record.attrs[0]],
                    names,
                    list(record.sizes),
                    list(record.mtimes),
                )
                return
        by_attr: dict[int, Group] = {}
        hidden: list[str] = []
        kinds: list[str] = []
        for name, size, mtime, attr in zip(names, record.sizes, record.mtimes, record.attrs, strict=True):
            if name[0] == "." and TEMPORARY.match(name):
                hidden.append(f"{item.path}/{name}")
                continue
            if name in subdirs:
                kinds.append(f"{item.path}/{name}")
                continue
            if taken is not None:
                former = taken.get(name)
                if former is not None:
                    if former[0] != size:
                        conflicts.append(name)
                    elif former[1] != mtime:
                        doubtful.append(name)
                    continue
                taken[name] = (size, mtime, item.layer)
            group = by_attr.get(attr)
            if group is None:
                group = by_attr[attr] = Group(item.layer, item.path, item.dataset, table[attr])
            group.names.append(name)
            group.sizes.append(size)
            group.mtimes.append(mtime)
        if hidden:
            self._findings.add("info", "temporary-files", f"{item.path}: files still being copied are hidden", hidden)
        if kinds:
            self._findings.add(
                "warning",
                "file-and-directory",
                f"{item.path}: hidden, a directory elsewhere has the name",
                kinds,
            )
        yield from sorted(by_attr.values(), key=lambda g: g.names[0])

    def _links(
        self,
        item: Contribution,
        record: DirRecord,
        subdirs: Collection[str],
        taken: dict[str, tuple[int, int, int]],
        place: str,
    ) -> Iterator[tuple[str, str, int, int]]:
        layer = self._layers[item.layer].layer
        root = self._datasets[item.dataset].root if item.dataset is not None else layer.path
        for name, target, mtime in record.links:
            if name in taken or name in subdirs:
                continue
            taken[name] = (-1, mtime, item.layer)
            if stays_inside(self._scans[layer.source].dirs, record.path, target, root):
                yield name, target, mtime, item.layer
            else:
                self._findings.add(
                    "warning",
                    "link-hidden",
                    f"link to {target[:200]!r} leaves its dataset",
                    [f"{place}/{name}"],
                )

    def _report(self, item: Contribution, record: DirRecord) -> None:
        source = self._layers[item.layer].layer.source
        if record.denied:
            self._findings.add(
                "error", "permission-denied", f"{source}: may not be read and appears empty", [record.path]
            )
        if record.unread:
            self._findings.add(
                "error", "not-read", f"{source}: not read, appears empty: {record.unread}", [record.path]
            )
        if record.others:
            self._findings.add(
                "warning",
                "not-shown",
                f"{source}:{record.path}: devices, sockets, FIFOs or other file systems",
                record.others,
            )

    def _names(self, place: str, groups: Sequence[Group], links: Sequence[tuple[str, str, int, int]]) -> None:
        for group in groups:
            if not group.names:
                continue
            longest = max(map(len, group.names))
            if (len(place) + 1 + longest) * 3 > MAX_PATH:
                base = len(place.encode("utf-8", "surrogateescape")) + 1
                long = [
                    n
                    for n in group.names
                    if base + len(n) > MAX_PATH or base + len(n.encode("utf-8", "surrogateescape")) > MAX_PATH
                ]
                if long:
                    self._findings.add(
                        "warning",
                        "path-too-long",
                        f"paths of more than {MAX_PATH} bytes",
                        [f"{place}/{n}" for n in long],
                    )
        names = [n for g in groups for n in g.names] + [link[0] for link in links]
        if len({n.lower() for n in names}) != len(names):
            seen: dict[str, str] = {}
            pairs: list[str] = []
            for name in sorted(names):
                other = seen.setdefault(name.lower(), name)
                if other != name:
                    pairs.append(f"{place}/{name}")
            self._findings.add("warning", "case-only", f"{place}: names that differ only in case", pairs)
