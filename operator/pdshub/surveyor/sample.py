"""A sample of files with their checksums, by which nodes prove again and again that the archive is intact.

Spread over the datasets and chosen by the checksum of the path, so that equal trees give equal samples. A file's
own label comes first as the witness (PDS4, md5_checksum), where what it says is true when the sample is taken;
else the survey's own SHA-256 is. What a former sample said of an unchanged file is kept: it is the older witness.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from pdshub.archive.label_pds4 import LabelError, read_label
from pdshub.archive.plan import Json, Plan

FILES = 200
BYTES = 64 << 20
LARGE = 8 << 20  # bytes; a larger file is chosen only where a dataset has nothing else
CANDIDATES = 4  # at least so many are kept of each dataset while the plan is read
MAX_DATASETS = 20_000
MAX_PATH = 512  # characters; 200 such paths stay far below what nodes accept
_LABEL = re.compile(r"\.(xml|lblx)$", re.IGNORECASE)


@dataclass(frozen=True, order=True, slots=True)
class Choice:
    """A file that may be in the sample; the least rank is taken first."""

    rank: tuple[bool, bool, int]  # large, without a label of its own, checksum of the path
    path: str  # in the view
    source: str
    origin: str  # in the source
    size: int
    mtime: int
    label: str  # name of the label beside it, or ""


def choose(plan: Plan, files: int = FILES, total: int = BYTES) -> list[Choice]:
    """The files of the sample, by path. Round after round each dataset gives one, until a bound is met."""
    kept: dict[int, list[Choice]] = {}
    room = max(CANDIDATES, 2 * files // (len(plan.header["datasets"]) + 1))
    for directory in plan.tree():
        for group in directory.get("groups", ()):
            dataset = group.get("dataset", -1)
            if dataset not in kept and len(kept) >= MAX_DATASETS:
                continue
            best = kept.setdefault(dataset, [])
            worst = best[-1].rank if len(best) >= room else (True, True, 1 << 32)
            if better := list(_of_group(plan, directory["path"], group, total, worst)):
                best += better
                best.sort()
                del best[room:]
    columns = sorted(kept.values(), key=lambda column: column[0].rank[2] if column else 0)
    chosen: list[Choice] = []
    rest = total
    for depth in range(max(map(len, columns), default=0)):
        for column in columns:
            if depth < len(column) and len(chosen) < files and column[depth].size <= rest:
                chosen.append(column[depth])
                rest -= column[depth].size
    return sorted(chosen, key=lambda c: c.path)


def _of_group(plan: Plan, place: str, group: Json, total: int, worst: tuple[bool, bool, int]) -> Iterator[Choice]:
    labels = {name.rpartition(".")[0].lower(): name for name in group["names"] if _LABEL.search(name)}
    prefix = f"{place}/" if place else ""
    base = f"{group['path']}/" if group["path"] else ""
    if "\n" in prefix:
        return
    start = crc32(prefix.encode("utf-8", "surrogateescape"))
    for name, size, mtime in zip(group["names"], group["sizes"], group["mtimes"], strict=True):
        checksum = crc32(name.encode("utf-8", "surrogateescape"), start)
        if not 0 < size <= total or (False, False, checksum) > worst:
            continue
        if "\n" in name or len(prefix) + len(name) > MAX_PATH:
            continue
        own = "" if _LABEL.search(name) else labels.get(name.rpartition(".")[0].lower() or name.lower(), "")
        rank = (size > LARGE, not own, checksum)
        if rank <= worst:
            yield Choice(rank, prefix + name, plan.sources[group["source"]], base + name, size, mtime, own)


def take(plan: Plan, roots: Mapping[str, Path], former: dict[str, Any] | None = None) -> dict[str, Any]:
    """Reads the sample: proof.json. A file that changed or went away meanwhile is left out."""
    known = {(item["path"], item["size"], item["mtime"]): item for item in (former or {}).get("files", ())}
    files, wrong = [], []
    for choice in choose(plan):
        item = known.get((choice.path, choice.size, choice.mtime))
        if item is None:
            try:
                item, true = _witness(choice, roots[choice.source])
            except OSError:
                continue
            if not true:
                wrong.append(choice.path)
        files.append(item)
    return {"files": files, "labelsWrong": sorted(wrong)}


def _witness(choice: Choice, root: Path) -> tuple[dict[str, Any], bool]:
    """The sample's item, and whether the label (if any) was right about the bytes. Raises OSError."""
    item: dict[str, Any] = {"path": choice.path, "size": choice.size, "mtime": choice.mtime}
    says = _md5_in_label(root / choice.origin, choice.label)
    sha256, md5, size = digests(root / choice.origin)
    if size != choice.size:
        raise OSError(f"{choice.path}: changed since it was surveyed")
    if says and says == md5:
        return {**item, "md5": md5, "from": "label"}, True
    return {**item, "sha256": sha256, "from": "survey"}, not says


def _md5_in_label(file: Path, label: str) -> str:
    if not label:
        return ""
    try:
        with open_regular(file.with_name(label)) as stream:
            named = dict(read_label(stream).files)
    except (OSError, LabelError):
        return ""
    return named.get(file.name, "")


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file, following no link and waiting for no writer. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path}: no regular file")
    return os.fdopen(descriptor, "rb")


def digests(path: Path, limit: int = BYTES) -> tuple[str, str, int]:
    """(SHA-256, MD5, bytes read) of a file's first ``limit`` + 1 bytes. Raises OSError."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with open_regular(path) as stream:
        while size <= limit and (chunk := stream.read(min(1 << 20, limit + 1 - size))):
            sha256.update(chunk)
            md5.update(chunk)
            size += len(chunk)
    return sha256.hexdigest(), md5.hexdigest(), size


def differs(item: dict[str, Any], path: Path) -> str:
    """Why the file is not what the sample says; "" when it is."""
    try:
        sha256, md5, size = digests(path)
    except OSError as error:
        return f"can not be read: {error.strerror or error}"
    if size != item["size"]:
        return f"has {size} bytes instead of {item['size']}"
    return "" if item.get("sha256", sha256) == sha256 and item.get("md5", md5) == md5 else "its content is another"
