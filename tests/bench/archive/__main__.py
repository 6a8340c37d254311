"""``python -m tests.bench.archive [OPTIONS] OUT_DIR``: measure, write archive.json and archive.md.

Exit code 1 when a bar is missed, with the bar's name; the page is written all the same.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devcluster.settings import ROOT, Paths
from labvm import newer

from tests.bench.archive import page

PACKAGES = ("erofs-utils", "mergerfs", "unionfs-fuse")


def options(argv: list[str]) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="hack/bench archive", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("--quick", action="store_true", help="a smoke run of some minutes, written to a temporary folder")
    p.add_argument("--only", choices=["views", "survey", "local"], help="one part; the page keeps the others")
    p.add_argument("--files", type=int, help="small files of the archive (3,000; 20,000 with KVM)")
    p.add_argument("--size", type=int, help="MB of its large file, default 500")
    p.add_argument("--pairs", type=int, default=15, help="pairs of runs, default 15")
    p.add_argument("--rounds", type=int, default=3, help="rounds of the other runs at most, default 3")
    p.add_argument("--budget", type=float, default=32, help="minutes after which no part begins, default 32")
    p.add_argument("--entries", type=int, default=1_000_000, help="of the survey")
    p.add_argument("--labels", type=int, help="that travel with a generation (20,000; 100,000 with KVM)")
    p.add_argument("out", type=Path)
    found = p.parse_args(argv)
    if found.quick:
        found.files, found.size, found.pairs = found.files or 1200, found.size or 8, min(found.pairs, 3)
        found.rounds, found.budget, found.entries = 1, min(found.budget, 4), min(found.entries, 50_000)
        found.labels = found.labels or 1000
        found.out = Path(tempfile.mkdtemp(prefix="bench-archive-"))
    return found


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def run(do: list[str], environment: dict[str, str]) -> tuple[dict[str, Any], int]:
    """Run a half; answers where and when it ran, and its exit code."""
    before = os.getloadavg()[0]
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    code = subprocess.run(do, env={**os.environ, **environment}).returncode
    after = os.getloadavg()[0]
    where = {"date": date, "cpu": _cpu(), "cores": os.cpu_count()}
    return {**where, "loadBefore": round(before, 1), "loadAfter": round(after, 1)}, code


def with_kvm() -> bool:
    """Whether the lab's machine runs on the processor itself."""
    known = (Paths.from_environment().cache / "lab").glob("accel-*")
    return any(note.read_text().strip() for note in known)


def local(o: argparse.Namespace, tools: Path) -> dict[str, Any]:
    """What travels with a generation, and a NAS at a distance. In the lab's machine. Raises SystemExit as ``views``."""
    labels, size = o.labels or (100_000 if with_kvm() else 20_000), o.size or 500
    guest = ["python", "-m", "tests.bench.archive.local_guest", "--labels", labels, "--size", size]
    script = f"PYTHONPATH=$PYTHONPATH:$PWD:$PWD/hack {shlex.join([*map(str, guest), '--rounds', str(o.rounds)])}"
    with tempfile.TemporaryDirectory() as results:
        lab = [sys.executable, "-m", "labvm", "--script", script, "--also", "tests/bench", "--also", "hack/archive"]
        lab += ["--results", results, "--memory", f"{2048 + labels // 40 + 2 * size}M", "--timeout", "7200"]
        where, code = run(lab, {"PYTHONPATH": str(ROOT / "hack/lib"), "PYTHONDONTWRITEBYTECODE": "1"})
        written = Path(results) / "local.json"
        if not written.exists():
            raise SystemExit("the lab's machine gave no figures: see its output above")
        found: dict[str, Any] = json.loads(written.read_text())
    return {"run": where, "finished": code == 0, **found}


def views(o: argparse.Namespace, tools: Path) -> dict[str, Any]:
    """In the lab's machine. Raises SystemExit when it did not get to its end."""
    kvm = with_kvm()
    files, size = o.files or (20_000 if kvm else 3_000), o.size or 500
    guest = ["python", "-m", "tests.bench.archive.guest", "--files", files, "--size", size, "--pairs", o.pairs]
    guest += ["--rounds", o.rounds, "--patience", 20, "--budget", o.budget]
    script = f"PYTHONPATH=$PYTHONPATH:$PWD {shlex.join(map(str, guest))}"
    with tempfile.TemporaryDirectory() as results:
        lab = [sys.executable, "-m", "labvm", "--script", script, "--also", "tests/bench", "--results", results]
        lab += ["--memory", f"{max(2048, 1200 + 4 * size)}M", "--timeout", f"{o.budget * 60 + 900:.0f}"]
        where, code = run(lab, {"PYTHONPATH": str(ROOT / "hack/lib"), "PYTHONDONTWRITEBYTECODE": "1"})
        written = Path(results) / "views.json"
        if not written.exists():
            raise SystemExit("the lab's machine gave no figures: see its output above")
        found: dict[str, Any] = json.loads(written.read_text())
    versions = (tools / "packages.txt").read_text().splitlines()
    found["machine"]["packages"] = [
        " ".join(name.split("_")[:2]) for name in versions if name.startswith(tuple(f"{p}_" for p in PACKAGES))
    ]
    return {"run": where, "finished": code == 0, **found}


def survey(o: argparse.Namespace, tools: Path) -> dict[str, Any]:
    """On this machine."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        bench = [sys.executable, "-m", "tests.bench.bench_survey", "--entries", str(o.entries), "--json", out.name]
        mkfs = {} if "PDSHUB_MKFS_EROFS" in os.environ else {"PDSHUB_MKFS_EROFS": str(tools / "bin/mkfs.erofs")}
        where, _ = run(bench, mkfs)
        text = Path(out.name).read_text()
    if not text:
        raise SystemExit("the survey gave no figures: see its output above")
    return {"run": where, **json.loads(text)}


def main(argv: list[str]) -> int:
    o = options(argv)
    tools = newer.programs().ensure(Paths.from_environment())[0]
    written = o.out / "archive.json"
    document: dict[str, Any] = json.loads(written.read_text()) if written.exists() else {}
    document["quick"] = o.quick
    for name, half in (("survey", survey), ("views", views), ("local", local)):
        if o.only in (None, name):
            document[name] = half(o, tools)
            o.out.mkdir(parents=True, exist_ok=True)
            written.write_text(json.dumps(document, indent=1) + "\n")
            (o.out / "archive.md").write_text(page.render(document))
    missed = [bar for bar in page.bars(document) if not bar.met]
    for bar in missed:
        print(f"missed: {bar.what}: {bar.figure}, bar {bar.bar}")
    print(f"figures: {o.out / 'archive.md'}")
    return 1 if missed and not o.quick else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
