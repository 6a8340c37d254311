"""The figures of a hub's backups: two runs, one file back, and servers that start beside a run."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.backup.estate import HUB, S3_KEYS, Estate, Json, Service, Size, backup_of, estate, moved
from tests.bench.backup.estate import KEYS as SECRET_NAME
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import wait_ready
from tests.e2e.hubclient import Person

SPACE, CHANGED = "bench-backup", 0.01
ONE = """
import hashlib
from pathlib import Path
files = sorted(Path.home().joinpath({top!r}).rglob({name!r}))
print(" ".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files))
"""


@contextmanager
def hub(cluster: Cluster, s3: Service, size: Size) -> Iterator[Estate]:
    """The hub with its homes."""
    made = estate(cluster, SPACE, size)
    made.away()  # what a run that was killed left
    try:
        made.prepare({SECRET_NAME: S3_KEYS})
        cluster.apply(made.manifest(backup_of(s3.repository("one"))))
        wait_ready(cluster, HUB, SPACE)
        yield made
    finally:
        made.away()


def figures(status: Json, bytes_moved: int) -> Json:
    """What a run is told by. Pure."""
    items = status["items"]
    return {
        "seconds": round(status["wall"], 1),
        "resticSeconds": round(sum(item["seconds"] for item in items), 1),
        "items": len(items),
        "files": status["files"],
        "sizeBytes": status["sizeBytes"],
        "addedBytes": status["addedBytes"],
        "movedBytes": bytes_moved,
        "itemSeconds": {item["item"]: item["seconds"] for item in items},
    }


def run(made: Estate, s3: Service, name: str) -> Json:
    """A backup, and what of it went to the service."""
    before = s3.objects()
    status = made.backup(name)
    found = figures(status, moved(before, s3.objects()))
    print(
        f"  {name}: {found['seconds']} s, restic {found['resticSeconds']} s, {found['movedBytes']:,} bytes", flush=True
    )
    return found


def runs(made: Estate, s3: Service, size: Size) -> Json:
    """The first run, and the second after a hundredth was written anew."""
    first = run(made, s3, "first")
    files, changed = made.change(CHANGED)
    second = run(made, s3, "second")
    return {"first": first, "second": second, "changedFiles": files, "changedBytes": changed}


def restores(made: Estate, size: Size) -> list[float]:
    """Seconds from the command to the file, one of a user who works meanwhile; every one is compared."""
    found = []
    for number in range(size.restores):
        user = made.users[number % len(made.users)]
        someone = made.person(user)
        someone.start()
        name = f"{(number * 7919) % size.home_files:06}.bin"
        path = f"bench/{int(name[:6]) // 500:03}/{name}"
        with someone.kernel() as kernel:
            wanted = kernel.run(ONE.format(top="bench", name=name)).ok()
            began = time.monotonic()
            words = ("restore", "user", user, "--path", path, "--hub", f"{made.space}/{HUB}", "-o", "json")
            answer = json.loads(made.cluster.run("kubectl", "pdshub", *words, timeout=900))
            took = time.monotonic() - began
            place = answer["restore"]["place"]
            assert kernel.run(ONE.format(top=place, name=name)).ok() == wanted, (
                f"{path} of {user} is not back in {place}"
            )
        someone.stop()
        found.append(round(took, 2))
        print(f"  file {number + 1}/{size.restores} back after {took:.1f} s", flush=True)
    return found


def alone(someone: Person, count: int) -> list[float]:
    """Seconds of servers that start while nothing else does."""
    found = []
    for _ in range(count):
        found.append(round(someone.start(), 2))
        someone.stop()
    return found


def spawns(made: Estate, s3: Service, size: Size) -> Json:
    """One server, again and again: before, beside and after runs that save everything into an empty repository.

    A start counts as beside a run when the run had begun before it and went on after it.
    """
    someone = made.person(made.users[-1])
    alone(someone, 1)  # warms up
    quiet, beside, number = alone(someone, size.spawns), list[float](), 0
    while len(beside) < size.spawns:
        number += 1
        shutil.rmtree(s3.folder / ("one" if number == 1 else f"again-{number - 1}"))  # disks have an end
        made.use(s3.repository(f"again-{number}"))
        name = f"again-{number}"
        made.ask(name)
        counted = len(beside)
        while made.status(name).get("phase") not in ("Completed", "PartiallyCompleted", "Failed"):
            works = made.status(name).get("phase") == "Running"
            took = someone.start()
            if works and made.status(name).get("phase") == "Running":
                beside.append(round(took, 2))
            someone.stop()
        print(f"  {len(beside) - counted} servers beside run {number}", flush=True)
        assert made.status(name)["phase"] == "Completed" and len(beside) > counted, made.status(name)
    return {"alone": [*quiet, *alone(someone, size.spawns)], "beside": beside}


def measure(cluster: Cluster, s3: Service, size: Size) -> Json:
    """All of them."""
    with hub(cluster, s3, size) as made:
        filled = made.fill(size.home_bytes, size.home_files)
        found: Json = {"filledBytes": filled, **runs(made, s3, size)}
        found["restoreSeconds"] = restores(made, size)
        found["spawnSeconds"] = spawns(made, s3, size)
    return found
