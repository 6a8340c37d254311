"""Figures of a hub: apply to Ready, spawn with and without the archive, publish time, memory.

``python -m tests.bench.hub OUT_DIR`` on a running cluster writes hub.json and hub.md. Two hubs that differ only
in the archive are measured in turn, so that a drift of the machine meets both.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import SYSTEM, demo, namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person

SERIAL, AT_ONCE, ROUNDS = 20, 10, 4
PROGRAMS = ("bin/pdshub-operator", "bin/pdshub-node --", "pdshub-node nfs-helper", "pdshub-surveyor serve")
USERS = [f"user{n:02d}" for n in range(max(SERIAL, AT_ONCE))]


def sample(cluster: Cluster, where: str, with_archive: bool) -> dict[str, Any]:
    """A hub for the benchmark; the archive is the only difference between two."""
    made = variant(
        demo(cluster),
        "bench",
        where,
        service={"type": "NodePort"},
        users={"allowed": USERS},
        culling={"enabled": False},
    )
    if not with_archive:
        made["spec"].pop("archive")
    return made


@contextmanager
def hubs(cluster: Cluster) -> Iterator[tuple[dict[str, str], dict[str, float]]]:
    """Both hubs, by name, and the seconds from apply to Ready of each."""
    spaces = {"archive": "bench-archive", "plain": "bench-plain"}
    ready: dict[str, float] = {}
    try:
        for kind, where in spaces.items():
            namespace(cluster, where)
            began = time.monotonic()
            cluster.apply(sample(cluster, where, kind == "archive"))
            wait_ready(cluster, "bench", where)
            ready[kind] = time.monotonic() - began
        cluster.kubectl(
            "wait", "--for=condition=ArchiveReady", "pdshub/bench", "-n", spaces["archive"], "--timeout=120s"
        )
        yield spaces, ready
    finally:
        for where in spaces.values():
            cluster.kubectl(
                "delete", "pdshub", "bench", "-n", where, "--ignore-not-found", "--timeout=180s", timeout=190
            )
            cluster.kubectl("delete", "namespace", where, "--ignore-not-found", "--wait=false")


def serial(people: dict[str, list[Person]]) -> dict[str, list[float]]:
    """One user after another, the two hubs in turn; the first pair warms up and is not counted."""
    times: dict[str, list[float]] = {kind: [] for kind in people}
    for n in range(SERIAL):
        for kind in sorted(people, reverse=bool(n % 2)):
            times[kind].append(people[kind][n].start())
            people[kind][n].stop()
        print(f"  spawn {n + 1}/{SERIAL}: " + ", ".join(f"{k} {v[-1]:.2f} s" for k, v in times.items()), flush=True)
    return times


def at_once(people: dict[str, list[Person]]) -> dict[str, list[float]]:
    """Everybody of a hub in the same moment; the hubs in turn, each first as often as second."""
    times: dict[str, list[float]] = {kind: [] for kind in people}
    for n in range(ROUNDS):
        for kind in sorted(people, reverse=bool(n % 2)):
            crowd = people[kind][:AT_ONCE]
            with ThreadPoolExecutor(len(crowd)) as pool:
                found = list(pool.map(lambda someone: someone.start(within=400), crowd))
            for someone in crowd:
                someone.stop()
            times[kind] += found
            print(f"  {AT_ONCE} at once, {kind}: {summary(found)}", flush=True)
    return times


def memory(cluster: Cluster, program: str) -> int:
    """Resident memory of a program's processes in the node, in bytes; the largest where there are several."""
    script = (
        f"for p in $(pgrep -f '{program}'); do "
        "grep -E '^(VmRSS|VmHWM)' /proc/$p/status 2>/dev/null | tr '\\n' ' '; echo; done"
    )
    rows = [r.split() for r in cluster.node("bash", "-c", script).splitlines() if "VmRSS" in r]
    return max((int(r[r.index("VmRSS:") + 1]) * 1024 for r in rows), default=0)


def published(cluster: Cluster) -> list[float]:
    """Milliseconds that the node plugin took for each volume it published."""
    log = cluster.kubectl("logs", "-n", SYSTEM, "-l", "app.kubernetes.io/component=node", "--tail=-1")
    return [float(ms) for ms in re.findall(r"published \S+ at \S+ in (\d+) ms", log)]


