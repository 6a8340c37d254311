"""Runs in the lab's machine: measures all contenders, writes $LAB_RESULTS/views.json after each part.

``python -m tests.bench.archive.guest --files N --size MB --pairs N --rounds N --budget MINUTES``
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.archive import many, pairs, tree, work
from tests.bench.archive.calls import Traffic, traffic
from tests.bench.archive.contenders import ADDRESS, Contenders, Place, Refused
from tests.bench.archive.generation import Surveyed

FOLDER = Path("/run/lab/bench")
EXPORT = Path("/run/lab/nas/bench")
DELAYS = (0.5, 2.0)
"""Milliseconds of a round trip."""
FEW = 50
"""Small files of a run in pairs."""
PART = 64
"""MB of the large file that a run in pairs reads, so that many pairs fit into the time."""
Parts = list[tuple[str, Callable[[Place], int]]]


def sh(*command: str | Path) -> None:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr}")


def set_delay(milliseconds: float) -> None:
    """Every packet passes lo once, so a round trip has the delay twice."""
    what = ["root", "netem", "delay", f"{milliseconds * 500:.0f}us"]
    if subprocess.run(["tc", "qdisc", "change", "dev", "lo", *what], capture_output=True).returncode:
        sh("tc", "qdisc", "add", "dev", "lo", *what)


def drop_caches() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


class Bench:
    def __init__(self, options: argparse.Namespace, out: Path) -> None:
        self.options, self.out = options, out
        self.until: float = time.monotonic() + options.budget * 60
        self.contenders = Contenders(FOLDER, "/bench")
        self.figures: dict[str, Any] = {"skipped": [], "refused": {}, "views": {}, "pairs": {}}
        self.names: list[str] = list(self.contenders.makers)

    def late(self) -> bool:
        return time.monotonic() > self.until

    def save(self) -> None:
        new = self.out.with_suffix(".new")
        new.write_text(json.dumps(self.figures, indent=1) + "\n")
        new.rename(self.out)

    def part(self, name: str, do: Callable[[], Any]) -> Any:
        """``do`` unless time is up; says how long it took."""
        if self.late():
            self.figures["skipped"].append(name)
            print(f"  {name}: skipped, time is up", flush=True)
            return None
        began = time.monotonic()
        answer = do()
        print(f"  {name}: {time.monotonic() - began:.0f} s", flush=True)
        self.save()
        return answer

    # one contender, one session: a cold mount, then the given works in turn

    def cold(self, name: str, parts: Parts) -> dict[str, Any]:
        drop_caches()
        with self.contenders.mounted(name) as place:
            # making the mount has read what it needed; that is not the work's
            drop_caches()
            work.prepare(self.contenders.empty)
            found: dict[str, Any] = {}
            before = traffic(place.nfs)
            for what, do in parts:
                began = time.perf_counter()
                value = do(place)
                seconds = time.perf_counter() - began
                after = traffic(place.nfs)
                found[what] = one(seconds, after.since(before), value)
                before = after
        return found

    def session(self, title: str, parts: Parts) -> dict[str, Any]:
        """All contenders in turn, again while that is quick; medians, and the calls of the first round."""
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in self.names}
        began = time.monotonic()
        for n in range(self.options.rounds):
            if n and (self.late() or time.monotonic() - began > self.options.patience):
                break
            for name in self.names if n % 2 == 0 else self.names[::-1]:
                runs[name].append(self.cold(name, parts))
        return {what: {name: median([r[what] for r in found]) for name, found in runs.items()} for what, _ in parts}

    def views(self) -> None:
        small = tree.small(EXPORT, work.SMALL_FILES)
        sessions: list[tuple[str, Parts]] = [
            ("os.walk + stat", [("os.walk + stat, cold", lambda p: work.walk(p.root))]),
            (
                "sequential",
                [
                    (f"{self.options.size} MB sequential, cold", lambda p: work.read_big(p.root)),
                    (f"{self.options.size} MB sequential, warm", lambda p: work.read_big(p.root)),
                ],
            ),
            ("find", [("find, cold", lambda p: work.find(p.root))]),
            ("ls -lR", [("ls -lR, cold", lambda p: work.ls(p.root))]),
            ("random", [(f"{work.RANDOM_READS} random 4 kB reads, cold", lambda p: work.read_random(p.root))]),
            ("FITS", [(f"astropy opens {tree.FITS_FILES} FITS, cold", lambda p: work.open_fits(p.root))]),
            ("glob", [("glob, cold", lambda p: work.globbing(p.root))]),
            (
                "small files",
                [
                    (f"{len(small)} small files, cold", lambda p: work.read_small(p.root, small)),
                    (f"{len(small)} small files, warm", lambda p: work.read_small(p.root, small)),
                ],
            ),
        ]
        for delay in sorted(DELAYS, reverse=True):
            set_delay(delay)
            for title, parts in sessions:
                found = self.part(f"{title}, {delay:g} ms", lambda: self.session(title, parts))  # noqa: B023
                if found:
                    self.figures["views"].setdefault(f"{delay:g}", {}).update(found)
                    self.save()

    def paired(self) -> None:
        """NFS, and the catalog over that very mount: of two mounts by one client the server gives only the first the
        delegations that spare its second OPEN."""
        set_delay(DELAYS[0])
        small, part = tree.small(EXPORT, FEW), min(PART, self.options.size)
        with self.contenders.mounted("catalog") as catalog:
            places: dict[str, Place] = {"NFS": Place(catalog.nfs, catalog.nfs), "catalog": catalog}
            reads: dict[str, Traffic] = {}

            def timed(name: str, do: Callable[[Path], object], cold: bool) -> float:
                if cold:
                    drop_caches()
                before = traffic(places[name].nfs)
                began = time.perf_counter()
                do(places[name].root)
                seconds = time.perf_counter() - began
                reads[name] = traffic(places[name].nfs).since(before)
                return seconds

            works: list[tuple[str, Callable[[Path], object], bool]] = [
                (f"{part} MB sequential, cold", lambda root: work.read_big(root, part << 20), True),
                (f"{part} MB sequential, warm", lambda root: work.read_big(root, part << 20), False),
                (f"{FEW} small files, cold", lambda root: work.read_small(root, small), True),
                (f"{FEW} small files, warm", lambda root: work.read_small(root, small), False),
            ]
            for what, do, cold in works:
                found = self.part(
                    f"pairs: {what}",
                    lambda: pairs.in_turn(lambda name: timed(name, do, cold), self.options.pairs, self.late),  # noqa: B023
                )
                if found:
                    found["reads"] = {
                        name: {"calls": t.reads, "bytes": t.bytes_read, "all": t.total} for name, t in reads.items()
                    }
                    self.figures["pairs"][what] = found
                    self.save()


def one(seconds: float, seen: Traffic, value: int) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 4),
        "calls": seen.total,
        "reads": seen.reads,
        "byOperation": dict(seen.calls.most_common()),
        "bytesRead": seen.bytes_read,
        "value": value,
    }


def median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = [r["seconds"] for r in runs]
    return {**runs[0], "seconds": round(statistics.median(seconds), 4), "runs": seconds}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, required=True)
    parser.add_argument("--size", type=int, required=True, help="MB of the large file")
    parser.add_argument("--pairs", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--patience", type=float, required=True, help="seconds after which no round of a work begins")
    parser.add_argument("--budget", type=float, required=True, help="minutes after which no part begins")
    options = parser.parse_args()
    began = time.monotonic()
    EXPORT.mkdir()
    sh("mount", "-t", "tmpfs", "-o", "size=80%,mode=755", "nas-bench", EXPORT)
    tree.build(EXPORT, tree.Size(options.files, options.size << 20))
    sh("exportfs", "-o", "ro,no_root_squash,no_subtree_check,fsid=0", f"{ADDRESS}:{EXPORT.parent}")
    sh("exportfs", "-o", "ro,no_root_squash,no_subtree_check,fsid=1", f"{ADDRESS}:{EXPORT}")
    bench = Bench(options, Path(os.environ["LAB_RESULTS"]) / "views.json")
    bench.figures["machine"] = {
        "kernel": os.uname().release,
        "accelerator": os.environ.get("LAB_MACHINE", "unknown"),
        "cores": os.cpu_count(),
        "memoryMB": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "files": options.files,
        "sizeMB": options.size,
    }
    surveyed = Surveyed(FOLDER / "generations", EXPORT)
    bench.contenders.generation = surveyed.make()
    set_delay(DELAYS[0])
    for name in list(bench.names):
        try:
            with bench.contenders.mounted(name) as place:
                work.open_fits(place.root)
                traffic(place.nfs)
        except Refused as error:
            bench.names.remove(name)
            bench.figures["refused"][name] = str(error)
    bench.figures["form"] = bench.contenders.form
    print(f"prepared in {time.monotonic() - began:.0f} s: {', '.join(bench.names)}", flush=True)
    bench.paired()
    bench.figures["node"] = bench.part("50 pods", lambda: many.measure(bench.contenders, surveyed, FOLDER / "many"))
    bench.views()
    bench.figures["seconds"] = round(time.monotonic() - began)
    bench.save()
    return 1 if bench.figures["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
