"""Backups: a user's file comes back byte for byte, from a claim and from S3; one Job at a time; who holds the key."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pdshub.wellknown import HOMES_CHECKPOINTS
from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import UNPRIVILEGED, namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person
from tests.e2e.s3_service import S3Service, keys, place, s3_service

SPACE, HUB, KEY = "e2e-backup", "kept", "kept-backup-key"
S3_PORT = 18092
API = "pdshub.dev/v1alpha1"
ENDED = ("Completed", "PartiallyCompleted", "Failed")
WRITE = """
import hashlib, os
from pathlib import Path
home = Path.home()
(home / "notebooks").mkdir(exist_ok=True)
data = os.urandom(300_000)
(home / "notebooks" / "data.bin").write_bytes(data)
(home / ".cache").mkdir(exist_ok=True)
(home / ".cache" / "again.bin").write_bytes(b"x" * 1000)
print(hashlib.sha256(data).hexdigest())
"""
FOUND = """
import hashlib
from pathlib import Path
print(sorted(f"{p.relative_to(Path.home())} {hashlib.sha256(p.read_bytes()).hexdigest()}"
    for p in Path.home().rglob("data.bin")))
"""


def backup_of(repository: dict[str, Any], **more: Any) -> dict[str, Any]:
    """spec.backup. It is suspended: each test asks for its runs."""
    return {"schedule": "@daily-random", "suspend": True, "repository": repository, **more}


@contextmanager
def hub_with(cluster: Cluster, sample: dict[str, Any], repository: dict[str, Any]) -> Iterator[None]:
    """The hub of this file with such a repository."""
    cluster.apply(variant(sample, HUB, SPACE, archive=None, backup=backup_of(repository)))
    wait_ready(cluster, HUB, SPACE)
    yield


@pytest.fixture(scope="module")
def kept(cluster: Cluster, sample: dict[str, Any]) -> Iterator[Person]:
    """The hub with a claim as its repository, and ada with a server."""
    namespace(cluster, SPACE)
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "vault", "namespace": SPACE},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    )
    try:
        with hub_with(cluster, sample, {"claim": {"name": "vault"}}):
            ada = person(cluster, "ada", HUB, SPACE)
            ada.start()
            yield ada
    finally:
        cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


@pytest.fixture(scope="module")
def s3(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Service]:
    """A real S3 service on this machine, with a bucket; its keys are in the hub's namespace."""
    with s3_service(cluster, tmp_path_factory.mktemp("s3"), S3_PORT) as service:
        cluster.apply(keys(SPACE))
        yield service


def ask(cluster: Cluster, kind: str, name: str, **spec: Any) -> None:
    """Make a HubBackup or a HubRestore."""
    meta = {"name": name, "namespace": SPACE}
    cluster.apply({"apiVersion": API, "kind": kind, "metadata": meta, "spec": {"hub": HUB, **spec}})


def ended(cluster: Cluster, kind: str, name: str, within: float = 300) -> dict[str, Any]:
    """The status of a run or a restore at its end."""
    found: dict[str, Any] = eventually(
        lambda: cluster.get(kind, name, SPACE).get("status", {}),
        lambda status: status.get("phase") in ENDED,
        within=within,
        what=f"{kind} {name} ends",
    )
    return found


def there_and_back(cluster: Cluster, ada: Person, name: str) -> None:
    """A file is saved, deleted, and back with the same bytes; beside first, then in its place."""
    with ada.kernel() as kernel:
        digest = kernel.run(WRITE).ok()
    ask(cluster, "HubBackup", name)
    status = ended(cluster, "hubbackup", name)
    assert status["phase"] == "Completed", status
    items = {item["item"]: item for item in status["items"]}
    assert {"home/ada", "database", "keys", "objects"} <= items.keys()
    assert items["home/ada"]["how"] == "Snapshot", "its storage has checkpoints, though its server runs"
    assert items["database"]["how"] == "SQLite"
    assert not [c for c in cluster.items("pvc", SPACE) if c["spec"]["storageClassName"] == HOMES_CHECKPOINTS]
    assert all(len(item["snapshot"]) == 64 for item in items.values()) and status["sizeBytes"] > 300_000
    assert cluster.items("jobs", SPACE, "component=backup") == [], "its Jobs are gone"
    said = cluster.condition("pdshub", HUB, "BackedUp", SPACE)
    assert said["status"] == "True" and name in said["message"]
    with ada.kernel() as kernel:
        kernel.run("from pathlib import Path; Path.home().joinpath('notebooks/data.bin').unlink()").ok()
        assert "'notebooks/data.bin " not in kernel.run(FOUND).ok()
    ask(cluster, "HubRestore", f"{name}-back", user="ada", path="notebooks/data.bin")
    began = time.monotonic()
    restored = ended(cluster, "hubrestore", f"{name}-back", 120)
    print(f"one file back after {time.monotonic() - began:.0f} s")
    assert restored["phase"] == "Completed" and restored["place"], restored
    with ada.kernel() as kernel:  # the server ran all the while
        found = kernel.run(FOUND).ok()
    assert digest in found and restored["place"] in found
    with ada.kernel() as kernel:
        assert kernel.run("import os; print(os.path.exists(os.path.expanduser('~/.cache/again.bin')))").ok() == "True"


