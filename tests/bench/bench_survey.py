"""How long a survey and a catalog of a large archive take: ``python tests/bench/bench_survey.py --entries 1000000``.

Builds a tree like that of a sky survey (a thousand files a night, half of them labels), surveys it, writes the
catalog, changes one dataset and surveys again. Prints one JSON object; figures that miss their bar end in exit 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BARS = {
    "surveySeconds": 60.0,
    "imageSeconds": 15.0,
    "imageBytes": 260e6,
    "surveyPeakBytes": 1.5e9,
    "imagePeakBytes": 1.5e9,
    "labelsOpenedShare": 0.01,
    "againReadShare": 0.02,
}

LABEL = """<?xml version="1.0" encoding="UTF-8"?>
<Product_{kind} xmlns="http://pds.nasa.gov/pds4/pds/v1"><Identification_Area>
<logical_identifier>{lid}</logical_identifier><version_id>1.0</version_id></Identification_Area></Product_{kind}>
"""


def build(root: Path, entries: int, nights: int) -> list[Path]:
    """Makes the tree; returns its night directories. Files are empty: a survey never reads them."""
    bundle = root / "gbo.ast.catalina.survey"
    collection = bundle / "data_calibrated"
    collection.mkdir(parents=True)
    lid = "urn:nasa:pds:gbo.ast.catalina.survey"
    (bundle / "bundle.xml").write_text(LABEL.format(kind="Bundle", lid=lid))
    (collection / "collection.xml").write_text(LABEL.format(kind="Collection", lid=lid + ":data_calibrated"))
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    made = []
    pairs = entries // nights // 2
    for n in range(nights):
        year, day = 2003 + n // 300, n % 300
        name = f"{year % 100:02d}{months[day // 25]}{day % 25 + 1:02d}"
        night = collection / ("G96", "703", "I52")[n % 3] / str(year) / name
        night.mkdir(parents=True)
        made.append(night)
        fd = os.open(night, os.O_RDONLY)
        for i in range(pairs):
            stem = f"G96_{year}{day:04d}_2B_N{i // 4:05d}_01_{i % 4:04d}"
            for suffix in (".arch.fz", ".xml"):
                os.close(os.open(stem + suffix, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
        os.close(fd)
    return made


def timed(*arguments: str) -> tuple[float, int, dict[str, Any], list[float]]:
    """Runs pdshub-survey: (seconds, peak bytes of it or a child, its answer, CPU seconds of it and its children)."""
    code = (
        "import resource,sys;from pdshub.archive.main import main;c=main(sys.argv[1:]);"
        "u=resource.getrusage;a,b=u(resource.RUSAGE_SELF),u(resource.RUSAGE_CHILDREN);"
        "sys.stderr.write('PEAK %d %f %f\\n'%(max(a.ru_maxrss,b.ru_maxrss)*1024,a.ru_utime+a.ru_stime,"
        "b.ru_utime+b.ru_stime));sys.exit(c)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments, "--output", "json"], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    peak, *cpu = done.stderr.rsplit("PEAK ", 1)[1].split()
    return seconds, int(peak), json.loads(done.stdout), [round(float(c), 2) for c in cpu]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument(
        "--directory", type=Path, default=None, help="where to build the tree (default: a temporary one)"
    )
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="bench-survey-", dir=args.directory))
    try:
        nights = build(work / "nas", args.entries, max(1, args.entries // 1000))
        view = work / "view.yaml"
        view.write_text(
            json.dumps(
                {
                    "apiVersion": "pdshub.dev/v1alpha1",
                    "kind": "ArchiveView",
                    "metadata": {"name": "bench"},
                    "spec": {
                        "sources": [{"name": "nas", "local": {"path": "/nas"}}],
                        "tree": [{"path": ".", "layers": [{"source": "nas"}]}],
                        "authority": {"settleSeconds": 0},
                    },
                }
            )
        )
        source = f"nas={work / 'nas'}"
        time.sleep(2.5)  # directories younger than two seconds are not trusted by the next survey
        load = os.getloadavg()[0]
        survey = timed("plan", "--source", source, "--view", str(view), "--out", str(work / "g1"))
        image = timed("catalog", "--generation", str(work / "g1"))
        # What the NAS made in its last seconds, by its own clock, is met twice before it is trusted; here that is much.
        plan = ("plan", "--source", source, "--view", str(view))
        timed(*plan, "--out", str(work / "g2"), "--previous", str(work / "g1"))
        (nights[0] / "new.xml").touch()
        again = timed(*plan, "--out", str(work / "g3"), "--previous", str(work / "g2"))
        first, second = survey[2]["counters"], again[2]["counters"]
        entries = first["entries_read"]
        figures = {
            "entries": entries,
            "load": round(load, 2),
            "cores": os.cpu_count(),
            "surveySeconds": round(survey[0], 2),
            "surveyPeakBytes": survey[1],
            "imageSeconds": round(image[0], 2),
            "imagePeakBytes": image[1],
            "surveyCpuSeconds": survey[3],
            "imageCpuSeconds": image[3],
            "imageBytes": sum(i["size"] for i in image[2]["images"]),
            "labelsOpenedShare": first["labels_opened"] / entries,
            "againSeconds": round(again[0], 2),
            "againReadShare": second["directories_read"] / second["directories_checked"],
            "planBytes": (work / "g1" / "plan.json").stat().st_size,
        }
        figures["met"] = {key: figures[key] <= bar for key, bar in BARS.items()}
        text = json.dumps(figures, indent=1)
        print(text)
        if args.json:
            args.json.write_text(text + "\n")
        return 0 if all(figures["met"].values()) else 1
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
