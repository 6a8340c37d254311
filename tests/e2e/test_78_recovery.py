"""A hub from its repository alone: the namespace is deleted with everything in it, and people go on where they were."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person
from tests.e2e.s3_service import S3Service, keys, place, s3_service
from tests.e2e.test_73_backup import ENDED

pytestmark = [pytest.mark.long, pytest.mark.alone]  # the operator is everybody's
SPACE, BESIDE, HUB, KEY = "e2e-recovery", "e2e-recovery-beside", "back", "back-backup-key"
PORT = 18098
PEOPLE = ("ada", "bela")
WRITE = """
import hashlib, os
from pathlib import Path
home = Path.home()
(home / "notebooks").mkdir(exist_ok=True)
for n in range(20):
    (home / "notebooks" / f"{n}.bin").write_bytes(os.urandom(200_000))
"""
DIGEST = """
import hashlib
from pathlib import Path
top, found = Path.home() / "notebooks", hashlib.sha256()
for path in sorted(top.rglob("*.bin")):
    found.update(f"{path.relative_to(top)} ".encode() + hashlib.sha256(path.read_bytes()).digest())
print(len(list(top.rglob("*.bin"))), found.hexdigest())
"""


@pytest.fixture(scope="module")
def s3(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Service]:
    with s3_service(cluster, tmp_path_factory.mktemp("s3"), PORT) as service:
        yield service


def secret(name: str, space: str, data: dict[str, str]) -> dict[str, Any]:
    body = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": space}, "data": body}


def saved_hub(sample: dict[str, Any], s3: S3Service, space: str = SPACE, **more: Any) -> dict[str, Any]:
    backup = {"schedule": "@daily-random", "suspend": True, "repository": place(s3)}
    return variant(sample, HUB, space, archive=None, backup=backup, **more)


def wipe(cluster: Cluster, space: str, hub: str = HUB) -> None:
    """The namespace with everything in it, and the volumes that outlive one."""
    cluster.kubectl("delete", "pdshub", hub, "-n", space, "--ignore-not-found", "--timeout=180s", timeout=190)
    volumes = cluster.volumes_of(space)
    cluster.kubectl("delete", "namespace", space, "--ignore-not-found", "--timeout=180s", timeout=190)
    for volume in volumes:
        cluster.let_go(volume)
        cluster.kubectl("delete", "persistentvolume", volume, "--ignore-not-found", "--wait=false")


class Before:
    """What there was: digests of homes, a person's token and session, the keys."""

    def __init__(self, key: str, digests: dict[str, str], people: dict[str, Person], keys: dict[str, str]) -> None:
        self.key, self.digests, self.people, self.keys = key, digests, people, keys


@pytest.fixture(scope="module")
def gone(cluster: Cluster, sample: dict[str, Any], s3: S3Service) -> Iterator[Before]:
    """A hub with two people and their files that was saved, and of which nothing is left but the repository."""
    namespace(cluster, SPACE)
    cluster.apply(keys(SPACE), saved_hub(sample, s3))
    try:
        wait_ready(cluster, HUB, SPACE)
        people, digests = {}, {}
        for name in PEOPLE:
            people[name] = person(cluster, name, HUB, SPACE)
            people[name].start()
            with people[name].kernel() as kernel:
                kernel.run(WRITE).ok()
                digests[name] = kernel.run(DIGEST).ok()
        cluster.apply(
            {
                "apiVersion": "pdshub.dev/v1alpha1",
                "kind": "HubBackup",
                "metadata": {"name": "last", "namespace": SPACE},
                "spec": {"hub": HUB},
            }
        )
        status = eventually(
            lambda: cluster.get("hubbackup", "last", SPACE).get("status", {}),
            lambda found: found.get("phase") in ENDED,
            within=300,
            what="the backup ends",
        )
        assert status["phase"] == "Completed", status
        key = base64.b64decode(cluster.get("secret", KEY, SPACE)["data"]["key"]).decode()
        own = cluster.get("secret", f"{HUB}-keys", SPACE)["data"]
        wipe(cluster, SPACE)
        yield Before(key, digests, people, own)
    finally:
        for space in (SPACE, BESIDE):
            wipe(cluster, space)


def recovered(cluster: Cluster, space: str, hub: str = HUB, within: float = 600) -> dict[str, Any]:
    """The hub's recovery at its end."""
    found: dict[str, Any] = eventually(
        lambda: cluster.get("pdshub", hub, space).get("status", {}).get("recovery", {}),
        lambda said: said.get("phase") in ("Completed", "PartiallyCompleted"),
        within=within,
        what="everything is back",
    )
    return found