def test_a_file_comes_back_from_a_claim(cluster: Cluster, kept: Person) -> None:
    there_and_back(cluster, kept, "first")


@pytest.mark.long
def test_a_restore_in_place_stops_the_server_first(cluster: Cluster, kept: Person) -> None:
    with kept.kernel() as kernel:
        before = kernel.run(FOUND).ok()
    ask(cluster, "HubRestore", "over", user="ada", path="notebooks", inPlace=True, warnSeconds=5)
    restored = ended(cluster, "hubrestore", "over", 240)
    assert restored["phase"] == "Completed" and restored["replaced"], restored
    assert not kept.model().get("servers", {}).get(""), "nobody wrote meanwhile"
    kept.start()
    with kept.kernel() as kernel:
        after = kernel.run(FOUND).ok()
    assert "notebooks/data.bin" in after and before


@pytest.mark.long
def test_one_job_at_a_time_and_each_within_its_walls(cluster: Cluster, kept: Person) -> None:
    for name in ("side-1", "side-2"):
        ask(cluster, "HubBackup", name)
    most, users = 0, set()
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        pods = cluster.items("pods", SPACE, "component=backup")
        alive = [p for p in pods if p["status"].get("phase") in ("Pending", "Running")]
        alive = [p for p in alive if not p["metadata"].get("deletionTimestamp")]
        most = max(most, len(alive))
        users |= {p["spec"]["securityContext"]["runAsUser"] for p in pods}
        phases = [cluster.get("hubbackup", n, SPACE).get("status", {}).get("phase") for n in ("side-1", "side-2")]
        if all(phase in ENDED for phase in phases):
            break
        time.sleep(0.5)
    assert phases == ["Completed", "Completed"]
    assert most == 1 and users == {1000}


@pytest.mark.long
@pytest.mark.alone
def test_an_operator_that_is_killed_goes_on(cluster: Cluster, kept: Person) -> None:
    ask(cluster, "HubBackup", "killed")
    eventually(
        lambda: cluster.get("hubbackup", "killed", SPACE).get("status", {}).get("job"), within=120, what="a Job runs"
    )
    cluster.kubectl(
        "delete",
        "pod",
        "-n",
        "pdshub-system",
        "-l",
        "app.kubernetes.io/component=operator",
        "--grace-period=0",
        "--force",
    )
    assert ended(cluster, "hubbackup", "killed")["phase"] == "Completed"


def test_no_pod_but_a_backups_has_the_key(cluster: Cluster, kept: Person) -> None:
    secret = cluster.get("secret", KEY, SPACE)
    assert len(base64.b64decode(base64.b64decode(secret["data"]["key"]))) == 32
    for pod in cluster.items("pods", SPACE):
        if pod["metadata"]["labels"].get("component") != "backup":
            assert KEY not in json.dumps(pod["spec"]), pod["metadata"]["name"]
    values = cluster.run("helm", "get", "values", HUB, "-n", SPACE, "-o", "json")
    assert KEY not in values and secret["data"]["key"] not in values


def _pod(**spec: Any) -> dict[str, Any]:
    container = {"name": "x", "image": "x", "securityContext": UNPRIVILEGED, **spec.pop("container", {})}
    return {"containers": [container], **spec}


THIEVES: list[tuple[str, dict[str, Any]]] = [
    ("a volume", _pod(volumes=[{"name": "k", "secret": {"secretName": KEY}}])),
    ("projected", _pod(volumes=[{"name": "k", "projected": {"sources": [{"secret": {"name": KEY}}]}}])),
    (
        "a variable",
        _pod(container={"env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": KEY, "key": "key"}}}]}),
    ),
    ("all of its keys", _pod(container={"envFrom": [{"secretRef": {"name": KEY}}]})),
    (
        "an init container",
        _pod(
            initContainers=[
                {
                    "name": "i",
                    "image": "x",
                    "securityContext": UNPRIVILEGED,
                    "envFrom": [{"secretRef": {"name": KEY}}],
                }
            ]
        ),
    ),
]


