"""Drills: what a backup in a real S3 service is worth, what two overwritten bytes cost, and what nobody reaches."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, person, variant, wait_ready
from tests.e2e.s3_service import S3Service, keys, place, s3_service

pytestmark = pytest.mark.long
SPACE, HUB, DRILLS = "e2e-drill", "drilled", "pdshub-drill"
S3_PORT = 18094
OFTEN = {"suspend": False, "schedule": "* * * * *", "sample": 2, "readPercent": 100, "maxAgeDays": 1}


@pytest.fixture(scope="module")
def bucket(cluster: Cluster, sample: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A hub whose backups lie in S3, saved once; the folder in which the service keeps the bucket's objects."""
    with s3_service(cluster, tmp_path_factory.mktemp("s3"), S3_PORT) as service:
        try:
            saved_once(cluster, sample, service)
            yield service.bucket
        finally:
            cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=180s", timeout=190)
            cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def saved_once(cluster: Cluster, sample: dict[str, Any], service: S3Service) -> None:
    """A hub with two homes, and one backup of it."""
    namespace(cluster, SPACE)
    cluster.apply(keys(SPACE))
    backup = {"suspend": True, "repository": place(service), "drill": {"suspend": True}}
    users = {"allowed": ["ada", "bela"], "admins": ["root-admin"]}
    cluster.apply(variant(sample, HUB, SPACE, archive=None, users=users, backup=backup))
    wait_ready(cluster, HUB, SPACE)
    for name in ("ada", "bela"):
        someone = person(cluster, name, HUB, SPACE)
        someone.start()
        with someone.kernel() as kernel:
            kernel.run(
                "import os, pathlib; pathlib.Path.home().joinpath('data').write_bytes(os.urandom(3_000_000))"
            ).ok()
        someone.stop()
    run = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "HubBackup", "metadata": {"name": "one", "namespace": SPACE}}
    cluster.apply({**run, "spec": {"hub": HUB}})
    eventually(
        lambda: cluster.get("hubbackup", "one", SPACE).get("status", {}).get("phase"),
        lambda phase: phase == "Completed",
        within=600,
        what="a backup",
    )


def drills(cluster: Cluster, settings: dict[str, Any]) -> None:
    body = {"spec": {"backup": {"drill": settings}}}
    cluster.kubectl("patch", "pdshub", HUB, "-n", SPACE, "--type=merge", "-p", json.dumps(body))


def verdict(cluster: Cluster, wanted: str, within: float = 900) -> dict[str, Any]:
    """The condition, once it has this status by a drill."""
    found: dict[str, Any] = eventually(
        lambda: cluster.condition("pdshub", HUB, "RestoreVerified", SPACE),
        lambda condition: condition.get("status") == wanted and condition.get("reason") != "NoneYet",
        within=within,
        what=f"RestoreVerified is {wanted}",
    )
    return found


def left(cluster: Cluster) -> list[str]:
    kinds = ("secrets", "jobs", "configmaps", "persistentvolumeclaims")
    found = [item for kind in kinds for item in cluster.items(kind, DRILLS, f"pdshub.dev/namespace={SPACE}")]
    return [item["metadata"]["name"] for item in found]


def test_a_drill_proves_a_backup_and_leaves_nothing(cluster: Cluster, bucket: Path) -> None:
    hub = cluster.items("pods", SPACE, "component=hub")[0]["metadata"]["uid"]
    began, beside = time.monotonic(), set[str]()
    drills(cluster, OFTEN)
    deadline = began + 900
    while time.monotonic() < deadline:
        for pod in cluster.items("pods", DRILLS, "component=drill-hub"):
            (container,) = pod["spec"]["containers"]
            beside |= {volume["name"] for volume in pod["spec"]["volumes"] if "secret" in volume}
            assert pod["spec"].get("automountServiceAccountToken") is False and "envFrom" not in container
        if cluster.condition("pdshub", HUB, "RestoreVerified", SPACE).get("status") in ("True", "False"):
            break
        time.sleep(1)
    found = verdict(cluster, "True")
    drills(cluster, {"suspend": True})
    print(f"a drill took {time.monotonic() - began:.0f} s: {found['message']}")
    for words in ("home", "a hub started from it", "users are there", "would have been lost"):
        assert words in found["message"]
    assert beside == set(), "no Secret is where a hub is booted"
    eventually(lambda: left(cluster), lambda names: names == [], within=120, what="nothing is left")
    assert cluster.items("pods", SPACE, "component=hub")[0]["metadata"]["uid"] == hub, "the hub went on"


def test_nothing_in_the_namespace_reaches_anything(cluster: Cluster, bucket: Path) -> None:
    policies = {item["metadata"]["name"]: item["spec"] for item in cluster.items("networkpolicies", DRILLS)}
    assert policies["pdshub-drill-deny"]["podSelector"] == {}
    assert not policies["pdshub-drill-deny"].get("egress") and not policies["pdshub-drill-deny"].get("ingress")
    labels = cluster.get("namespace", DRILLS)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted" and "pdshub.dev/hubs" not in labels


def test_two_overwritten_bytes_are_found_by_the_next_drill(cluster: Cluster, bucket: Path) -> None:
    """With readPercent 100; with less within 100 / readPercent drills (tests/unit/reconcile/hub/drill)."""
    packs = [file for file in (bucket / SPACE / HUB / "data").rglob("*") if file.is_file()]
    pack = max(packs, key=lambda file: file.stat().st_size)
    whole = pack.read_bytes()
    middle = len(whole) // 2
    pack.write_bytes(whole[:middle] + bytes(byte ^ 0xFF for byte in whole[middle : middle + 2]) + whole[middle + 2 :])
    try:
        drills(cluster, OFTEN)
        found = verdict(cluster, "False")
        assert found["reason"] == "Damaged", found
    finally:
        pack.write_bytes(whole)
    assert verdict(cluster, "True")["reason"] == "Verified", "what was damaged is tried again, and is whole now"
    drills(cluster, {"suspend": True})
    eventually(lambda: left(cluster), lambda names: names == [], within=120, what="nothing is left")
