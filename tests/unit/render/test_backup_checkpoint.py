"""VolumeSnapshots and the claims from them: the fields that the API has, and which of others' are told from ours."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from pdshub.reconcile.hub.backup.facts import Snapshots
from pdshub.reconcile.hub.backup.order import order
from pdshub.reconcile.hub.backup.progress import Stage
from pdshub.reconcile.hub.backup.snapshot_objects import VOLUME_SNAPSHOT
from pdshub.reconcile.hub.backup.steps import Start
from pdshub.render import backup_checkpoint, backup_job
from pdshub.render.names import HOME_LABELS
from tests.unit.reconcile.hub.backup.ebs import EBS, STORAGE, ebs_home
from tests.unit.reconcile.hub.backup.estate import INSTALLATION
from tests.unit.reconcile.hub.backup.given import NAMES, facts, run

SPEC = {"required": {"source"}, "known": {"source", "volumeSnapshotClassName"}}
"""Of the VolumeSnapshot's definition (snapshot.storage.k8s.io/v1) what we write of: written down from
kubernetes-csi/external-snapshotter 8, and not copied."""
SOURCE = {"persistentVolumeClaimName", "volumeSnapshotContentName"}
"""Exactly one of them, by a rule of the definition."""
SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def made() -> backup_job.Order:
    home = ebs_home("claim-ada")
    given = facts(claims={"claim-ada": home}, snapshots=Snapshots(classes={EBS.driver: EBS}, storage=STORAGE))
    return order(given, Start(run("one"), Stage("backup", 0), 0, "home/ada"))


def snapshot() -> dict[str, Any]:
    return backup_job.volume_snapshot(NAMES, made())


def claim() -> dict[str, Any]:
    return backup_job.checkpoint(NAMES, made())


def test_the_volume_snapshot_is_one() -> None:
    body = snapshot()
    assert body["apiVersion"] == VOLUME_SNAPSHOT.api == "snapshot.storage.k8s.io/v1"
    assert body["kind"] == VOLUME_SNAPSHOT.kind == "VolumeSnapshot"
    assert VOLUME_SNAPSHOT.path("ns", "x") == "/apis/snapshot.storage.k8s.io/v1/namespaces/ns/volumesnapshots/x"
    assert set(body) == {"apiVersion", "kind", "metadata", "spec"}, "its status is its controller's"
    spec = body["spec"]
    assert SPEC["required"] <= set(spec) <= SPEC["known"]
    assert len(SOURCE & set(spec["source"])) == 1 and set(spec["source"]) <= SOURCE
    assert spec["source"] == {"persistentVolumeClaimName": "claim-ada"}
    assert spec["volumeSnapshotClassName"] == "ebs", "a default one would be somebody else's choice"
    assert SUBDOMAIN.fullmatch(body["metadata"]["name"]) and body["metadata"]["name"] == made().job
    assert body["metadata"]["namespace"] == "ns" and body["metadata"]["ownerReferences"][0]["uid"] == "uid-ns-one"


def test_the_claim_comes_from_it_and_from_nowhere_else() -> None:
    body = claim()
    name = made().job
    assert body["metadata"]["name"] == name
    assert body["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "gp3",
        "dataSource": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": name},
        "resources": {"requests": {"storage": str(10 << 30)}},
    }, "dataSource has no namespace; dataSourceRef, which may have one, is not there"
    assert backup_checkpoint.is_claim(body) and backup_checkpoint.is_from_snapshot(body)


def test_the_job_mounts_the_claim_read_only_and_not_the_home() -> None:
    given = made()
    pod = backup_job.job(NAMES, given, INSTALLATION.backup)["spec"]["template"]["spec"]
    seen = {v["name"]: v["persistentVolumeClaim"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
    assert seen["data"] == {"claimName": given.job, "readOnly": True}
    assert "claim-ada" not in str(pod)
    (mount,) = [m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "data"]
    assert mount["readOnly"] is True


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    found = copy.deepcopy(body)
    *way, last = path.split("/")
    below = found
    for part in way:
        below = below[part]
    if value is None:
        below.pop(last, None)
    else:
        below[last] = value
    return found


FOREIGN_SNAPSHOTS: list[tuple[str, str, Any]] = [
    ("without our label", "metadata/labels", {"pdshub.dev/hub": "demo"}),
    ("with labels alone", "metadata/ownerReferences", None),
    ("owned by something else", "metadata/ownerReferences", [{"kind": "Job", "apiVersion": "batch/v1", "uid": "u"}]),
    ("with no name of a Job for a home", "metadata/name", "demo-people"),
    ("with the name of another Job", "metadata/name", "one-init"),
    ("with the name of a second try", "metadata/name", "one-i0-r1"),
    ("of a content that was there before", "spec/source", {"volumeSnapshotContentName": "of-another-namespace"}),
    ("of both", "spec/source", {"persistentVolumeClaimName": "claim-ada", "volumeSnapshotContentName": "x"}),
    ("of nothing", "spec/source", None),
    ("without a spec", "spec", None),
]


@pytest.mark.parametrize(("path", "value"), [c[1:] for c in FOREIGN_SNAPSHOTS], ids=[c[0] for c in FOREIGN_SNAPSHOTS])
def test_a_volume_snapshot_that_is_not_ours(path: str, value: Any) -> None:
    assert backup_checkpoint.is_volume_snapshot(snapshot())
    assert not backup_checkpoint.is_volume_snapshot(changed(snapshot(), path, value))


FOREIGN_CLAIMS: list[tuple[str, str, Any]] = [
    ("a home", "metadata/labels", HOME_LABELS),
    ("without labels", "metadata/labels", None),
    ("from another snapshot", "spec/dataSource/name", "of-bela"),
    ("from a claim", "spec/dataSource", {"kind": "PersistentVolumeClaim", "name": "one-i0"}),
    ("from a kind of somebody's", "spec/dataSource/apiGroup", "example.org"),
    ("from nothing", "spec/dataSource", None),
]


@pytest.mark.parametrize(("path", "value"), [c[1:] for c in FOREIGN_CLAIMS], ids=[c[0] for c in FOREIGN_CLAIMS])
def test_a_claim_that_is_not_ours(path: str, value: Any) -> None:
    assert not backup_checkpoint.is_claim(changed(claim(), path, value))
