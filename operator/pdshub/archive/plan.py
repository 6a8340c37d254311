"""The plan of a generation: what users see, where each file comes from, and why. Schema: docs/archive/plan-schema.md.

One JSON document whose line breaks are part of the format: the header, then one directory a line, then the tail.
So a reader needs one directory in memory at a time. The same input gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from pdshub.archive.merge import VisibleDir

FILE = "plan.json"
SCHEMA = "pdshub.dev/archive-plan/v1"
MAX_TAIL = 256 << 20  # bytes of counts and findings; these are bounded far below

Json = dict[str, Any]


class PlanError(ValueError):
    """A file that is no plan, or not a whole one."""


def _dump(value: Any) -> str:
    # ASCII only: bytes that are no UTF-8 are lone surrogates here, which JSON can hold only as \\udcXX
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def write_plan(
    path: Path,
    header: Json,
    tree: Iterable[VisibleDir],
    sources: list[str],
    layer_sources: list[str],
    tail: Any,
) -> Json:
    """Writes a plan atomically and returns its counts. ``tail`` is called after the last directory and returns
    what is only known then (findings, order of the data layers)."""
    number = {name: n for n, name in enumerate(sources)}
    counts: Counter[str] = Counter(dict.fromkeys(("directories", "files", "links", "bytes"), 0))
    counts["datasets"] = sum(item["state"] == "shown" for item in header["datasets"])
    by_source: Counter[str] = Counter(dict.fromkeys(sources, 0))
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="ascii", newline="\n") as out:
        out.write(_dump({"schema": SCHEMA, **header})[:-1] + ',\n"tree":[\n')
        first = True
        for directory in tree:
            counts["directories"] += 1
            counts["links"] += len(directory.links)
            for group in directory.groups:
                counts["files"] += len(group.names)
                counts["bytes"] += sum(group.sizes)
                by_source[layer_sources[group.layer]] += len(group.names)
            out.write(("" if first else ",\n") + _dump(_wire(directory, number, layer_sources)))
            first = False
        extra = tail()
        result: Json = {**counts, "filesBySource": dict(by_source)}
        out.write("\n],\n" + _dump({"counts": result, **extra})[1:] + "\n")
    partial.replace(path)
    return result


def _wire(d: VisibleDir, number: dict[str, int], layer_sources: list[str]) -> Json:
    item: Json = {"path": d.path, "attr": d.attr, "mtime": d.mtime}
    if d.groups:
        item["groups"] = [
            {
                "source": number[layer_sources[g.layer]],
                "path": g.path,
                "attr": g.attr,
                "names": g.names,
                "sizes": g.sizes,
                "mtimes": g.mtimes,
                **({} if g.dataset is None else {"dataset": g.dataset}),
            }
            for g in d.groups
        ]
    if d.links:
        item["links"] = [[n, t, m, number[layer_sources[layer]]] for n, t, m, layer in d.links]
    return item


@dataclass(slots=True)
class Plan:
    """An open plan: header and tail at hand, the tree streamed."""

    path: Path
    header: Json
    tail: Json
    cut: Path | None = None
    """A file with the lines of a part of the tree (subtree.py), where it is about that part alone."""

    @property
    def sources(self) -> list[str]:
        """Names of the sources; groups of files and links name a source by its number in this list."""
        return [s["name"] for s in self.header["sources"]]

    def tree_digest(self) -> str:
        """SHA-256 of the sources and the tree: which files there are, where from, their sizes and times.

        What is said about them may differ. Raises OSError.
        """
        digest = hashlib.sha256(_dump(self.sources).encode())
        with self.path.open("rb") as lines:
            for line in islice(lines, 2, None):  # after the header
                if line == b"],\n":
                    break
                digest.update(line)
        return digest.hexdigest()

    def lines(self) -> Iterator[bytes]:
        """The tree's lines as they are in the file, in its order. Raises OSError."""
        with self.path.open("rb") as lines:
            for line in islice(lines, 2, None):
                if line == b"],\n":
                    return
                yield line

    def tree(self) -> Iterator[Json]:
        """The directories in the plan's order."""
        if self.cut:
            with self.cut.open(encoding="ascii") as lines:
                yield from map(json.loads, lines)
            return
        with self.path.open(encoding="ascii") as lines:
            try:
                _header(lines)
                while line := lines.readline():
                    if line == "],\n":
                        return
                    item = json.loads(line.rstrip(",\n"))
                    if not isinstance(item, dict):
                        raise PlanError("a directory is no object")
                    yield item
            except (ValueError, RecursionError) as error:
                raise PlanError(f"{self.path}: {error}") from None
        raise PlanError(f"{self.path}: ends within the tree")


def _header(lines: TextIO) -> Json:
    first, second = lines.readline(), lines.readline()
    if not first.endswith(",\n") or second != '"tree":[\n':
        raise PlanError("no plan: its first lines are not those of the format")
    header = json.loads(first[:-2] + "}")
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        raise PlanError(f"not of schema {SCHEMA}")
    return header


def _end(path: Path) -> bytes:
    """The last bytes of the file from the end of the tree on; b"" when there is none."""
    with path.open("rb") as raw:
        size = raw.seek(0, 2)
        window = min(size, 1 << 16)
        while True:
            raw.seek(size - window)
            end = raw.read()
            if b"\n],\n" in end or window in (size, MAX_TAIL):
                return end
            window = min(size, window * 8, MAX_TAIL)


def open_plan(path: Path) -> Plan:
    """Opens a plan file, or the one in a generation's directory. Raises PlanError."""
    if path.is_dir():
        path = path / FILE
    try:
        end = _end(path)
        with path.open(encoding="ascii") as lines:
            header = _header(lines)
    except (OSError, ValueError, RecursionError) as error:
        raise PlanError(f"{path}: {error}") from None
    start = end.rfind(b"\n],\n")
    try:
        tail = json.loads(b"{" + end[start + 4 :]) if start >= 0 else None
    except (ValueError, RecursionError):
        tail = None
    if not isinstance(tail, dict) or "counts" not in tail:
        raise PlanError(f"{path}: the end is missing")
    return Plan(path, header, tail)
