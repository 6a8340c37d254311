"""A hub's database that outlived its namespace, and comes back."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.helm import HelmError
from pdshub.kube import (
    CLAIM,
    VOLUME,
)
from tests.unit.reconcile.hubs import SPEC, Bench


def restored(bench: Bench, claim: str, volume: dict[str, Any], labels: dict[str, str] | None) -> None:
    """A claim made by hand for a retained volume, as administrator.md says."""
    meta = {"name": claim, "namespace": "ns", **({"labels": labels} if labels is not None else {})}
    made = bench.kube.put(
        CLAIM, {"metadata": meta, "spec": {"volumeName": "pv-old"}, "status": {"phase": "Bound"}, "kind": "x"}
    )
    ref = {"namespace": "ns", "name": claim, "uid": made["metadata"]["uid"]}
    spec = {"persistentVolumeReclaimPolicy": "Retain", "claimRef": ref}
    bench.kube.put(VOLUME, {"metadata": {"name": "pv-old", **volume}, "spec": spec})


MARKED = {"labels": {"pdshub.dev/hub": "demo", "pdshub.dev/namespace": "ns"}}
PAGE = {"app": "jupyterhub", "component": "hub", "pdshub.dev/hub": "demo"}
RESTORED: list[tuple[str, dict[str, Any], dict[str, str] | None, bool]] = [
    ("labelled as the page says", {}, PAGE, True),
    ("labelled as a home", {}, {**PAGE, "component": "singleuser-storage"}, True),
    ("no label, but the volume is marked", MARKED, None, True),
    ("no mark at all", {}, None, False),
    ("another hub's label", MARKED, {**PAGE, "pdshub.dev/hub": "other"}, False),
    ("another namespace's label", MARKED, {**PAGE, "pdshub.dev/namespace": "other"}, False),
    ("the volume of another hub", {"labels": {**MARKED["labels"], "pdshub.dev/hub": "other"}}, PAGE, False),
    ("the volume of another namespace", {"labels": {**MARKED["labels"], "pdshub.dev/namespace": "x"}}, PAGE, False),
]


@pytest.mark.parametrize(("volume", "labels", "adopted"), [r[1:] for r in RESTORED], ids=[r[0] for r in RESTORED])
@pytest.mark.parametrize("refused_before", [False, True], ids=["at once", "after helm refused it"])
def test_a_database_that_is_brought_back_is_adopted(
    volume: dict[str, Any], labels: dict[str, str] | None, adopted: bool, refused_before: bool
) -> None:
    bench = Bench({**SPEC, "deletionPolicy": {"homes": "Delete"}})
    if refused_before:
        bench.helm.error = HelmError("NotOurs", "refused", permanent=True)
        bench.run()
        bench.helm.error = None
        bench.context.hubs.clear()
    restored(bench, "hub-db-dir", volume, labels)
    before = bench.kube.objects[("persistentvolumeclaims", "ns", "hub-db-dir")]["metadata"]["uid"]
    bench.run()
    claim = bench.kube.objects[("persistentvolumeclaims", "ns", "hub-db-dir")]
    assert claim["metadata"]["uid"] == before and claim["spec"]["volumeName"] == "pv-old"
    if adopted:
        assert bench.condition("Ready")["status"] == "True" and bench.helm.runs[-1:] == ["upgrade"]
    else:
        said = bench.condition("Stalled")
        assert (said["status"], said["reason"]) == ("True", "NotOurs")
        assert "hub-db-dir" in said["message"]
        words = said["message"].lower()
        assert not any(advice in words for advice in ("remove", "delete", "uninstall")), "it is the data"
        assert "managed-by" not in str(claim["metadata"])
    bench.delete()
    assert bench.run() is None
    assert "hub-db-dir" in bench.names("persistentvolumeclaims"), "a database is no home, whatever its labels"


def test_the_volume_of_a_database_carries_the_hubs_marks() -> None:
    bench = Bench()
    bench.run()
    labels = bench.kube.objects[("persistentvolumes", "", "pv-db")]["metadata"]["labels"]
    assert labels == {"pdshub.dev/hub": "demo", "pdshub.dev/namespace": "ns"}
