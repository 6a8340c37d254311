"""How long a label of each hostile kind takes at most: ``./hack/bench labels``, which writes docs/benchmarks/labels.md.

Processor time of the reader alone, each label a tenth of the largest that is opened and the largest itself: where the
time grows as the size does, the second is ten times the first.
"""

from __future__ import annotations

import datetime
import io
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pdshub.archive import label_pds3, label_pds4
from pdshub.archive.label_error import LabelError, TooCostly
from tests.unit.archive.hostile_labels import PDS3, PDS4, Hostile

ROUNDS = 3
ROOM = 400
"""Bytes by which a made label may be larger than was asked for."""
Json = dict[str, Any]


def once(read: Callable[[BinaryIO], Any], raw: bytes) -> tuple[float, str]:
    """Processor seconds, and what came of it."""
    stream, began = io.BytesIO(raw), time.process_time()
    try:
        read(stream)
        said = "read"
    except TooCostly as error:
        said = f"quarantined: {error}"
    except LabelError as error:
        said = f"broken: {error}"
    return time.process_time() - began, said.split("\n")[0][:110]


def measure() -> list[Json]:
    rows: list[Json] = []
    forms: list[tuple[str, Mapping[str, Hostile], Callable[[BinaryIO], Any], int]] = [
        ("PDS3", PDS3, label_pds3.read_volume, label_pds3.MAX_BYTES),
        ("PDS4", PDS4, label_pds4.read_label, label_pds4.MAX_LABEL_BYTES),
    ]
    for form, kinds, read, most in forms:
        for name, kind in kinds.items():
            row: Json = {"form": form, "kind": name}
            for key, size in (("tenth", most // 10), ("whole", most - ROOM)):
                raw = kind.make(size)
                times = [once(read, raw) for _ in range(ROUNDS)]
                row[key] = {"bytes": len(raw), "worst": round(max(t for t, _ in times), 4), "said": times[0][1]}
            rows.append(row)
            sys.stderr.write(f"{form}: {name}: {row['whole']['worst']} s\n")
    return rows


def page(document: Json) -> str:
    rows: list[Json] = document["rows"]
    lines = [
        "# Labels made to harm: figures",
        "",
        "Written by `./hack/bench labels`, with labels.json beside it. Do not edit. The worst processor time of",
        f"{ROUNDS} readings of one label of each kind: a tenth of the largest label that is opened, and the largest",
        f"(PDS3: {label_pds3.MAX_BYTES >> 20} MiB, PDS4: {label_pds4.MAX_LABEL_BYTES >> 20} MiB). The bounds count",
        "bytes, elements and characters and no time, so that the same label is always read, or never.",
        "",
        f"{document['date']}, {document['processor']}, {document['cores']} cores, Python {document['python']}, expat"
        f" {document['expat']}, load before {document['load']}"
        + ("; other work shared the machine, at a higher priority." if document["shared"] else "."),
        f"Memory of all readings, and of the labels themselves: {document['memoryMB']} MB at most.",
        "",
        "| label | a tenth | the largest | what comes of the largest |",
        "| --- | --- | --- | --- |",
    ]
    for row in rows:
        tenth, whole = row["tenth"]["worst"], row["whole"]["worst"]
        said = str(row["whole"]["said"]).replace("|", "\\|")
        lines.append(f"| {row['form']}: {row['kind']} | {tenth:.3f} s | {whole:.3f} s | {said} |")
    worst = max(rows, key=lambda row: float(row["whole"]["worst"]))
    lines += ["", f"The worst of all: {worst['form']}, {worst['kind']}, {worst['whole']['worst']:.2f} s."]
    return "\n".join(lines) + "\n"


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> int:
    out = Path(sys.argv[1])
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    rows = measure()
    document = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "cores": cores,
        "python": platform.python_version(),
        "expat": label_pds4.expat.EXPAT_VERSION.removeprefix("expat_"),
        "load": round(load, 1),
        "shared": load > cores / 2,
        "memoryMB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // 10**6,
        "rows": rows,
    }
    (out / "labels.json").write_text(json.dumps(document, indent=1) + "\n")
    (out / "labels.md").write_text(page(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