def report(cluster: Cluster) -> dict[str, Any]:
    """The view's node report, as kubectl shows it in the view's status."""
    found: dict[str, Any] = cluster.get("archiveview", "bench-archive-bench")["status"]
    return found


def summary(times: list[float]) -> dict[str, float]:
    """Median and worst, in the unit of the times."""
    return {"median": round(statistics.median(times), 2), "worst": round(max(times), 2)}


def page(figures: dict[str, Any]) -> str:
    """hub.md: the figures of hub.json in words. Pure."""
    run, serially, together = figures["run"], figures["spawnSerialSeconds"], figures["spawnAtOnceSeconds"]
    archive, plain = (figures["raw"]["serial"][kind] for kind in ("archive", "plain"))
    to_median = round(statistics.median(archive) - statistics.median(plain), 3)
    differences = [a - b for a, b in zip(archive, plain, strict=True)]
    of_pairs, spread = round(statistics.median(differences), 3), statistics.stdev(differences)
    times, milliseconds = "{median} / {worst} s", "{median} / {worst} ms"
    rows = [
        ("apply to Ready, images present", f"{figures['applyToReadySeconds']['archive']} s", "<= 30 s"),
        ("spawn, one after another, with archive: median / worst", times.format(**serially["archive"]), ""),
        ("the same without archive", times.format(**serially["plain"]), ""),
        ("the archive adds to the median spawn", f"{to_median} s", "<= 0.3 s"),
        (f"median of the pairs' differences, which differ by {spread:.1f} s themselves", f"{of_pairs} s", ""),
        (f"{AT_ONCE} at once, with archive: median / worst", times.format(**together["archive"]), ""),
        ("the same without archive", times.format(**together["plain"]), ""),
        ("the archive's volume published, median / worst", milliseconds.format(**figures["publishMilliseconds"]), ""),
        *(
            (f"memory of {name}", f"{mb} MB", "<= 120 MB" if name.startswith("bin/") else "")
            for name, mb in figures["memoryMB"].items()
        ),
    ]
    load = ", ".join(map(str, run["loadAtTheEnd"]))
    head = (
        f"# Figures of a hub\n\nWritten by `./hack/bench hub` on {run['date']}; raw data in hub.json. "
        f"{run['processors']} processors, Linux {run['kernel']}, load at the end {load}. {SERIAL} users one after "
        f"another, {ROUNDS} times {AT_ONCE} at once, the hub with the archive and the other in turn.\n\n"
    )
    return head + "| what | measured | bar |\n|---|---|---|\n" + "".join(f"| {a} | {b} | {c} |\n" for a, b, c in rows)


def main() -> None:
    """Measure and write."""
    out = Path(sys.argv[1])
    cluster = Cluster.load()
    with hubs(cluster) as (spaces, ready):
        print(f"apply to Ready: {ready}", flush=True)
        people = {kind: [person(cluster, u, "bench", where) for u in USERS] for kind, where in spaces.items()}
        for kind in people:  # homes are made and images are warm before anything counts
            people[kind][0].start()
            people[kind][0].stop()
        one = serial(people)
        many = at_once(people)
        figures: dict[str, Any] = {
            "applyToReadySeconds": {k: round(v, 1) for k, v in ready.items()},
            "spawnSerialSeconds": {k: summary(v) for k, v in one.items()},
            "spawnAtOnceSeconds": {k: summary(v) for k, v in many.items()},
            "memoryMB": {
                p: round(memory(cluster, p) / 1e6, 1)
                for p in (
                    "bin/pdshub-operator",
                    "bin/pdshub-node --",
                    "pdshub-node nfs-helper",
                    "pdshub-surveyor serve",
                )
            },
            "publishMilliseconds": summary(published(cluster)),
            "view": report(cluster),
            "raw": {"serial": one, "atOnce": many},
            "run": {
                "date": time.strftime("%Y-%m-%d"),
                "processors": os.cpu_count(),
                "kernel": os.uname().release.partition("-")[0],
                "loadAtTheEnd": [round(value, 1) for value in os.getloadavg()],
            },
        }
    out.mkdir(parents=True, exist_ok=True)
    (out / "hub.json").write_text(json.dumps(figures, indent=1) + "\n")
    (out / "hub.md").write_text(page(figures))
    print((out / "hub.md").read_text())


if __name__ == "__main__":
    main()