@pytest.mark.parametrize("spec", [t[1] for t in THIEVES], ids=[t[0] for t in THIEVES])
@pytest.mark.parametrize(
    "account", ["", f"system:serviceaccount:{SPACE}:hub", f"system:serviceaccount:{SPACE}:pdshub-helm"]
)
def test_nobody_gets_a_pod_with_the_key(cluster: Cluster, kept: Person, spec: dict[str, Any], account: str) -> None:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "thief", "namespace": SPACE}, "spec": spec}
    become = [f"--as={account}"] if account else []
    with pytest.raises(CommandFailed) as refused:
        cluster.kubectl("create", "--dry-run=server", "-f", "-", *become, stdin=json.dumps(body))
    assert "-backup-key" in refused.value.err


def test_pods_without_the_key_are_changed_as_before(cluster: Cluster, kept: Person) -> None:
    """Labels and annotations, by whoever may; and no container is slipped into a pod that runs."""
    pod = cluster.items("pods", SPACE, "component=hub")[0]["metadata"]["name"]
    cluster.kubectl("annotate", "pod", pod, "-n", SPACE, "--dry-run=server", "e2e.pdshub.dev/x=y")
    env = [{"name": "K", "valueFrom": {"secretKeyRef": {"name": KEY, "key": "key"}}}]
    for words, refused in ([], False), (env, True):
        slipped = {"name": "slipped", "image": "x", "securityContext": UNPRIVILEGED, "env": words}
        body = json.dumps({"spec": {"ephemeralContainers": [slipped]}})
        line = ("patch", "pod", pod, "-n", SPACE, "--subresource=ephemeralcontainers", "--dry-run=server", "-p", body)
        if refused:
            with pytest.raises(CommandFailed, match="-backup-key"):
                cluster.kubectl(*line)
        else:
            cluster.kubectl(*line)


def test_jobs_with_the_key_are_the_accounts(cluster: Cluster, kept: Person) -> None:
    spec = {"template": {"spec": {**THIEVES[0][1], "restartPolicy": "Never"}}}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "thief", "namespace": SPACE}, "spec": spec}
    with pytest.raises(CommandFailed) as refused:
        cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body))
    assert "-backup-key" in refused.value.err
    account = f"--as=system:serviceaccount:{SPACE}:pdshub-helm"
    cluster.kubectl("create", "--dry-run=server", "-f", "-", account, stdin=json.dumps(body))


@pytest.mark.long
def test_a_run_by_schedule_and_the_history(cluster: Cluster, sample: dict[str, Any], kept: Person) -> None:
    """Every minute, for as long as two take: old ones are deleted, and none runs beside another."""
    often = backup_of({"claim": {"name": "vault"}}, schedule="* * * * *", suspend=False, history=2)
    cluster.apply(variant(sample, HUB, SPACE, archive=None, backup=often))
    eventually(
        lambda: [b for b in cluster.items("hubbackups", SPACE) if b["spec"].get("trigger") == "Schedule"],
        lambda found: any(b.get("status", {}).get("phase") == "Completed" for b in found),
        within=400,
        what="a run by schedule",
    )
    cluster.apply(variant(sample, HUB, SPACE, archive=None, backup=backup_of({"claim": {"name": "vault"}}, history=2)))
    eventually(
        lambda: [b for b in cluster.items("hubbackups", SPACE) if b.get("status", {}).get("phase") in ENDED],
        lambda found: len(found) <= 3,
        within=180,
        what="the history is kept short",
    )


@pytest.mark.parametrize(
    ("repository", "reason"),
    [
        ({"nfs": {"server": "nas.example.org", "path": "/pds-main"}}, "NotAllowed"),
        ({"rest": {"url": "https://169.254.169.254/x"}}, "AddressClosed"),
        ({"claim": {"name": "claim-ada"}}, "NotARepository"),
    ],
)
def test_what_is_refused_says_so(
    cluster: Cluster, sample: dict[str, Any], kept: Person, repository: dict[str, Any], reason: str
) -> None:
    cluster.apply(variant(sample, HUB, SPACE, archive=None, backup=backup_of(repository)))
    eventually(
        lambda: cluster.condition("pdshub", HUB, "BackedUp", SPACE),
        lambda c: c.get("reason") == reason,
        within=60,
        what=f"BackedUp is {reason}",
    )


@pytest.mark.long
def test_a_file_comes_back_from_s3(cluster: Cluster, sample: dict[str, Any], kept: Person, s3: S3Service) -> None:
    with hub_with(cluster, sample, place(s3)):
        policy = cluster.get("networkpolicy", f"{HUB}-network-backup", SPACE)
        assert [rule["ports"][0]["port"] for rule in policy["spec"]["egress"]] == [S3_PORT], "one address, one port"
        there_and_back(cluster, kept, "second")
