"""What is measured: hubs with homes full of files, whose backups lie in a real S3 service on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import demo, namespace, person, variant, wait_ready
from tests.e2e.google_hub import machine_address
from tests.e2e.hubclient import Person
from tests.programs import go_program

API, HUB, KEYS, BUCKET = "pdshub.dev/v1alpha1", "bench", "bench-s3", "bench"
PORT, ACCESS, SECRET = 18096, "bench-access", "bench-secret-words"
KEPT_OBJECTS = ".sgwtmp"
"""versitygw's own folder of what is not an object yet."""
ENDED = ("Completed", "PartiallyCompleted", "Failed")
HOURS = 4 * 3600.0
Json = dict[str, Any]

FILL = """
import hashlib, os, random
from pathlib import Path
chance = random.Random({seed!r})
weights = [chance.lognormvariate(0, 2) for _ in range({files})]
scale, made = {size} / sum(weights), 0
for number, weight in enumerate(weights):
    file = Path.home() / "bench" / f"{{number // 500:03}}" / f"{{number:06}}.bin"
    file.parent.mkdir(parents=True, exist_ok=True)
    made += file.write_bytes(os.urandom(max(1, round(weight * scale))))
print(made)
"""
"""Files of random bytes, which neither compression nor deduplication makes smaller: many small ones, few large ones."""
CHANGE = """
import os, random
from pathlib import Path
chance, files = random.Random({seed!r}), sorted(Path.home().joinpath("bench").rglob("*.bin"))
goal, changed, count = sum(file.stat().st_size for file in files) * {share}, 0, 0
for file in chance.sample(files, len(files)):
    size = file.stat().st_size
    if changed + size <= goal:
        changed += file.write_bytes(os.urandom(size))
        count += 1
    if changed >= 0.98 * goal:
        break
print(count, changed)
"""
DIGEST = """
import hashlib
from pathlib import Path
top, every = Path.home() / "bench", hashlib.sha256()
for file in sorted(top.rglob("*.bin")):
    every.update(f"{file.relative_to(top)} {hashlib.sha256(file.read_bytes()).hexdigest()}\\n".encode())
print(every.hexdigest())
"""


@dataclass(frozen=True)
class Size:
    """How much is measured. ``home_bytes``, ``home_files``: of one home; ``recovery_bytes``: of one that comes back."""

    homes: int = 20
    home_bytes: int = 500_000_000
    home_files: int = 5_000
    restores: int = 5
    spawns: int = 10
    recovery_bytes: int = 100_000_000
    recovery_files: int = 100

    @property
    def needs(self) -> int:
        """Bytes of this machine's disk: homes and repository, at the larger of the two times, and a tenth."""
        return round(2.1 * self.homes * max(self.home_bytes * 1.02, self.recovery_bytes))


FULL = Size()
SMALL = Size(3, 8_000_000, 60, 2, 2, 2_000_000, 20)


@dataclass(frozen=True)
class Service:
    """The S3 service: its address as pods reach it, and the folder in which it keeps a bucket's objects."""

    url: str
    folder: Path

    def repository(self, prefix: str) -> Json:
        """spec.backup.repository."""
        place = {"endpoint": self.url, "bucket": BUCKET, "region": "us-east-1", "prefix": prefix}
        return {"s3": {**place, "secretRef": KEYS}}

    def objects(self) -> dict[str, int]:
        """Size of every object."""
        files = (Path(at, name) for at, _, names in os.walk(self.folder) for name in names)
        return {str(file): file.stat().st_size for file in files if KEPT_OBJECTS not in file.parts}


def moved(before: dict[str, int], after: dict[str, int]) -> int:
    """Bytes of objects that were not there before, also those by which a prune replaced others. Pure."""
    return sum(size for name, size in after.items() if name not in before)


