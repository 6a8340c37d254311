"""A sample of files with their checksums, by which nodes prove again and again that the archive is intact.

Spread over the datasets and chosen by the checksum of the path, so that equal trees give equal samples. A file's
own label comes first as the witness (PDS4, md5_checksum), where what it says is true when the sample is taken;
else the survey's own SHA-256 is. What a former sample said of an unchanged file is kept: it is the older witness.

Beside the checksum stand the times that the file and the directories above it had on the NAS, and its dataset: by these
a node tells a file that was delivered after the survey from one that is damaged.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from pdshub.archive import synced_stat
from pdshub.archive.beneath import open_regular
from pdshub.archive.label_error import LabelError
from pdshub.archive.label_pds4 import read_label
from pdshub.archive.plan import Json, Plan

FILES = 200
BYTES = 64 << 20
LARGE = 8 << 20  # bytes; a larger file is chosen only where a dataset has nothing else
CANDIDATES = 4  # at least so many are kept of each dataset while the plan is read
MAX_DATASETS = 20_000
MAX_PATH, MAX_PATHS = 512, 640  # characters; of both paths of a file: 200 such stay below what nodes accept
MAX_NAME = 200  # characters of a dataset's name
LEVELS = 16  # directories above a file whose times are noted
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
    dataset: str = ""  # its name


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
    dataset = plan.header["datasets"][group["dataset"]]["name"][:MAX_NAME] if "dataset" in group else ""
    for name, size, mtime in zip(group["names"], group["sizes"], group["mtimes"], strict=True):
        checksum = crc32(name.encode("utf-8", "surrogateescape"), start)
        if not 0 < size <= total or (False, False, checksum) > worst:
            continue
        if "\n" in name or len(prefix) + len(name) > MAX_PATH:
            continue
        if "\n" in base or len(prefix) + len(base) + 2 * len(name) > MAX_PATHS:
            continue
        own = "" if _LABEL.search(name) else labels.get(name.rpartition(".")[0].lower() or name.lower(), "")
        rank = (size > LARGE, not own, checksum)
        if rank <= worst:
            yield Choice(rank, prefix + name, plan.sources[group["source"]], base + name, size, mtime, own, dataset)


def take(
    plan: Plan, roots: Mapping[str, Path], former: dict[str, Any] | None = None, settled: int | None = None
) -> dict[str, Any]:
    """Reads the sample: proof.json. A file that changed or went away meanwhile is left out.

    ``settled``: what changed later (nanoseconds since 1970) may still be being copied. None: nothing is.
    """
    known = {(item["path"], item["size"], item["mtime"]): item for item in (former or {}).get("files", ())}
    files, wrong = [], []
    for choice in choose(plan):
        item = known.get((choice.path, choice.size, choice.mtime))
        if item is not None and _is_of(item, choice):
            files.append(_known(choice, item, roots[choice.source], settled))
            continue
        try:
            item, true = _witness(choice, roots[choice.source])
        except OSError:
            continue
        if not true:
            wrong.append(choice.path)
        files.append(item)
    return {"files": files, "labelsWrong": sorted(wrong)}


def directories(sample: dict[str, Any] | None) -> frozenset[str]:
    """The directories of their sources in which a sample's files lie."""
    return frozenset(str(item["at"]).rpartition("/")[0] for item in (sample or {}).get("files", ()) if "at" in item)


def _place(choice: Choice) -> dict[str, Any]:
    return {"source": choice.source, "at": choice.origin}


def _is_of(item: dict[str, Any], choice: Choice) -> bool:
    """Whether a former item is of this file, and not of another copy that was shown at the path."""
    return all(item.get(key, value) == value for key, value in _place(choice).items())


def _known(choice: Choice, item: dict[str, Any], root: Path, settled: int | None) -> dict[str, Any]:
    """A former sample's item with the times of now, which this survey has seen; its own where the file is not as
    the plan has it, or may be by chance: it was touched a moment ago, and a survey keeps what is being copied."""
    item = {**item, **_place(choice), "dataset": choice.dataset}
    try:
        times = _times(choice, root)
    except OSError:
        return item
    young = settled is not None and times["ctime"] > settled
    return item if young and "ctime" in item else {**item, **times}


def _times(choice: Choice, root: Path) -> dict[str, Any]:
    """When the file's state was changed last, and from its own directory up to the source's root [mtime, ctime] of the
    directories; nanoseconds. Raises OSError where it can't be opened or is not what the plan has."""
    above = [synced_stat.lstat(str(root / folder / ".")) for folder in list(Path(choice.origin).parents)[:LEVELS]]
    with open_regular(str(root), choice.origin) as stream:
        found = synced_stat.fstat(stream.fileno())
    if (found.st_size, found.st_mtime_ns) != (choice.size, choice.mtime):
        raise OSError(f"{choice.path}: changed since it was surveyed")
    return {"ctime": found.st_ctime_ns, "above": [[st.st_mtime_ns, st.st_ctime_ns] for st in above]}


def _witness(choice: Choice, root: Path) -> tuple[dict[str, Any], bool]:
    """The sample's item, and whether the label (if any) was right about the bytes. Raises OSError."""
    item: dict[str, Any] = {"path": choice.path, "size": choice.size, "mtime": choice.mtime}
    item |= {**_place(choice), "dataset": choice.dataset, **_times(choice, root)}
    says = _md5_in_label(root, choice.origin, choice.label)
    sha256, md5, _ = digests(root, choice.origin)
    if _times(choice, root)["ctime"] != item["ctime"]:
        raise OSError(f"{choice.path}: changed while it was read")
    if says and says == md5:
        return {**item, "md5": md5, "from": "label"}, True
    return {**item, "sha256": sha256, "from": "survey"}, not says


def _md5_in_label(root: Path, origin: str, label: str) -> str:
    if not label:
        return ""
    folder, slash, name = origin.rpartition("/")
    try:
        with open_regular(str(root), f"{folder}{slash}{label}") as stream:
            named = dict(read_label(stream).files)
    except (OSError, LabelError):
        return ""
    return named.get(name, "")


def digests(root: Path, path: str, limit: int = BYTES) -> tuple[str, str, int]:
    """(SHA-256, MD5, bytes read) of a file below ``root``: of its first ``limit`` + 1 bytes. Raises OSError."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with open_regular(str(root), path) as stream:
        while size <= limit and (chunk := stream.read(min(1 << 20, limit + 1 - size))):
            sha256.update(chunk)
            md5.update(chunk)
            size += len(chunk)
    return sha256.hexdigest(), md5.hexdigest(), size


def differs(item: dict[str, Any], root: Path, path: str) -> str:
    """Why the file ``path`` below ``root`` is not what the sample says; "" when it is."""
    try:
        sha256, md5, size = digests(root, path)
    except OSError as error:
        return f"can not be read: {error.strerror or error}"
    if size != item["size"]:
        return f"has {size} bytes instead of {item['size']}"
    return "" if item.get("sha256", sha256) == sha256 and item.get("md5", md5) == md5 else "its content is another"
