"""The background audit: opens every visible label, at a bounded rate, and compares labels with what is there.

The authority pass opens only dataset labels; what needs all of them is found here: labels that point to absent
files, inventories with members that no label carries, one product version in two places, wrong checksums.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pdshub.archive.beneath import open_regular
from pdshub.archive.datasets import BROKEN, QUARANTINED
from pdshub.archive.findings import MAX_EXAMPLES, Findings
from pdshub.archive.label_error import LabelError, TooCostly
from pdshub.archive.label_pds4 import Label, parse_version, read_inventory, read_label, split_lidvid
from pdshub.archive.pace import Pace
from pdshub.archive.plan import Json, Plan
from pdshub.archive.synced_stat import retry_stale

_LABEL = re.compile(r"\.(xml|lblx)$", re.IGNORECASE)


Checksums = Mapping[str, tuple[int, int, str]]
"""Name -> size, mtime in nanoseconds and MD5 in hexadecimal digits, of files of one directory."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one label says, as far as the audit needs it: little enough to be kept for a million labels."""

    lid: str = ""  # "" also for XML without a PDS4 identity, for example a schema or a document
    version: str = ""
    absent: tuple[str, ...] = ()  # the first files that it names and that are not there
    missing: int = 0  # how many there are of these
    inventories: tuple[str, ...] = ()  # of a collection: the files that it names and that are there
    trouble: str = ""  # the finding's kind where the label could not be read
    why: str = ""
    wrong: tuple[str, ...] = ()  # files of other bytes than it says, as far as these were read already


@dataclass(frozen=True, slots=True)
class _Collection:
    """A collection whose inventories are read after all labels."""

    name: str  # LIDVID
    directory: str  # path in the view
    inventories: tuple[tuple[str, tuple[str, str]], ...]  # name, and where its bytes are