def test_the_hub_comes_back_with_its_people_their_keys_and_their_files(
    cluster: Cluster, sample: dict[str, Any], s3: S3Service, gone: Before
) -> None:
    assert cluster.volumes_of(SPACE) == []
    namespace(cluster, SPACE)
    cluster.apply(keys(SPACE), secret(KEY, SPACE, {"key": gone.key}))
    began = time.monotonic()
    cluster.apply(saved_hub(sample, s3, bootstrap={"recovery": {"repository": place(s3)}}))
    wait_ready(cluster, HUB, SPACE, 600)
    ready = time.monotonic() - began
    said = recovered(cluster, SPACE)
    print(f"Ready after {ready:.0f} s, all of it back after {time.monotonic() - began:.0f} s")
    assert said["phase"] == "Completed" and said["items"] == said["done"] == 2 + len(PEOPLE), said
    assert {row["item"] for row in said["snapshots"]} == {"database", "keys", "objects"}
    assert cluster.condition("pdshub", HUB, "Recovered", SPACE)["status"] == "True"
    assert cluster.get("secret", f"{HUB}-keys", SPACE)["data"] == gone.keys
    assert cluster.items("jobs", SPACE) == [] and KEY in [
        s["metadata"]["name"] for s in cluster.items("secrets", SPACE)
    ]
    address = cluster.get("pdshub", HUB, SPACE)["status"]["address"]
    for name, who in gone.people.items():
        who.address = address
        assert who.model()["name"] == name, "the token of before"
        home = who.session.get(who.url("/hub/home"), allow_redirects=False, timeout=30)
        assert home.status_code == 200, "the cookie of before: nobody has to sign in anew"
        who.start()
        with who.kernel() as kernel:
            assert kernel.run(DIGEST).ok() == gone.digests[name]


def test_what_is_back_is_saved_again_and_nothing_is_done_twice(
    cluster: Cluster, sample: dict[str, Any], s3: S3Service, gone: Before
) -> None:
    meta = {"name": "after", "namespace": SPACE}
    body = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "HubBackup", "metadata": meta, "spec": {"hub": HUB}}
    cluster.apply(body)
    status = eventually(
        lambda: cluster.get("hubbackup", "after", SPACE).get("status", {}),
        lambda found: found.get("phase") in ENDED,
        within=300,
        what="a backup of what came back",
    )
    assert status["phase"] == "Completed" and status["snapshots"] == 3 + len(PEOPLE), status
    refused = cluster.kubectl(
        "apply", "--dry-run=client", "-f", "-", "-o", "name", stdin=json.dumps(saved_hub(sample, s3))
    )
    assert refused, "the manifest without bootstrap is one"
    patch = json.dumps({"spec": {"bootstrap": None}})
    with pytest.raises(Exception, match="bootstrap is how a hub begins"):
        cluster.kubectl("patch", "pdshub", HUB, "-n", SPACE, "--type=merge", "-p", patch)


def test_an_operator_that_is_killed_goes_on_and_another_hub_comes_back_beside(
    cluster: Cluster, sample: dict[str, Any], s3: S3Service, gone: Before
) -> None:
    namespace(cluster, BESIDE)
    cluster.apply(keys(BESIDE), secret(KEY, BESIDE, {"key": gone.key}))
    recovery = {"repository": place(s3), "hub": f"{SPACE}/{HUB}", "snapshot": "last"}
    cluster.apply(saved_hub(sample, s3, BESIDE, bootstrap={"recovery": recovery}))
    for wanted in ("Planning", "Restoring"):
        eventually(
            lambda wanted=wanted: cluster.get("pdshub", HUB, BESIDE).get("status", {}).get("recovery", {}).get("phase"),
            lambda phase, wanted=wanted: phase in (wanted, "Homes", "Completed"),
            within=180,
            what=f"it is {wanted}",
        )
        cluster.kubectl(
            "delete", "pod", "-n", "pdshub-system", "-l", "app.kubernetes.io/component=operator",
            "--grace-period=0", "--force",
        )  # fmt: skip
    assert recovered(cluster, BESIDE)["phase"] == "Completed"
    wait_ready(cluster, HUB, BESIDE)
    ada = person(cluster, "ada", HUB, BESIDE)
    ada.start()
    with ada.kernel() as kernel:
        assert kernel.run(DIGEST).ok() == gone.digests["ada"]


def test_with_another_key_nothing_begins_and_the_hub_says_so(
    cluster: Cluster, sample: dict[str, Any], s3: S3Service, gone: Before
) -> None:
    wipe(cluster, BESIDE)
    namespace(cluster, BESIDE)
    cluster.apply(keys(BESIDE), secret(KEY, BESIDE, {"key": "another"}))
    recovery = {"repository": place(s3), "hub": f"{SPACE}/{HUB}"}
    cluster.apply(saved_hub(sample, s3, BESIDE, bootstrap={"recovery": recovery}))
    eventually(
        lambda: cluster.condition("pdshub", HUB, "Recovered", BESIDE),
        lambda found: found.get("reason") == "WrongKey",
        within=180,
        what="Recovered is WrongKey",
    )
    assert cluster.items("deployments", BESIDE) == [], "no hub with an empty database"
    assert not [s for s in cluster.items("secrets", BESIDE) if s["metadata"]["name"] == f"{HUB}-keys"]