@contextmanager
def service(cluster: Cluster, cache: Path, needs: int) -> Iterator[Service]:
    """A running one; what it keeps goes at the end."""
    gateway = go_program("versitygw")
    if gateway is None:
        raise SystemExit("versitygw is not built: ./hack/up builds it")
    free = shutil.disk_usage(cache).free
    if free < needs:
        raise SystemExit(f"this takes {needs / 1e9:.0f} GB, and {cache} has {free / 1e9:.0f} GB free; or --small")
    root = Path(tempfile.mkdtemp(prefix="bench-backup-", dir=cache))
    (root / BUCKET).mkdir()
    words = {**os.environ, "ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET}
    with (root / "log").open("wb") as log:
        process = subprocess.Popen([gateway, "--port", f":{PORT}", "posix", root], env=words, stdout=log, stderr=log)
    try:
        yield Service(f"http://{machine_address(cluster)}:{PORT}", root / BUCKET)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(root, ignore_errors=True)


@dataclass(frozen=True)
class Estate:
    """A hub with homes."""

    cluster: Cluster
    space: str
    users: tuple[str, ...]

    def manifest(self, backup: Json, **spec: Any) -> Json:
        """The PDSHub: nothing of it outlives it."""
        found = demo(self.cluster)
        gone = {"homes": "Delete", "database": "Delete"}
        users, culling = {"allowed": list(self.users)}, {"enabled": False}
        service = {"type": "NodePort"}
        usual = {"users": users, "culling": culling, "service": service, "deletionPolicy": gone, "archive": None}
        return variant(found, HUB, self.space, **usual, backup=backup, **spec)

    def prepare(self, secrets: dict[str, dict[str, str]]) -> None:
        """The namespace, and Secrets in it."""
        namespace(self.cluster, self.space)
        for name, data in secrets.items():
            meta = {"name": name, "namespace": self.space}
            self.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data})

    def person(self, user: str) -> Person:
        """Somebody who signed in."""
        return person(self.cluster, user, HUB, self.space)

    def cell(self, user: str, code: str) -> str:
        """What a cell prints in somebody's server, which is stopped afterwards."""
        someone = self.person(user)
        someone.start()
        with someone.kernel() as kernel:
            said = kernel.run(code, within=HOURS).ok()
        someone.stop()
        return said

    def fill(self, size: int, files: int) -> int:
        """Fill every home; the bytes of all of them."""
        made = 0
        for number, user in enumerate(self.users):
            made += int(self.cell(user, FILL.format(seed=user, files=files, size=size)))
            print(f"  home {number + 1}/{len(self.users)} filled", flush=True)
        return made

    def change(self, share: float) -> tuple[int, int]:
        """Write a share of the bytes of every home anew; files and bytes that changed."""
        found = [self.cell(user, CHANGE.format(seed=user, share=share)).split() for user in self.users]
        return sum(int(count) for count, _ in found), sum(int(size) for _, size in found)

    def use(self, repository: Json) -> None:
        """Have backups go to another place."""
        body = {"spec": {"backup": {"repository": repository}}}
        self.cluster.kubectl("patch", "pdshub", HUB, "-n", self.space, "--type=merge", "-p", json.dumps(body))
        wait_ready(self.cluster, HUB, self.space)

    def ask(self, name: str) -> None:
        """Ask for a backup."""
        meta = {"name": name, "namespace": self.space}
        self.cluster.apply({"apiVersion": API, "kind": "HubBackup", "metadata": meta, "spec": {"hub": HUB}})

    def status(self, name: str) -> Json:
        """How far it is."""
        found: Json = self.cluster.get("hubbackup", name, self.space).get("status", {})
        return found

    def backup(self, name: str) -> Json:
        """Make one to its end: its status, and ``wall``, the seconds. Raises AssertionError unless all is saved."""
        began = time.monotonic()
        self.ask(name)
        status: Json = eventually(
            lambda: self.status(name), lambda found: found.get("phase") in ENDED, within=HOURS, what=f"backup {name}"
        )
        assert status["phase"] == "Completed", status
        return {**status, "wall": time.monotonic() - began}

    def away(self) -> None:
        """Delete the hub with its data, and the namespace."""
        at = ("-n", self.space)
        self.cluster.kubectl("delete", "pdshub", HUB, *at, "--ignore-not-found", "--timeout=900s", timeout=910)
        self.cluster.kubectl("delete", "namespace", self.space, "--ignore-not-found", "--timeout=600s", timeout=610)


def estate(cluster: Cluster, space: str, size: Size) -> Estate:
    """A hub of so many people; it is not there yet."""
    return Estate(cluster, space, tuple(f"user{number:02}" for number in range(size.homes)))


def backup_of(repository: Json) -> Json:
    """spec.backup: by hand alone."""
    return {"schedule": "@monthly", "suspend": True, "drill": {"suspend": True}, "repository": repository}


S3_KEYS = {"access-key-id": ACCESS, "secret-access-key": SECRET}