@dataclass(slots=True)
class Audit:
    """Runs over a plan. ``roots``: source -> directory.

    The plan's order is the order of labels. ``known``: what the first of them said in an earlier life, so that these
    are not opened again; ``note`` is told what each of the others says. The end is the same as without either.
    ``read``: what is known of files of a source's directory that were read before: what travels (shelf.py) is compared
    with its label without being read again.
    """

    plan: Plan
    roots: Mapping[str, Path]
    findings: Findings
    pace: Pace
    checksums: bool = False
    known: Iterator[Said] = field(default_factory=lambda: iter(()))
    note: Callable[[Said], None] = lambda said: None
    read: Callable[[str, str], Checksums] = lambda source, folder: {}
    labels: int = 0
    _products: dict[str, str] = field(default_factory=dict)  # LIDVID -> first path
    _lids: set[str] = field(default_factory=set)
    _collections: list[_Collection] = field(default_factory=list)

    def run(self, progress: Callable[[str], None] = lambda text: None) -> None:
        """Opens the labels, then the inventories."""
        for directory in self.plan.tree():
            files = {n: g for g in directory.get("groups", ()) for n in g["names"]}
            labels = sorted(filter(_LABEL.search, files))
            read = self._read_before(directory) if labels else {}
            for name in labels:
                self._take(directory["path"], name, files, read)
                if self.labels % 10_000 == 0:
                    progress(f"{self.labels} labels")
        for collection in self._collections:
            self._members(collection)

    def _place(self, group: Json, name: str) -> tuple[str, str]:
        """The source's directory, and the file's path below it."""
        return str(self.roots[self.plan.sources[group["source"]]]), f"{group['path']}/{name}".lstrip("/")

    def _read_before(self, directory: Json) -> dict[str, str]:
        """Name -> MD5 of the files of a directory whose bytes are known to be those that the plan has."""
        found: dict[str, str] = {}
        for group in directory.get("groups", ()):
            known = self.read(self.plan.sources[group["source"]], group["path"])
            for name, *seen in zip(group["names"], group["sizes"], group["mtimes"], strict=True):
                if name in known and list(known[name][:2]) == seen:
                    found[name] = known[name][2]
        return found

    def _take(self, directory: str, name: str, files: Mapping[str, Json], read: Mapping[str, str]) -> None:
        said = next(self.known, None)
        if said is None:
            self.pace.wait()
            said = self._read(directory, name, files, read)
            self.note(said)
        self.labels += 1
        self._consider(said, directory, name, files)

    def _read(self, directory: str, name: str, files: Mapping[str, Json], read: Mapping[str, str]) -> Said:
        try:
            label = retry_stale(partial(_label, *self._place(files[name], name)))
        except LabelError as error:
            return Said(trouble=QUARANTINED if isinstance(error, TooCostly) else BROKEN, why=str(error))
        except OSError as error:
            return Said(trouble="unreadable", why=f"{error.strerror}")
        if not label.lid:
            return Said()
        if self.checksums:
            for data, md5 in label.files:
                if md5 and data in files:
                    self._checksum(directory, data, md5, files[data])
        absent = sorted({n for n, _ in label.files if n not in files})
        lists = label.files if label.product_class == "Product_Collection" else ()
        return Said(
            lid=label.lid,
            version=label.version,
            absent=tuple(absent[:MAX_EXAMPLES]),
            missing=len(absent),
            inventories=tuple(n for n, _ in lists if n in files),
            wrong=tuple(sorted(n for n, md5 in label.files if md5 and read.get(n, md5) != md5)[:MAX_EXAMPLES]),
        )

    def _consider(self, said: Said, directory: str, name: str, files: Mapping[str, Json]) -> None:
        """What a label brings: findings, and what later ones are compared with."""
        place = f"{directory}/{name}" if directory else name
        if said.trouble:
            self.findings.add("error", said.trouble, said.why, [place])
        if not said.lid:
            return
        self._lids.add(said.lid)
        if parse_version(said.version) is None:
            self.findings.add("error", "broken-version", f"{said.lid}: version_id {said.version[:40]!r}", [place])
        lidvid = f"{said.lid}::{said.version}"
        first = self._products.setdefault(lidvid, place)
        if first != place:
            self.findings.add("warning", "product-twice", f"{lidvid} has two labels", [first, place])
        if said.missing:
            self.findings.add(
                "error",
                "file-absent",
                f"{place} names files that are not there",
                [f"{directory}/{n}" for n in said.absent],
                said.missing,
            )
        if said.inventories:
            where = tuple((n, self._place(files[n], n)) for n in said.inventories)
            self._collections.append(_Collection(lidvid, directory, where))

        for wrong in said.wrong:
            self._differs(f"{directory}/{wrong}" if directory else wrong)

    def _differs(self, place: str) -> None:
        self.findings.add("error", "checksum", "the file is not what its label says (MD5)", [place])

    def _checksum(self, directory: str, name: str, md5: str, group: Json) -> None:
        try:
            found = retry_stale(partial(_md5, *self._place(group, name)))
        except OSError as error:
            self.findings.add("error", "unreadable", f"{error.strerror}", [f"{directory}/{name}"])
            return
        if found != md5:
            self._differs(f"{directory}/{name}")

    def _members(self, collection: _Collection) -> None:
        for inventory, where in collection.inventories:
            place = f"{collection.directory}/{inventory}"
            try:
                members, bad = retry_stale(partial(_inventory, *where))
            except (LabelError, OSError) as error:
                self.findings.add("error", "broken-inventory", str(error), [place])
                continue
            except MemoryError:
                self.findings.add("error", "broken-inventory", "it takes more memory than an audit has", [place])
                continue
            if bad:
                words = f"{bad} lines are neither P nor S and a LIDVID"
                self.findings.add("warning", "broken-inventory", words, [place])
            missing = [m for status, m in members if status == "P" and not self._present(m)]
            if missing:
                words = f"{collection.name} lists products that the view has no label of"
                self.findings.add("warning", "member-missing", words, missing)

    def _present(self, member: str) -> bool:
        lid, version = split_lidvid(member)
        return f"{lid}::{version}" in self._products if version else lid in self._lids


def _label(root: str, path: str) -> Label:
    with open_regular(root, path) as stream:
        return read_label(stream)


def _inventory(root: str, path: str) -> tuple[list[tuple[str, str]], int]:
    with open_regular(root, path) as stream:
        return read_inventory(stream)


def _md5(root: str, path: str) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with open_regular(root, path) as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
