"""What 50 pods cost one node: kernel memory while 50 walk their targets, and the time to switch all of them."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from pdshub.node.mount import syscalls, targets
from pdshub.node.mount.catalog import KEPT_OPTIONS
from tests.bench.archive import work
from tests.bench.archive.contenders import Contenders, build_catalog, mount_nfs, unmount
from tests.bench.archive.generation import Surveyed

TARGETS, SWITCHES = 50, 20
AT = "archive"


def _meminfo() -> dict[str, int]:
    """kB."""
    rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {row[0].rstrip(":"): int(row[1]) for row in rows}


def _settled() -> dict[str, int]:
    """Memory once nothing is cached that can be dropped."""
    os.sync()
    for _ in range(3):
        Path("/proc/sys/vm/drop_caches").write_text("3")
        time.sleep(0.3)
    return _meminfo()


def _walkers(roots: list[Path]) -> dict[str, int]:
    """What is taken, in kB, after one walker a target has seen every name and attribute; all at once."""
    before = _settled()
    children = []
    for root in roots:
        child = os.fork()
        if not child:
            try:
                work.walk(root)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    time.sleep(1)  # the processes' own memory is given back
    after = _meminfo()
    return {"slab": after["Slab"] - before["Slab"], "all": before["MemFree"] - after["MemFree"]}


def _pod(target: Path, folder: Path) -> None:
    """What the kubelet does: the pod's mount gets what happens below the target."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "--bind", target, folder], check=True)
    subprocess.run(["mount", "--make-rslave", folder], check=True)


def measure(contenders: Contenders, surveyed: Surveyed, folder: Path) -> dict[str, Any]:
    """Publish two generations to TARGETS targets with a pod each; leaves nothing mounted."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "kubelet", folder], check=True)
    subprocess.run(["mount", "--make-rshared", folder], check=True)
    nfs, front = folder / "nfs", folder / "front"
    (front / AT).mkdir(parents=True)
    mount_nfs("/bench", nfs, KEPT_OPTIONS)
    (surveyed.root / "released.txt").write_text("the second generation\n")
    entries = []
    assert contenders.generation
    for n, (generation, directory) in enumerate((contenders.generation, surveyed.make())):
        entries.append(folder / f"entries/g{n}/mnt")
        build_catalog(generation, directory, nfs, entries[n], contenders.empty)
    points = [folder / f"pods/{n}/mount" for n in range(TARGETS)]
    for n, target in enumerate(points):
        target.mkdir(parents=True)
        with syscalls.opened(str(front)) as directory:
            targets.put(directory, str(target))
        subprocess.run(["mount", "--make-shared", target], check=True)
        _pod(target, folder / f"containers/{n}")
        targets.attach(str(entries[0]), str(target), AT, str(front))
    seen = [folder / f"containers/{n}" / AT for n in range(TARGETS)]
    files = {sum(1 for _ in path.rglob("*")) for path in seen[:2]}
    memory = {"one": _walkers(seen[:1]), "fifty": _walkers(seen)}
    times, results = [], set()
    for n in range(SWITCHES):
        origin = str(entries[(n + 1) % 2])
        began = time.perf_counter()
        done = targets.switch(origin, [(str(t), AT, 1) for t in points], str(front))
        times.append(time.perf_counter() - began)
        results.update(done)
        shown = {(path / "released.txt").exists() for path in seen}
        if shown != {n % 2 == 0}:
            results.add(f"after switch {n} pods show {shown}")
    (surveyed.root / "released.txt").unlink()
    subprocess.run(["umount", "--recursive", "--lazy", folder], check=True)
    unmount(folder)
    return {
        "targets": TARGETS,
        "entries": max(files),
        "memoryKB": memory,
        "memoryRatio": round(memory["fifty"]["slab"] / max(memory["one"]["slab"], 1), 3),
        "memoryRatioAll": round(memory["fifty"]["all"] / max(memory["one"]["all"], 1), 3),
        "switchSeconds": {
            "runs": [round(t, 4) for t in times],
            "median": round(statistics.median(times), 4),
            "worst": round(max(times), 4),
        },
        "switchResults": sorted(results),
    }
