"""The sample of a generation's files that canary and proof look at: `proof.json`, written by the surveyor.

It comes from another machine: what is not as it must be is refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdshub.node.hardening import SpecError, relative

LIMIT = 1000  # files; the surveyor writes 200 at most
SIZE_LIMIT = 2 << 20  # bytes of proof.json
NAME_LIMIT = 200  # characters of a dataset's name
_DIGITS = {"sha256": re.compile("[0-9a-f]{64}"), "md5": re.compile("[0-9a-f]{32}")}


@dataclass(frozen=True)
class Known:
    """One file: `path` below the view's folder, size in bytes, digest in hexadecimal digits.

    `origin`: "label" where a PDS label carries the checksum, "survey" where the survey read the file. `source` and
    `at`: the view's source that it is from, and its path there. Times as the survey saw them, in nanoseconds since
    1970: of the file, and [mtime, ctime] of the directories above it, its own first. A sample of a surveyor of before
    has none of these.
    """

    path: str
    size: int
    algorithm: str
    digest: str
    origin: str = "survey"
    source: str = ""
    at: str = ""
    dataset: str = ""
    mtime: int = 0
    ctime: int | None = None
    above: tuple[tuple[int, int], ...] = ()

    @property
    def row(self) -> list[Any]:
        """As the child process takes it (examiner_main.py)."""
        return [self.path, self.size, self.algorithm, self.digest]


def printable(path: str) -> str:
    """A path for people and for JSON of strict readers: what is no character is escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in path)


def parse(document: Any) -> tuple[Known, ...]:
    """Raises ValueError, which names the entry."""
    rows = document.get("files") if isinstance(document, dict) else None
    if not isinstance(rows, list) or len(rows) > LIMIT:
        raise ValueError(f"files: a list of at most {LIMIT} entries is needed")
    return tuple(_known(row, f"files[{i}]") for i, row in enumerate(rows))


def _known(row: Any, where: str) -> Known:
    if not isinstance(row, dict):
        raise ValueError(f"{where}: not an object")
    try:
        path = relative(row.get("path"), f"{where}.path")
    except SpecError as error:
        raise ValueError(str(error)) from None
    size = row.get("size")
    if path == "." or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(f"{where}: a path and a size are needed")
    for algorithm, digits in _DIGITS.items():
        value = row.get(algorithm)
        if isinstance(value, str) and digits.fullmatch(value.lower()):
            origin = "label" if row.get("from") == "label" else "survey"
            return Known(path, size, algorithm, value.lower(), origin, **_whereabouts(row, where))
    raise ValueError(f"{where}: neither sha256 nor md5")


def _whereabouts(row: dict[str, Any], where: str) -> dict[str, Any]:
    """What a sample says of the file in its source; nothing where it says nothing."""
    if "source" not in row:
        return {}
    source, dataset, above = row["source"], row.get("dataset", ""), row.get("above", [])
    try:
        at = relative(row.get("at"), f"{where}.at")
    except SpecError as error:
        raise ValueError(str(error)) from None
    if not isinstance(source, str) or not isinstance(dataset, str) or at == ".":
        raise ValueError(f"{where}: a source, a path in it and a dataset are needed")
    ctime = row.get("ctime")
    if not isinstance(above, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in above):
        raise ValueError(f"{where}.above: pairs of times are needed")
    times = [row.get("mtime"), *([] if ctime is None else [ctime]), *(time for pair in above for time in pair)]
    if not all(isinstance(time, int) and not isinstance(time, bool) and abs(time) < 1 << 63 for time in times):
        raise ValueError(f"{where}: times are nanoseconds since 1970")
    pairs = tuple((mtime, changed) for mtime, changed in above)
    return {"source": source, "at": at, "dataset": dataset[:NAME_LIMIT], "mtime": row["mtime"], "ctime": ctime,
            "above": pairs}  # fmt: skip


def read(path: Path) -> tuple[Known, ...]:
    """The sample of a generation's directory; empty if it has none. Raises ValueError, OSError."""
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise ValueError(f"{path.name}: larger than {SIZE_LIMIT} bytes")
        return parse(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return ()
    except RecursionError:
        raise ValueError(f"{path.name}: nested too deeply") from None
