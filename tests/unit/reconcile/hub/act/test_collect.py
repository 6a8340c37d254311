"""What is removed, in which form, and that one refusal holds up nothing else."""

from __future__ import annotations

import pytest

from pdshub.kube import ARCHIVE_VIEW, CLAIM, CONFIG_MAP, DEPLOYMENT, POD, SECRET, VOLUME, KubeError, Resource
from pdshub.reconcile.hub.act.collect import collect_dependents, collect_revisions, collect_stale
from pdshub.reconcile.hub.dependents import RESOURCES
from tests.unit.reconcile.hub.act.acting import Acting
from tests.unit.reconcile.test_decide import facts

KINDS: list[tuple[str, Resource]] = [
    ("pod", POD),
    ("claim", CLAIM),
    ("volume", VOLUME),
    ("configmap", CONFIG_MAP),
    ("secret", SECRET),
    ("view", ARCHIVE_VIEW),
    ("deployment", DEPLOYMENT),
]


@pytest.mark.parametrize(("kind", "resource"), KINDS)
def test_each_kind_is_removed_where_it_lives(kind: str, resource: Resource) -> None:
    bench = Acting()
    bench.put(resource, "x")
    bench.put(resource, "y")
    bench.run(collect_dependents, facts(dependents=((kind, "x"),)))
    assert bench.names(resource) == {"y"} and RESOURCES[kind] is resource


def test_data_goes_with_its_volume_and_a_mere_claim_without() -> None:
    bench = Acting()
    for name in ("data", "mere"):
        uid = bench.put(CLAIM, name, {"volumeName": f"pv-{name}"})["metadata"]["uid"]
        ref = {"namespace": "ns", "name": name, "uid": uid}
        bench.put(VOLUME, f"pv-{name}", {"persistentVolumeReclaimPolicy": "Retain", "claimRef": ref})
    bench.run(collect_dependents, facts(dependents=(("data", "data"), ("claim", "mere"))))
    assert bench.names(CLAIM) == set()
    policies = {n: bench.get(VOLUME, n)["spec"]["persistentVolumeReclaimPolicy"] for n in bench.names(VOLUME)}
    assert policies == {"pv-data": "Delete", "pv-mere": "Retain"}


def test_what_is_stale_goes_and_what_is_gone_is_no_error() -> None:
    bench = Acting()
    bench.put(CLAIM, "old")
    bench.run(collect_stale, facts(stale=(("claim", "old"), ("volume", "gone"))))
    assert bench.names(CLAIM) == set()


def test_records_of_revisions_go_alone() -> None:
    bench = Acting()
    bench.put(SECRET, "v7")
    bench.put(SECRET, "v6")
    bench.put(POD, "x")
    bench.run(collect_revisions, facts(broken_revisions=("v7",), dependents=(("pod", "x"),)))
    assert bench.names(SECRET) == {"v6"} and bench.names(POD) == {"x"}


def test_one_refusal_is_raised_after_the_rest_is_done() -> None:
    bench = Acting()
    for name in ("a", "b", "c"):
        bench.put(POD, name)
    bench.kube.refused = {"a"}
    with pytest.raises(KubeError, match="Pod a: a: denied"):
        bench.run(collect_dependents, facts(dependents=(("pod", "a"), ("pod", "b"), ("pod", "c"))))
    assert bench.names(POD) == {"a"}
