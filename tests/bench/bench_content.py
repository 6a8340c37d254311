"""What a million labels take that travel with a generation: ``python -m tests.bench.bench_content --labels 1000000``.

All labels differ. They are surveyed, read into packs as a surveyor does it (without the rate that spares a NAS), made
into images as a node does it; then 1,000 more are delivered, and what moves is counted. Prints one JSON object; figures
that miss their bar end in exit 1. Needs 12 GB of disk, $PDSHUB_MKFS_EROFS and $PDSHUB_SQFSTAR, or the programs on PATH.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pdshub.archive.content import document
from tests.bench.archive import labelled
from tests.bench.bench_survey import timed

BARS = {"packShare": 0.2, "peakBytes": 1.5e9, "againShare": 0.02}
NEW = 1000
_STEP = """
import json, resource, sys
from pdshub.surveyor.content import step
found = step(json.loads(sys.argv[1]), lambda text: None)
usage = resource.getrusage
peak = max(usage(resource.RUSAGE_SELF).ru_maxrss, usage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024
print(json.dumps({**found, "peak": peak}))
"""
_IMAGES = """
import json, resource, sys
from pathlib import Path
from pdshub.archive.content.pack import Pack
from pdshub.node.pack import build
store, aside, *packs = sys.argv[1:]
size = 0
for words in packs:
    digest, length, objects = words.split()
    with (Path(store) / f"{digest.removeprefix('sha256:')}.tar.zst").open("rb") as stream:
        made = build.build(stream, Pack(digest, int(length), int(objects)), Path(aside), lambda count: None)
    size += made.stat().st_size
usage = resource.getrusage
peak = max(usage(resource.RUSAGE_SELF).ru_maxrss, usage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024
print(json.dumps({"imageBytes": size, "imagePeakBytes": peak}))
"""
Json = dict[str, Any]


class Bench:
    """An archive of labels below ``work``, its generations and the store of their content."""

    def __init__(self, work: Path) -> None:
        self.work, self.nas, self.store = work, work / "sources/nas", work / "store"
        self.nas.mkdir(parents=True)
        self.store.mkdir()
        self.generations = work / "generations"
        self.generations.mkdir()
        self.peak, self.steps = 0, 0
        spec = {
            "sources": [{"name": "nas", "local": {"path": "/nas"}}],
            "tree": [{"path": ".", "layers": [{"source": "nas"}]}],
            "authority": {"settleSeconds": 0},
        }
        document_ = {
            "apiVersion": "pdshub.dev/v1alpha1",
            "kind": "ArchiveView",
            "metadata": {"name": "bench"},
            "spec": spec,
        }
        (work / "view.yaml").write_text(json.dumps(document_))

    def survey(self, name: str, previous: str = "") -> Path:
        out = self.generations / name
        words = ["plan", "--source", f"nas={self.nas}", "--view", str(self.work / "view.yaml"), "--out", str(out)]
        timed(*words, *(["--previous", str(self.generations / previous)] if previous else []))
        timed("catalog", "--generation", str(out))
        return out

    def read(self, generation: Path) -> tuple[document.Content, float]:
        """Step after step until all is read; the seconds of all of them."""
        began = time.perf_counter()
        folder = self.work / "step"
        while True:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            task = {
                "generation": str(generation), "generations": str(self.generations),
                "sources": str(self.work / "sources"), "store": str(self.store), "work": str(folder),
                "budget": 64 << 30, "rate": 0, "seconds": 900,
                "rules": {"labels": True, "maxFileSize": 0, "include": [], "exclude": []},
            }  # fmt: skip
            done = subprocess.run(
                [sys.executable, "-c", _STEP, json.dumps(task)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(done.stderr)
            found = json.loads(done.stdout)
            self.steps, self.peak = self.steps + 1, max(self.peak, found["peak"])
            print(f"  {found['files']:,} of {found['wantedFiles']:,} labels, {found['packs']} packs", file=sys.stderr)
            if found["written"]:
                (folder / document.FILE).replace(generation / document.FILE)
            if found["finished"]:
                return document.parse((generation / document.FILE).read_bytes()), time.perf_counter() - began

    def stored(self, content: document.Content) -> dict[str, int]:
        """Digest of a pack -> bytes that move."""
        hexes = {one.digest: one.digest.removeprefix("sha256:") for one in content.packs}
        return {digest: (self.store / "packs" / f"{name}.tar.zst").stat().st_size for digest, name in hexes.items()}


def images(bench: Bench, content: document.Content) -> Json:
    """The packs' images, as a node makes them: bytes, seconds, the most memory that one process for it took."""
    (bench.work / "images").mkdir()
    words = [f"{one.digest} {one.size} {one.objects}" for one in content.packs]
    command = [sys.executable, "-c", _IMAGES, str(bench.store / "packs"), str(bench.work / "images"), *words]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return {**json.loads(done.stdout), "imageSeconds": round(time.perf_counter() - began, 1)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path, help="where to build the tree (default: a temporary one)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="bench-content-", dir=args.directory))
    try:
        bench = Bench(work)
        labelled.build(bench.nas, args.labels)
        first = bench.survey("g1")
        content, seconds = bench.read(first)
        before = bench.stored(content)
        made = images(bench, content)
        rng, template = random.Random(18), next((bench.nas / "travel/labels/d0000").glob("*.xml")).read_text()
        night = bench.nas / "travel/labels/new"
        night.mkdir()
        for number in range(NEW):
            (night / f"n{number:04d}.xml").write_text(labelled.label(template, f"n{number:04d}", rng))
        second = bench.survey("g2", "g1")
        later, again = bench.read(second)
        after = bench.stored(later)
        moved = sum(size for digest, size in after.items() if digest not in before)
        total = sum(before.values())
        figures: Json = {
            "labels": content.local.files, "labelBytes": content.local.bytes, "packs": len(content.packs),
            "packBytes": total, "packShare": round(total / content.local.bytes, 4), "peakBytes": bench.peak,
            "steps": bench.steps, "readSeconds": round(seconds, 1), **made, "new": NEW,
            "againBytes": moved, "againShare": round(moved / total, 5), "againSeconds": round(again, 1),
            "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2),
        }  # fmt: skip
        figures["met"] = {key: figures[key] <= bar for key, bar in BARS.items()}
        print(text := json.dumps(figures, indent=1))
        if args.json:
            args.json.write_text(text + "\n")
        return 0 if all(figures["met"].values()) else 1
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
