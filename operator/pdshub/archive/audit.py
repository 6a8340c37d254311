"""The background audit: opens every visible label, at a bounded rate, and compares labels with what is there.

The authority pass opens only dataset labels; what needs all of them is found here: labels that point to absent
files, inventories with members that no label carries, one product version in two places, wrong checksums.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pdshub.archive.findings import Findings
from pdshub.archive.label_pds4 import (
    Label,
    LabelError,
    parse_version,
    read_inventory,
    read_label,
    split_lidvid,
)
from pdshub.archive.plan import Json, Plan

_LABEL = re.compile(r"\.(xml|lblx)$", re.IGNORECASE)


@dataclass(slots=True)
class Pace:
    """At most ``rate`` events a second, evenly; 0 is unbounded."""

    rate: float
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _next: float = 0.0

    def wait(self) -> None:
        if self.rate <= 0:
            return
        now = self.clock()
        if self._next > now:
            self.sleep(self._next - now)
        self._next = max(self._next, now) + 1 / self.rate


@dataclass(slots=True)
class Audit:
    """Runs over a plan. ``roots``: source -> directory."""

    plan: Plan
    roots: Mapping[str, Path]
    findings: Findings
    pace: Pace
    checksums: bool = False
    labels: int = 0
    _products: dict[str, str] = field(default_factory=dict)  # LIDVID -> first path
    _lids: set[str] = field(default_factory=set)
    _collections: list[tuple[str, str, Label, Json]] = field(default_factory=list)

    def run(self, progress: Callable[[str], None] = lambda text: None) -> None:
        """Opens the labels, then the inventories."""
        for directory in self.plan.tree():
            files = {n: (g, i) for g in directory.get("groups", ()) for i, n in enumerate(g["names"])}
            for name in sorted(files):
                if _LABEL.search(name):
                    self.pace.wait()
                    self._label(directory, name, files)
                    if self.labels % 10_000 == 0:
                        progress(f"{self.labels} labels")
        for place, name, label, directory in self._collections:
            self._inventory(place, name, label, directory)

    def _open(self, group: Json, name: str) -> BinaryIO:
        path = self.roots[self.plan.sources[group["source"]]] / group["path"] / name
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")

    def _label(self, directory: Json, name: str, files: dict[str, tuple[Json, int]]) -> None:
        place = f"{directory['path']}/{name}" if directory["path"] else name
        self.labels += 1
        try:
            with self._open(files[name][0], name) as stream:
                label = read_label(stream)
        except LabelError as error:
            self.findings.add("error", "broken-label", str(error), [place])
            return
        except OSError as error:
            self.findings.add("error", "unreadable", f"{error.strerror}", [place])
            return
        if not label.lid:
            return  # XML without a PDS4 identity, for example a schema or a document
        self._lids.add(label.lid)
        if parse_version(label.version) is None:
            self.findings.add("error", "broken-version", f"{label.lid}: version_id {label.version[:40]!r}", [place])
        lidvid = f"{label.lid}::{label.version}"
        first = self._products.setdefault(lidvid, place)
        if first != place:
            self.findings.add("warning", "product-twice", f"{lidvid} has two labels", [first, place])
        absent = sorted({n for n, _ in label.files if n not in files})
        if absent:
            self.findings.add(
                "error",
                "file-absent",
                f"{place} names files that are not there",
                [f"{directory['path']}/{n}" for n in absent],
            )
        if self.checksums:
            for data, md5 in label.files:
                if md5 and data in files:
                    self._checksum(directory, data, md5, files[data][0])
        if label.product_class == "Product_Collection":
            self._collections.append((place, name, label, directory))

    def _checksum(self, directory: Json, name: str, md5: str, group: Json) -> None:
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with self._open(group, name) as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
        except OSError as error:
            self.findings.add("error", "unreadable", f"{error.strerror}", [f"{directory['path']}/{name}"])
            return
        if digest.hexdigest() != md5:
            self.findings.add(
                "error",
                "checksum",
                "the file is not what its label says (MD5)",
                [f"{directory['path']}/{name}"],
            )

    def _inventory(self, place: str, name: str, label: Label, directory: Json) -> None:
        files = {n: g for g in directory.get("groups", ()) for n in g["names"]}
        for inventory, _ in label.files:
            if inventory not in files:
                continue  # reported as absent already
            try:
                with self._open(files[inventory], inventory) as stream:
                    members, bad = read_inventory(stream)
            except (LabelError, OSError) as error:
                self.findings.add("error", "broken-inventory", str(error), [f"{directory['path']}/{inventory}"])
                continue
            if bad:
                self.findings.add(
                    "warning",
                    "broken-inventory",
                    f"{bad} lines are neither P nor S and a LIDVID",
                    [f"{directory['path']}/{inventory}"],
                )
            missing = [m for status, m in members if status == "P" and not self._present(m)]
            if missing:
                self.findings.add(
                    "warning",
                    "member-missing",
                    f"{label.lid}::{label.version} lists products that the view has no label of",
                    missing,
                )

    def _present(self, member: str) -> bool:
        lid, version = split_lidvid(member)
        return f"{lid}::{version}" in self._products if version else lid in self._lids
