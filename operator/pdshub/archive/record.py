"""The survey's memory between generations: what each directory held and what each opened label said.

JSON lines, gzip: one header a source, then one line a directory. A damaged record costs a full walk, nothing else.
"""

from __future__ import annotations

import gzip
import json
import zlib
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdshub.archive.datasets import Facts
from pdshub.archive.label_pds3 import Volume
from pdshub.archive.label_pds4 import Label
from pdshub.archive.walk import DirRecord, Scan

FILE = "survey.jsonl.gz"
HELD = "held.jsonl.gz"
"""Directories that a survey read but did not take up, as they still change: who sees no generation sees them."""
FORMAT = "pdshub.dev/survey/v2"
FORMER = "pdshub.dev/survey/v1"
"""Its listings were not compared with anything: they are known, and read again."""

DAMAGE = (OSError, EOFError, zlib.error, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""What reading a damaged record raises beside ValueError."""


class Quarantined(str):
    """Why a label was not read to its end: it is beyond a bound of what is read."""


Labels = dict[tuple[str, str], tuple[int, int, int, Facts | str]]
"""(source, path) -> (size, mtime and ctime in ns, what it says or why it is broken). ctime 0: not known."""


def write_record(path: Path, scans: Mapping[str, Scan], labels: Labels) -> None:
    """Writes atomically; the same survey gives the same bytes."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as out:
        lines: list[str] = [json.dumps({"format": FORMAT})]
        for name in sorted(scans):
            scan = scans[name]
            lines.append(json.dumps({"source": name, "attrs": scan.attrs}))
            for d in scan.dirs.values():
                lines.append(
                    json.dumps(
                        [
                            d.path,
                            d.mtime,
                            d.ctime,
                            d.attr,
                            d.names,
                            d.sizes.tolist(),
                            d.mtimes.tolist(),
                            _packed(d.attrs),
                            d.dirs,
                            d.links,
                            d.others,
                            d.youngest,
                            d.trusted,
                            d.denied,
                            [d.ino, d.nlink, d.subdirs, d.seen, d.doubt, d.since, d.unread],
                        ],
                        separators=(",", ":"),
                    )
                )
                if len(lines) >= 512:
                    out.write(("\n".join(lines) + "\n").encode("ascii"))
                    lines.clear()
        for (source, label), (size, mtime, ctime, facts) in sorted(labels.items(), key=lambda item: item[0]):
            lines.append(json.dumps({"label": [source, label, size, mtime, ctime], "facts": _wire(facts)}))
        out.write(("\n".join(lines) + "\n").encode("ascii"))
    partial.replace(path)


def read_record(path: Path) -> tuple[dict[str, Scan], Labels]:
    """What a former survey knew. Raises ValueError when the file is damaged or of another format."""
    scans: dict[str, Scan] = {}
    labels: Labels = {}
    current: Scan | None = None
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            if json.loads(next(lines, "{}")).get("format") not in (FORMAT, FORMER):
                raise ValueError("another format")
            for line in lines:
                item = json.loads(line)
                if isinstance(item, list) and current is not None:
                    record = _dir(item)
                    current.dirs[record.path] = record
                elif "source" in item:
                    current = Scan(item["source"], "", attrs=[(a, b, c) for a, b, c in item["attrs"]])
                    scans[current.source] = current
                else:
                    source, name, size, mtime, ctime = (*item["label"], 0)[:5]
                    labels[source, name] = (size, mtime, ctime, _facts(item["facts"]))
    except DAMAGE as error:
        raise ValueError(f"{path}: {error}") from error
    return scans, labels


def _packed(column: array[int]) -> int | list[int]:
    first = column[0] if column else 0
    return first if column.count(first) == len(column) else column.tolist()


def _dir(item: list[Any]) -> DirRecord:
    path, mtime, ctime, attr, names, sizes, mtimes, attrs, dirs, links, others, youngest, trusted, denied = item[:14]
    known = len(item) > 14
    ino, nlink, subdirs, seen, doubt, since, unread = (*item[14], "")[:7] if known else (0, 0, 0, 0, "", 0, "")
    return DirRecord(
        path,
        mtime,
        ctime,
        (attr[0], attr[1], attr[2]),
        names,
        array("q", sizes),
        array("q", mtimes),
        array("H", [attrs]) * len(sizes) if isinstance(attrs, int) else array("H", attrs),
        tuple(dirs),
        tuple((a, b, c) for a, b, c in links),
        tuple(others),
        youngest,
        trusted and known,
        denied,
        ino,
        nlink,
        subdirs,
        seen,
        doubt,
        since,
        unread,
    )


def _wire(facts: Facts | str) -> Any:
    if isinstance(facts, Quarantined):
        return {"quarantined": str(facts)}
    if isinstance(facts, str):
        return facts
    if isinstance(facts, Label):
        return {"pds4": [facts.product_class, facts.lid, facts.version, facts.members]}
    return {"pds3": [facts.volume_id, facts.volume_version, facts.data_set_ids]}


def _facts(item: Any) -> Facts | str:
    if isinstance(item, str):
        return item
    if "quarantined" in item:
        return Quarantined(item["quarantined"])
    if "pds4" in item:
        product_class, lid, version, members = item["pds4"]
        return Label(product_class, lid, version, tuple(members))
    volume_id, version, ids = item["pds3"]
    return Volume(volume_id, version, tuple(ids))
