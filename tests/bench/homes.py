"""How long homes on a node's own disk take: ``./hack/bench homes``, which writes docs/benchmarks/homes.md.

Images of XFS on this machine, where they reflink and where they do not. No cluster: what the driver does, without the
kubelet and the API server around it.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pdshub.homes.operations import Homes
from tests.bench.labels import processor
from tests.unit.homes.disk import APART, MI, ROOT, Disk, disk, why_not

ROUNDS = 5
CONTENTS = (64, 512)
"""MiB that a home holds when it is kept."""
SIZE = 1024 * MI
Json = dict[str, Any]
KINDS = {"reflink": "reflinks (XFS)", "copy": "does not (this machine's)"}


class Writer:
    """Somebody who works: a byte now and then. ``longest``: seconds that one of them waited at most."""

    def __init__(self, path: Path) -> None:
        self._path, self._over = path, threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.longest = 0.0

    def _work(self) -> None:
        with self._path.open("wb", buffering=0) as file:
            while not self._over.is_set():
                began = time.monotonic()
                file.write(b"x")
                self.longest = max(self.longest, time.monotonic() - began)
                time.sleep(0.001)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def took(call: Callable[[], Any]) -> float:
    began = time.monotonic()
    call()
    return round(time.monotonic() - began, 4)


def _one(d: Disk, homes: Homes, number: int, content: int) -> Json:
    name = f"pvc-{content}-{number}"
    made: Json = {"content": content}
    made["create"] = took(lambda: homes.create(name, SIZE, 0))
    (volume,) = (v.id for v in homes.volumes() if v.label == name)
    made["mount"] = took(lambda: d.mounted(homes, volume))
    home = d.target()
    with (home / "content").open("wb") as file:
        for _ in range(content):
            file.write(os.urandom(MI))
        os.fsync(file.fileno())
    with Writer(home / "work") as writer:
        made["checkpoint"] = took(lambda: homes.checkpoint(volume, name))
    made["stands still"] = round(writer.longest, 4)
    made["how"] = homes.checkpoints(volume)[0].how
    made["grow"] = took(lambda: homes.grow(volume, 2 * SIZE))
    d.unmounted(homes, volume)
    homes.drop(homes.checkpoints(volume)[0].id)
    homes.delete(volume)
    return made


def measure(reflink: bool) -> list[Json]:
    """The rows of one kind of disk. In namespaces of its own: it mounts."""
    with disk(reflink=reflink) as d:
        homes = d.homes()
        return [_one(d, homes, number, content) for content in CONTENTS for number in range(ROUNDS)]


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def page(document: Json) -> str:
    """The figures, for people."""
    lines = [
        "# Homes on a node's own disk: figures",
        "",
        "Written by `./hack/bench homes`, with homes.json beside it. Do not edit. The driver without Kubernetes:",
        f"seconds, the middle and the worst of {document['rounds']}; homes of {SIZE // MI} MiB.",
        "",
        f"{document['date']}, {document['processor']}, {document['cores']} cores, Linux {document['kernel']},"
        f" load before {document['load']}" + ("; other work shared the machine." if document["shared"] else "."),
        "",
        "| the disk below | content of the home | made | mounted | kept | stands still | grown in use |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for how, words in KINDS.items():
        for content in dict.fromkeys(row["content"] for row in document["rows"]):
            rows = [row for row in document["rows"] if (row["how"], row["content"]) == (how, content)]
            if not rows:
                continue
            cells = [
                f"{middle([r[key] for r in rows]):.3f}, {max(r[key] for r in rows):.3f}"
                for key in ("create", "mount", "checkpoint", "stands still", "grow")
            ]
            lines.append(f"| {words} | {content} MiB | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    if sys.argv[1] == "--inside":
        print(json.dumps(measure(sys.argv[2] == "reflink")))
        return 0
    if why := why_not():
        sys.exit(f"homes can't be measured here: {why}")
    out = Path(sys.argv[1])
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    rows: list[Json] = []
    for kind in KINDS:
        command = [*APART, sys.executable, "-m", "tests.bench.homes", "--inside", kind]
        rows += json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    document = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "cores": cores,
        "kernel": platform.release(),
        "load": round(load, 1),
        "shared": load > cores / 2,
        "rounds": ROUNDS,
        "rows": rows,
    }
    (out / "homes.json").write_text(json.dumps(document, indent=1) + "\n")
    (out / "homes.md").write_text(page(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
