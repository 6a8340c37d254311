"""Finds the datasets of a layer: bundles, collections, volumes, nights, and directories that a rule declares."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pdshub.archive.candidates import label_candidates
from pdshub.archive.findings import Findings
from pdshub.archive.glob import glob
from pdshub.archive.label_budget import LabelBudget
from pdshub.archive.label_error import LabelError, TooCostly
from pdshub.archive.label_pds3 import Volume, parse_volume_version, split_data_set_id
from pdshub.archive.label_pds4 import Label, parse_version
from pdshub.archive.view import PlacedLayer
from pdshub.archive.walk import DirRecord, Scan

Version = tuple[int, ...]
Facts = Label | Volume
OpenLabel = Callable[[str, str, int, int], Facts]
"""(directory, name, size, mtime) -> what the label says; raises LabelError."""

DATASET_CLASSES = frozenset({"Product_Bundle", "Product_Collection"})
BROKEN, QUARANTINED = "broken-label", "label-quarantined"
"""Kinds of findings: a label that says nothing usable, and one that was not read to its end as it is beyond a bound."""
_VOLDESC = re.compile(r"^voldesc\.(cat|sfd|lbl)$", re.IGNORECASE)


@dataclass(slots=True)
class Dataset:
    """A unit of supersession, in one layer."""

    layer: PlacedLayer
    kind: str  # bundle, collection, volume, night or declared
    root: str  # below the source's root
    key: str = ""  # identity over all versions: a LID, or pds3:… ; "" has none but its place
    version: Version | None = None
    version_text: str = ""
    label: str = ""  # path of the label in the source
    members: frozenset[str] = frozenset()  # LIDs and LIDVIDs that a bundle lists
    part: str = ""  # VOLUME_ID: a PDS3 data set may take many volumes, which do not replace each other
    edition: Version = ()  # VOLUME_VERSION_ID, compared within one part
    parent: int | None = None  # index of the dataset that holds this one
    index: int = -1

    @property
    def place(self) -> str:
        """Where it lies in the tree before any decision."""
        return self.layer.place(self.root)

    @property
    def name(self) -> str:
        """How findings and plans call it."""
        identity = self.key or f"{self.kind} {self.place}"
        return f"{identity}::{self.version_text}" if self.version_text else identity


@dataclass(slots=True)
class LayerDatasets:
    """The datasets of one layer and, for each of its directories, the innermost one that holds it."""

    layer: PlacedLayer
    owners: dict[str, int | None] = field(default_factory=dict)


def discover(
    layer: PlacedLayer,
    scan: Scan,
    open_label: OpenLabel,
    night_patterns: Sequence[str],
    declared: Sequence[tuple[str | None, str]],
    findings: Findings,
    datasets: list[Dataset],
    budget: int,
) -> LayerDatasets:
    """Adds the layer's datasets to ``datasets``. ``declared`` are (source or None, path pattern) of rules.

    ``budget`` bounds how many labels are opened only because of their company in a directory.
    """
    result = LayerDatasets(layer)
    owners = result.owners
    nights = [glob(p) for p in night_patterns]
    wanted = [glob(p) for source, p in declared if source in (None, layer.source)]
    closed: dict[str, bool] = {}  # inside a collection, volume or night
    labels = LabelBudget()
    for path, record in scan.dirs.items():
        if not layer.holds(path):
            continue
        parent_path = path.rpartition("/")[0] if path != layer.path else None
        owner = owners.get(parent_path) if parent_path is not None else None
        shut = closed.get(parent_path, False) if parent_path is not None else False
        place = layer.place(path)
        found: Dataset | None = None
        low = record.names.lower()
        labels.enter()
        if "voldesc." in low:
            found = _volume(layer, path, record.files(), record, open_label, labels, findings)
        if found is None and low:
            names, crowded = label_candidates(record.names, not shut and budget > 0)
            if crowded:
                findings.add(
                    "warning",
                    "many-dataset-labels",
                    f"{place}: too many names with bundle or collection; only the shortest were opened",
                )
            if not shut:
                budget -= len(names)
            if names:
                found = _pds4(layer, path, names, record.files(), record, open_label, labels, findings)
        if found is None and any(p.fullmatch(place) for p in nights):
            found = Dataset(layer, "night", path)
        if found is None and any(p.fullmatch(place) for p in wanted):
            found = Dataset(layer, "declared", path)
        if found is not None:
            found.parent, found.index = owner, len(datasets)
            datasets.append(found)
            owner = found.index
            shut = shut or found.kind in ("collection", "volume", "night")
        owners[path] = owner
        closed[path] = shut
    if budget <= 0:
        findings.add(
            "warning",
            "label-search-bounded",
            f"{layer.tree or '.'} from {layer.source}: too many lone labels to open; datasets whose "
            "labels have neither bundle nor collection in their names may have been missed",
        )
    return result


def _open(
    record_files: list[str],
    name: str,
    path: str,
    sizes: Sequence[int],
    mtimes: Sequence[int],
    open_label: OpenLabel,
    labels: LabelBudget,
) -> Facts:
    number = record_files.index(name)
    labels.spend(name, sizes[number])
    return open_label(path, name, sizes[number], mtimes[number])


def _kind(error: LabelError) -> str:
    return QUARANTINED if isinstance(error, TooCostly) else BROKEN


def _volume(
    layer: PlacedLayer,
    path: str,
    files: list[str],
    record: DirRecord,
    open_label: OpenLabel,
    labels: LabelBudget,
    findings: Findings,
) -> Dataset | None:
    for name in files:
        if not _VOLDESC.match(name):
            continue
        full = f"{path}/{name}" if path else name
        dataset = Dataset(layer, "volume", path, label=full)
        try:
            facts = _open(files, name, path, record.sizes, record.mtimes, open_label, labels)
        except LabelError as error:
            findings.add(
                "error",
                _kind(error),
                f"{error}; the volume has no identity but its place",
                [f"{layer.source}:{full}"],
            )
            return dataset
        if isinstance(facts, Volume):
            pairs = sorted(split_data_set_id(i) for i in facts.data_set_ids)
            edition = parse_volume_version(facts.volume_version) or (0, 0)
            dataset.part = facts.volume_id
            if pairs:
                dataset.key = "pds3:" + "+".join(base for base, _ in pairs)
                dataset.version = tuple(part for _, v in pairs for part in (v or (0, 0)))
                dataset.version_text = ".".join(map(str, dataset.version[:2])) if any(v for _, v in pairs) else ""
                dataset.edition = edition
            else:
                dataset.key, dataset.version = f"pds3:{facts.volume_id}", edition
                dataset.version_text = ".".join(map(str, edition))
        return dataset
    return None


def _pds4(
    layer: PlacedLayer,
    path: str,
    names: list[str],
    files: list[str],
    record: DirRecord,
    open_label: OpenLabel,
    labels: LabelBudget,
    findings: Findings,
) -> Dataset | None:
    bundles: list[Dataset] = []
    collections: list[Dataset] = []
    for name in names:
        full = f"{path}/{name}" if path else name
        try:
            facts = _open(files, name, path, record.sizes, record.mtimes, open_label, labels)
        except LabelError as error:
            findings.add("error", _kind(error), str(error), [f"{layer.source}:{full}"])
            continue
        if not isinstance(facts, Label) or facts.product_class not in DATASET_CLASSES:
            continue
        if not facts.lid:
            findings.add("error", BROKEN, "no logical_identifier", [f"{layer.source}:{full}"])
            continue
        version = parse_version(facts.version)
        if version is None:
            findings.add(
                "error",
                "broken-version",
                f"{facts.lid}: version_id {facts.version[:40]!r} is not M.m; it "
                "neither supersedes nor is superseded by version",
                [f"{layer.source}:{full}"],
            )
        bundle = facts.product_class == "Product_Bundle"
        (bundles if bundle else collections).append(
            Dataset(
                layer,
                "bundle" if bundle else "collection",
                path,
                facts.lid,
                version,
                facts.version if version else "",
                full,
                frozenset(facts.members),
            )
        )
    return _choose(layer, bundles or collections, collections if bundles else [], findings)


def _choose(layer: PlacedLayer, labels: list[Dataset], inside: list[Dataset], findings: Findings) -> Dataset | None:
    """The one dataset of a directory: the highest version of its first LID; further ones share its fate."""
    if not labels:
        return None
    best = max(labels, key=lambda d: (d.version or (-1,), d.label))
    same = sorted(d.label for d in labels if d is not best and d.key == best.key)
    if same:
        findings.add(
            "info",
            "older-label-beside",
            f"{best.name}: the directory also holds labels of other versions",
            same,
        )
    foreign = sorted(d.name for d in [*labels, *inside] if d.key != best.key)
    if foreign:
        findings.add(
            "info",
            "shared-directory",
            f"{best.name}: the directory is shared with other datasets, which appear and disappear with it",
            foreign,
        )
    return best
