"""What happens to backups when something below them breaks.

After each fault the next run succeeds by itself, no lock is left, the status says what was, and a file that a finished
backup held comes back.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import SYSTEM, namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person
from tests.e2e.s3_service import S3Service, keys, place, s3_service

pytestmark = pytest.mark.long
SPACE, HUB, KEY = "e2e-faults", "faulty", "faulty-backup-key"
OTHER_SPACE = "e2e-faults-beside"
PORT = 18096
API = "pdshub.dev/v1alpha1"
ENDED = ("Completed", "PartiallyCompleted", "Failed")
KEEP = {"keepLast": 50}
HOME = """
import hashlib, os, socket
from pathlib import Path
home = Path.home()
odd = home / "odd names"
odd.mkdir(exist_ok=True)
for name in ("a b", "percent%2F", "quote'\\"", "new\\nline", "ünïcode", "-dash", "*star?", "back\\\\slash"):
    (odd / name).write_text(name)
with (odd / "sparse").open("wb") as sparse:
    sparse.truncate(512 << 20)
    sparse.seek(300 << 20)
    sparse.write(b"in the middle")
if not (odd / "linked").exists():
    os.link(odd / "a b", odd / "linked")
    os.symlink("/etc/passwd", odd / "outside")
    os.symlink("nowhere", odd / "dangling")
    os.mkfifo(odd / "pipe")
    socket.socket(socket.AF_UNIX).bind(str(odd / "socket"))
data = home / "precious.bin"
if not data.exists():
    data.write_bytes(os.urandom(6_000_000))
print(hashlib.sha256(data.read_bytes()).hexdigest())
"""
FOUND = """
import hashlib
from pathlib import Path
for p in sorted(Path.home().rglob("precious.bin")):
    print(p.relative_to(Path.home()), hashlib.sha256(p.read_bytes()).hexdigest())
"""
ODD = """
import os, stat
from pathlib import Path
def seen(top):
    rows = []
    for folder, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(folder, name)
            s = os.lstat(path)
            what = os.readlink(path) if stat.S_ISLNK(s.st_mode) else s.st_size if stat.S_ISREG(s.st_mode) else ""
            rows.append((os.path.relpath(path, top), stat.S_IFMT(s.st_mode), stat.S_IMODE(s.st_mode), what))
    return sorted(rows)
home = Path.home()
(back,) = home.glob("PLACE")
(copy,) = [p for p in back.rglob("odd names")]
was = [row for row in seen(home / "odd names") if row[0] not in ("pipe", "socket")]
is_ = seen(copy)
assert was == is_, set(was) ^ set(is_)
assert os.stat(copy / "linked").st_ino == os.stat(copy / "a b").st_ino, "hard links stay links"
assert os.stat(copy / "sparse").st_blocks < 100_000, "holes stay holes"
print("same")
"""


class Estate:
    """A hub with backups in S3, and what a person at kubectl does with it."""

    def __init__(
        self, cluster: Cluster, sample: dict[str, Any], service: S3Service, space: str = SPACE, hub: str = HUB
    ) -> None:
        self.cluster, self.sample, self.service = cluster, sample, service
        self.space, self.hub = space, hub
        self.number = 0
        self.digest = ""
        self.ada: Person

    def apply(self, hub: str = "", space: str = "", prefix: str = "", spec: Any = None, **more: Any) -> None:
        """The hub; backups are asked for by hand."""
        users = {"allowed": ["ada"], "admins": ["root-admin"]}
        backup = {"suspend": True, "repository": place(self.service, prefix), "retention": KEEP, **more}
        backup.setdefault("drill", {"suspend": True})
        fields = {"archive": None, "users": users, "backup": backup, **(spec or {})}
        self.cluster.apply(variant(self.sample, hub or self.hub, space or self.space, **fields))

    def ask(self, kind: str = "HubBackup", hub: str = "", space: str = "", **spec: Any) -> str:
        """Ask for a run or a restore; its name."""
        self.number += 1
        name = f"{kind[3:].lower()}-{self.number}"
        meta = {"name": name, "namespace": space or self.space}
        asked = {"hub": hub or self.hub, **spec}
        self.cluster.apply({"apiVersion": API, "kind": kind, "metadata": meta, "spec": asked})
        return name

    def status(self, name: str, kind: str = "hubbackup", space: str = "") -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get(kind, name, space or self.space).get("status", {})
        return found

    def ended(self, name: str, kind: str = "hubbackup", within: float = 600, space: str = "") -> dict[str, Any]:
        """Its status at its end."""
        found: dict[str, Any] = eventually(
            lambda: self.status(name, kind, space),
            lambda status: status.get("phase") in ENDED,
            within=within,
            what=f"{kind} {name} ends",
        )
        return found

    def at(self, name: str, part: str, within: float = 300) -> str:
        """The Job of a run, once it is at this part: init, i0, forget."""
        return str(
            eventually(
                lambda: self.status(name).get("job", ""),
                lambda job: f"-{part}" in job[len(name) :],
                within=within,
                every=0.2,
                what=f"{name} is at {part}",
            )
        )

    def pod_of(self, job: str, space: str = "") -> dict[str, Any]:
        """The pod of a Job, once its program runs."""
        found: dict[str, Any] = eventually(
            lambda: self.cluster.items("pods", space or self.space, f"batch.kubernetes.io/job-name={job}")[0],
            lambda pod: pod["status"].get("containerStatuses", [{}])[0].get("state", {}).get("running"),
            within=120,
            every=0.2,
            what=f"{job} runs",
        )
        return found

    def node_again(self) -> None:
        """The node is started anew, and all on it dies; the API server is back."""
        self.cluster.engine("restart", "-t", "1", self.cluster.facts["NODE_CONTAINER"])
        eventually(lambda: self.cluster.kubectl("get", "--raw", "/readyz"), within=300, what="the API server is back")

    def ada_again(self) -> None:
        """ada is at work again, at the address that the node has then."""
        wait_ready(self.cluster, self.hub, self.space, 600)
        self.ada = eventually(
            lambda: person(self.cluster, "ada", self.hub, self.space), within=240, what="ada signs in"
        )
        if self.ada.model().get("servers"):  # of before
            self.ada.stop()
        self.ada.start()

    def is_well(self) -> None:
        """The invariant: the next run succeeds by itself, nothing is locked, and what was saved comes back."""
        status = self.ended(self.ask())
        assert status["phase"] == "Completed", status
        assert self.service.files("locks") == [], "no lock is left"
        assert self.cluster.items("jobs", self.space, "component=backup") == [], "nor a Job"
        said = self.cluster.condition("pdshub", self.hub, "BackedUp", self.space)
        assert said["status"] == "True", said
        back = self.ended(self.ask("HubRestore", user="ada", path="precious.bin"), "hubrestore", 180)
        assert back["phase"] == "Completed", back
        with self.ada.kernel() as kernel:
            found = dict(line.rsplit(" ", 1) for line in kernel.run(FOUND).ok().splitlines())
        (copy,) = [path for path in found if path.startswith(back["place"])]
        assert found[copy] == self.digest
        with self.ada.kernel() as kernel:
            kernel.run(f"import shutil, pathlib; shutil.rmtree(pathlib.Path.home() / {back['place']!r})").ok()


@contextmanager
def opened(
    cluster: Cluster,
    sample: dict[str, Any],
    root: Path,
    port: int,
    space: str = SPACE,
    hub: str = HUB,
    size: str = "1g",
    spec: Any = None,
) -> Iterator[Estate]:
    """A hub whose ada is at work, and nothing saved yet; it goes at the end."""
    with s3_service(cluster, root, port, size) as service:
        made = Estate(cluster, sample, service, space, hub)
        namespace(cluster, space)
        cluster.apply(keys(space))
        try:
            made.apply(spec=spec)
            wait_ready(cluster, hub, space)
            made.ada = person(cluster, "ada", hub, space)
            made.ada.start()
            yield made
        finally:
            service.heal()
            cluster.kubectl("delete", "pdshub", hub, "-n", space, "--ignore-not-found", "--timeout=180s", timeout=190)
            cluster.kubectl("delete", "namespace", space, "--ignore-not-found", "--wait=false")


def saved_once(estate: Estate) -> None:
    """A home with everything, and one backup of it."""
    with estate.ada.kernel() as kernel:
        estate.digest = kernel.run(HOME).ok().strip()
    first = estate.ended(estate.ask())
    assert first["phase"] in ("Completed", "PartiallyCompleted"), first


@pytest.fixture(scope="module")
def estate(cluster: Cluster, sample: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with opened(cluster, sample, tmp_path_factory.mktemp("s3"), PORT) as made:
        saved_once(made)
        yield made


@pytest.fixture(autouse=True)
def healed(estate: Estate) -> Iterator[None]:
    yield
    estate.service.heal()


def test_a_home_with_all_that_homes_have_comes_back_as_it_was(estate: Estate) -> None:
    status = estate.ended(estate.ask(users=["ada"]))
    assert status["phase"] == "Completed", f"a socket and a pipe are nothing that could not be read: {status}"
    back = estate.ended(estate.ask("HubRestore", user="ada", path="odd names"), "hubrestore", 180)
    assert back["phase"] == "Completed", back
    with estate.ada.kernel() as kernel:
        assert kernel.run(ODD.replace("PLACE", back["place"])).ok().strip() == "same"
        kernel.run(f"import shutil, pathlib; shutil.rmtree(pathlib.Path.home() / {back['place']!r})").ok()


def gone(service: S3Service) -> None:
    service.kill()


def full(service: S3Service) -> None:
    service.fill(leave=20_000)


def read_only(service: S3Service) -> None:
    service.mode("ro")


BELOW: list[tuple[str, Callable[[S3Service], None], tuple[str, ...]]] = [
    ("away", gone, ("Unreachable",)),
    ("full", full, ("Full",)),
    ("read-only", read_only, ("ReadOnly",)),
]


@pytest.mark.parametrize(("fault", "reasons"), [b[1:] for b in BELOW], ids=[b[0] for b in BELOW])
def test_the_repository_is(estate: Estate, fault: Callable[[S3Service], None], reasons: tuple[str, ...]) -> None:
    with estate.ada.kernel() as kernel:  # something new, or there is nothing to write
        kernel.run(
            "import os, pathlib; pathlib.Path.home().joinpath('new.bin').write_bytes(os.urandom(3_000_000))"
        ).ok()
    fault(estate.service)
    status = estate.ended(estate.ask(), within=1500)
    assert status["phase"] in ("Failed", "PartiallyCompleted")
    told = json.dumps(status)
    assert any(f"{reason}:" in told for reason in reasons), told
    assert estate.cluster.condition("pdshub", HUB, "BackedUp", SPACE)["status"] == "False"
    estate.service.heal()
    estate.is_well()


def test_a_service_that_dies_in_the_middle_and_comes_back_costs_no_run(estate: Estate) -> None:
    name = estate.ask()
    estate.pod_of(estate.at(name, "i0"))
    estate.service.kill()
    time.sleep(20)  # a fault has a length; nothing is measured by it
    estate.service.start()
    status = estate.ended(name, within=900)
    assert status["phase"] == "Completed", status
    estate.is_well()


def kill_restic(estate: Estate, job: str, space: str = "") -> None:
    """SIGKILL everything in the pod of a Job, as the kernel does for want of memory."""
    pod = estate.pod_of(job, space)
    container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    line = f"ctr -n k8s.io task ls | awk '$1 == \"{container}\" {{print $2}}'"
    if pid := estate.cluster.node("sh", "-c", line).strip():
        estate.cluster.node("sh", "-c", f"kill -9 {pid} || true")


def kill_job(estate: Estate, job: str, space: str = "") -> None:
    where = space or estate.space
    estate.cluster.kubectl("delete", "job", job, "-n", where, "--ignore-not-found", "--cascade=background")


def kill_pod(estate: Estate, job: str, space: str = "") -> None:
    """As a node does that goes away."""
    name, where = estate.pod_of(job, space)["metadata"]["name"], space or estate.space
    estate.cluster.kubectl("delete", "pod", name, "-n", where, "--grace-period=0", "--force", "--ignore-not-found")


def kill_operator(estate: Estate) -> None:
    chosen = ["-n", SYSTEM, "-l", "app.kubernetes.io/component=operator"]
    estate.cluster.kubectl("delete", "pod", *chosen, "--grace-period=0", "--force")


KILLS = [(part, kill) for part in ("init", "i0", "i1", "forget") for kill in (kill_restic, kill_job, kill_pod)]


@pytest.mark.parametrize(("part", "kill"), KILLS, ids=[f"{part}-{kill.__name__[5:]}" for part, kill in KILLS])
def test_killed_at(estate: Estate, part: str, kill: Callable[[Estate, str], None]) -> None:
    name = estate.ask()
    kill(estate, estate.at(name, part))
    status = estate.ended(name, within=600)
    assert status["phase"] in ("Completed", "PartiallyCompleted", "Failed"), status
    if status["phase"] != "Completed":
        assert status["message"], "it says what was"
    estate.is_well()


@pytest.mark.alone  # the operator is everybody's
@pytest.mark.parametrize("part", ["init", "i0", "forget"])
def test_the_operator_is_killed_at(estate: Estate, part: str) -> None:
    name = estate.ask()
    estate.at(name, part)
    kill_operator(estate)
    assert estate.ended(name)["phase"] == "Completed"
    estate.is_well()


@pytest.mark.parametrize("kill", [kill_restic, kill_job], ids=["restic", "job"])
def test_a_restore_is_killed(estate: Estate, kill: Callable[[Estate, str], None]) -> None:
    name = estate.ask("HubRestore", user="ada", path="precious.bin")
    job = eventually(lambda: estate.status(name, "hubrestore").get("job"), within=120, every=0.2, what="a Job")
    kill(estate, str(job))
    status = estate.ended(name, "hubrestore", 300)
    assert status["phase"] == "Completed", status
    with estate.ada.kernel() as kernel:
        places = (
            kernel.run("import pathlib; print(*[p.name for p in pathlib.Path.home().glob('restored-*')])").ok().split()
        )
        assert places == [status["place"]], "one place, and no half of another"
        kernel.run(f"import shutil, pathlib; shutil.rmtree(pathlib.Path.home() / {status['place']!r})").ok()
    estate.is_well()


def secret(estate: Estate) -> dict[str, Any]:
    found = estate.cluster.get("secret", KEY, SPACE)
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": KEY, "namespace": SPACE}, "data": found["data"]}


def test_a_key_that_is_wrong_or_lost_says_so_and_makes_no_new_one(estate: Estate) -> None:
    kept = secret(estate)
    wrong = {**kept, "data": {"key": base64.b64encode(base64.b64encode(b"x" * 32)).decode()}}
    patch = json.dumps({"data": wrong["data"]})
    estate.cluster.kubectl("patch", "secret", KEY, "-n", SPACE, "--type=merge", "-p", patch)
    status = estate.ended(estate.ask())
    assert status["phase"] == "Failed" and status["message"].startswith("WrongKey:"), status
    estate.cluster.kubectl("delete", "secret", KEY, "-n", SPACE)
    status = estate.ended(estate.ask())
    assert status["phase"] == "Failed" and status["message"].startswith("KeyMissing:"), status
    said = estate.cluster.condition("pdshub", HUB, "BackedUp", SPACE)
    assert said["status"] == "False" and "put it back" in said["message"], said
    assert estate.ada.call("GET", "/hub/api/user").ok, "the hub goes on"
    assert KEY not in {s["metadata"]["name"] for s in estate.cluster.items("secrets", SPACE)}, "no new one is made"
    estate.cluster.apply(kept)
    estate.is_well()


def test_a_damaged_index_is_made_anew_and_said(estate: Estate) -> None:
    index = estate.service.files("index")[0]
    data = bytearray(index.read_bytes())
    data[len(data) // 2] ^= 0xFF
    index.write_bytes(bytes(data))
    name = estate.ask()
    status = estate.ended(name)
    assert status["phase"] == "Completed", status
    ready = next(c for c in status["conditions"] if c["type"] == "RepositoryReady")
    assert "index" in ready["message"], ready
    estate.is_well()


def test_somebody_writes_all_the_time(estate: Estate) -> None:
    writer = """
import os, threading, time, pathlib
busy = pathlib.Path.home() / 'busy'
busy.mkdir(exist_ok=True)
stop = False
def write():
    n = 0
    while not stop:
        n += 1
        (busy / f'new-{n % 50}').write_bytes(os.urandom(20_000))
        with (busy / 'log').open('a') as out:
            out.write(f'line {n}\\n')
        if n % 7 == 0:
            (busy / f'new-{n % 50}').unlink()
        time.sleep(0.001)
threading.Thread(target=write, daemon=True).start()
"""
    with estate.ada.kernel() as kernel:
        kernel.run(writer).ok()
        status = estate.ended(estate.ask())
        assert status["phase"] in ("Completed", "PartiallyCompleted"), status
        for item in status["items"]:
            assert all("busy/" in unread["path"] for unread in item.get("unread", [])), item
        back = estate.ended(estate.ask("HubRestore", user="ada", path="busy/log"), "hubrestore", 180)
        assert back["phase"] == "Completed", back
        check = f"""
stop = True
import pathlib
(copy,) = (pathlib.Path.home() / {back["place"]!r}).rglob('log')
lines = copy.read_text().splitlines()
print(all(line == f'line {{n + 1}}' for n, line in enumerate(lines[:-1])) and len(lines) > 1)
import shutil; shutil.rmtree(pathlib.Path.home() / {back["place"]!r}); time.sleep(0.2); shutil.rmtree(busy)
"""
        assert kernel.run(check).ok().strip() == "True"
    estate.is_well()


def test_two_hubs_with_one_repository(estate: Estate, cluster: Cluster) -> None:
    """The same bucket, folder and key: one works at a time, and neither sees the other's people."""
    prefix = "shared/place"
    namespace(cluster, OTHER_SPACE)
    cluster.apply(keys(OTHER_SPACE))
    kept = secret(estate)
    try:
        cluster.apply({**kept, "metadata": {"name": "other-backup-key", "namespace": OTHER_SPACE}})
        estate.apply(prefix=prefix)
        estate.apply("other", OTHER_SPACE, prefix=prefix)
        wait_ready(cluster, "other", OTHER_SPACE)
        names = [(SPACE, estate.ask()), (OTHER_SPACE, estate.ask(hub="other", space=OTHER_SPACE))]
        most = 0
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            pods = [p for space in (SPACE, OTHER_SPACE) for p in cluster.items("pods", space, "component=backup")]
            most = max(most, len([p for p in pods if p["status"].get("phase") == "Running"]))
            if all(estate.status(name, space=space).get("phase") in ENDED for space, name in names):
                break
            time.sleep(0.5)
        assert [estate.status(name, space=space)["phase"] for space, name in names] == ["Completed", "Completed"]
        assert most <= 1
        assert estate.service.files("locks") == []
    finally:
        cluster.kubectl("delete", "pdshub", "other", "-n", OTHER_SPACE, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", OTHER_SPACE, "--wait=false")
        estate.apply()
    estate.is_well()


@pytest.mark.alone
def test_the_node_is_started_anew_in_the_middle(estate: Estate) -> None:
    name = estate.ask()
    estate.pod_of(estate.at(name, "i0"))
    estate.node_again()
    status = estate.ended(name, within=900)
    assert status["phase"] in ("Completed", "PartiallyCompleted"), status
    estate.ada_again()
    estate.is_well()


def test_the_hub_is_deleted_while_it_is_saved(estate: Estate, cluster: Cluster) -> None:
    """Last of this file: the hub goes, what was saved stays, and the hub that comes again reads it."""
    snapshots = {p.name for p in estate.service.files("snapshots")}
    name = estate.ask()
    estate.at(name, "i0")
    cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=240s", timeout=250)
    eventually(lambda: cluster.items("jobs", SPACE, "component=backup"), lambda jobs: jobs == [], what="no Job is left")
    assert snapshots <= {p.name for p in estate.service.files("snapshots")}
    estate.apply()
    wait_ready(cluster, HUB, SPACE)
    estate.ada = person(cluster, "ada", HUB, SPACE)
    estate.ada.start()
    estate.is_well()
