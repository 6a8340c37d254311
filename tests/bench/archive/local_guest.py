"""Runs in the lab's machine: what travels with a generation, and reading at a distance. Writes $LAB_RESULTS/local.json.

``python -m tests.bench.archive.local_guest --labels N --size MB --rounds N``
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import zstandard

from pdshub.archive.content import document
from pdshub.node.mount import distance, mountinfo, worker_main
from pdshub.node.mount.catalog import KEPT_OPTIONS
from pdshub.node.pack import build as packs
from pdshub.surveyor.content import step
from tests.bench.archive import labelled, tree, work
from tests.bench.archive.calls import Traffic, traffic
from tests.bench.archive.contenders import ADDRESS, in_child, unmount
from tests.bench.archive.generation import Surveyed
from tests.bench.archive.guest import drop_caches, set_delay, sh

FOLDER, EXPORTS = Path("/run/lab/local"), Path("/run/lab/nas")
READ_AT, DELAYS = 2.0, (0.5, 2.0, 20.0)
"""Milliseconds of a round trip: for labels, and for large files."""
SMALL = 1000
Json = dict[str, Any]


class Places:
    """Mounts of one export: NFS as the node mounts it, a catalog over it, and the catalog whose labels are local."""

    def __init__(self, name: str, root: Path) -> None:
        self.name, self.root = name, root
        self.surveyed = Surveyed(FOLDER / name / "generations", root)
        self.generation, self.directory = self.surveyed.make()
        self.packs: list[Path] = []
        self.images: list[Path] = []
        self.facts: Json = {}

    def read_content(self) -> None:
        """What travels, as surveyor and node make it: packs, then their images."""
        began, store = time.monotonic(), FOLDER / self.name / "store"
        sources, kept = FOLDER / self.name / "sources", FOLDER / self.name / "packs"
        for path in (store, sources, kept, store / "none"):
            path.mkdir(parents=True)
        (sources / "nas").symlink_to(self.root)
        task = {
            "generation": str(self.directory), "generations": str(store / "none"), "sources": str(sources),
            "store": str(store), "budget": 8 << 30, "rate": 0, "seconds": 3600,
            "rules": {"labels": True, "maxFileSize": 0, "include": [], "exclude": []},
        }  # fmt: skip
        finished, steps = False, 0
        while not finished:
            work_folder = FOLDER / self.name / "work"
            shutil.rmtree(work_folder, ignore_errors=True)
            work_folder.mkdir()
            finished = bool(step({**task, "work": str(work_folder)}, lambda text: None)["finished"])
            steps += 1
        found = document.parse((work_folder / document.FILE).read_bytes())
        read, began = time.monotonic() - began, time.monotonic()
        for image in found.images:
            packed = (work_folder / "images" / f"{image.digest.removeprefix('sha256:')}.zst").read_bytes()
            raw = zstandard.decompress(packed)
            self.images.append(FOLDER / self.name / image.name)
            self.images[-1].write_bytes(raw + bytes(-len(raw) % 4096))
        for pack in found.packs:
            with (store / "packs" / f"{pack.digest.removeprefix('sha256:')}.tar.zst").open("rb") as stream:
                self.packs.append(packs.build(stream, pack, kept, lambda count: None))
        tars = sum(path.stat().st_size for path in (store / "packs").iterdir())
        self.facts = {
            "labels": found.local.files, "labelBytes": found.local.bytes, "packs": len(self.packs),
            "packBytes": tars, "imageBytes": sum(path.stat().st_size for path in self.packs),
            "steps": steps, "readSeconds": round(read, 1), "imageSeconds": round(time.monotonic() - began, 1),
        }  # fmt: skip

    def mount(self, kind: str) -> tuple[Path, Path]:
        """(its own NFS mount, what people see)."""
        nfs, point = FOLDER / self.name / kind / "nfs", FOLDER / self.name / kind / "entry/mnt"
        nfs.mkdir(parents=True, exist_ok=True)
        words: Json = {"read_ahead": distance.LEAST, "connections": 1} if kind == "default" else {}
        more = "" if kind in ("NFS", "default") else KEPT_OPTIONS
        device = f"{ADDRESS}:/{self.root.name}"
        worker_main.mount_nfs(ADDRESS, f"/{self.root.name}", 2049, "4.2", str(nfs), device, more, **words)
        if kind in ("NFS", "default"):
            return nfs, nfs
        images = [self.directory / image.name for image in self.generation.images]
        layers = worker_main.probe(str(nfs), [layer.path for layer in self.generation.data])["layers"]
        point.parent.mkdir(parents=True, exist_ok=True)
        data = [
            {"source": x.source, "base": str(nfs), "path": x.path, "identity": layers[x.path], "runAs": None}
            for x in self.generation.data
        ]

        def build() -> None:
            worker_main.build_catalog(
                str(point), {"generation": self.generation.name, "layers": []}, generation=self.generation.name,
                images=[{"path": str(path), "source": image.source}
                        for path, image in zip(self.images if kind == "content" else images, self.generation.images,
                                               strict=True)],
                data=data, nested=self.generation.nested, top=self.generation.top, empty=str(FOLDER / "empty"),
                packs=[str(path) for path in self.packs] if kind == "content" else [],
            )  # fmt: skip

        in_child(build)
        return nfs, point

    def unmount(self, kind: str) -> None:
        for path in ("entry/mnt", "nfs"):
            unmount(FOLDER / self.name / kind / path)


def cold(places: Places, kind: str, do: Callable[[Path], int]) -> Json:
    """One run: mounted anew, caches dropped."""
    nfs, root = places.mount(kind)
    try:
        drop_caches()
        before: Traffic = traffic(nfs)
        began = time.perf_counter()
        value = do(root)
        seconds = time.perf_counter() - began
        after = traffic(nfs).since(before)
        there = mountinfo.top(mountinfo.read(), str(nfs))
        ahead = distance.of(there.device) >> 10 if there else 0
        return {
            "seconds": round(seconds, 3), "calls": after.total, "reads": after.reads, "bytesRead": after.bytes_read,
            "byOperation": dict(after.calls.most_common(6)), "value": value, "readAheadKiB": ahead,
        }  # fmt: skip
    finally:
        places.unmount(kind)


def rounds(places: Places, kinds: list[str], do: Callable[[Path], int], count: int) -> Json:
    """Contenders in turn; medians of seconds, the rest of the first round."""
    found: dict[str, list[Json]] = {kind: [] for kind in kinds}
    for n in range(count):
        for kind in kinds if n % 2 == 0 else kinds[::-1]:
            found[kind].append(cold(places, kind, do))
            print(f"    {kind}: {found[kind][-1]['seconds']} s, {found[kind][-1]['calls']} calls", flush=True)
    values = {str(run["value"]) for runs in found.values() for run in runs}
    assert len(values) == 1, f"contenders show different things: {values}"
    return {
        kind: {**runs[0], "seconds": round(statistics.median(r["seconds"] for r in runs), 3),
               "runs": [r["seconds"] for r in runs]}
        for kind, runs in found.items()
    }  # fmt: skip


def with_pds4_tools(root: Path, products: list[str]) -> int:
    tools = importlib.import_module("pds4_tools")
    total = 0
    with redirect_stdout(io.StringIO()):
        for path in products:
            total += int(tools.read(str(root / path), quiet=True)[0].data.sum())
    return total


def with_pdr(root: Path, products: list[str]) -> int:
    pdr = importlib.import_module("pdr")
    return sum(int(pdr.read(str(root / path))["image"].sum()) for path in products)


def grep(root: Path) -> int:
    done = subprocess.run(["grep", "-rl", labelled.NEEDLE, str(root)], stdout=subprocess.PIPE, check=True)
    return done.stdout.count(b"\n")


def export(name: str, number: int) -> Path:
    root = EXPORTS / name
    root.mkdir()
    sh("mount", "-t", "tmpfs", "-o", "size=90%,mode=755", f"nas-{name}", root)
    sh("exportfs", "-o", f"ro,no_root_squash,no_subtree_check,fsid={number}", f"{ADDRESS}:{root}")
    return root


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, required=True)
    parser.add_argument("--size", type=int, required=True, help="MB of the large file")
    parser.add_argument("--rounds", type=int, required=True)
    options = parser.parse_args()
    out, figures = Path(os.environ["LAB_RESULTS"]) / "local.json", Json()
    figures["machine"] = {
        "kernel": os.uname().release, "accelerator": os.environ.get("LAB_MACHINE", "unknown"),
        "cores": os.cpu_count(), "memoryMB": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "labels": options.labels, "sizeMB": options.size,
    }  # fmt: skip
    (FOLDER / "empty").mkdir(parents=True)

    def part(name: str, do: Callable[[], Any]) -> None:
        began = time.monotonic()
        print(f"  {name}", flush=True)
        figures[name] = do()
        print(f"  {name}: {time.monotonic() - began:.0f} s", flush=True)
        out.write_text(json.dumps(figures, indent=1) + "\n")

    sh("exportfs", "-o", "ro,no_root_squash,no_subtree_check,fsid=0", f"{ADDRESS}:{EXPORTS}")
    root = export("travel", 1)
    products = labelled.build(root, options.labels)
    some = sorted(str(p.relative_to(root)) for p in (root / "travel/labels").glob("*/*.xml"))
    some = some[:: max(1, len(some) // SMALL)][:SMALL]
    places = Places("travel", root)
    places.read_content()
    figures["content"] = places.facts
    with_pds4_tools(root, products[:1])  # loading the modules is no part of a time
    with_pdr(root, products[:1])
    set_delay(READ_AT)
    kinds = ["NFS", "catalog", "content"]
    part(f"{len(some)} labels read", lambda: rounds(places, kinds, lambda r: work.read_small(r, some), options.rounds))
    part(
        "50 products by pds4_tools",
        lambda: rounds(places, kinds, lambda r: with_pds4_tools(r, products), options.rounds),
    )
    part("50 products by pdr", lambda: rounds(places, kinds, lambda r: with_pdr(r, products), options.rounds))
    part(f"grep -rl over {options.labels} labels", lambda: rounds(places, ["content"], grep, options.rounds))
    large = export("large", 2)
    tree.build(large, tree.Size(0, options.size << 20))
    distant, pair = Places("large", large), ["default", "NFS", "catalog"]
    for delay in DELAYS:
        set_delay(delay)
        part(f"{options.size} MB sequential, {delay:g} ms", lambda: rounds(distant, pair, work.read_big, 1))
        part(f"{work.RANDOM_READS} random 4 kB reads, {delay:g} ms",
             lambda: rounds(distant, pair, work.read_random, options.rounds))  # fmt: skip
        part(
            f"{tree.FITS_FILES} FITS opened, {delay:g} ms",
            lambda: rounds(distant, pair, work.open_fits, options.rounds),
        )
    set_delay(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
