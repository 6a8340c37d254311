"""Walls around Helm: what it would apply is looked at, a forged release is reported, what drifted comes back."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import records
from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import SYSTEM, namespace, variant, wait_ready

SPACE, HUB = "e2e-walls", "walls"
EVIL = f"10.0.0.1\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: evil, namespace: {SYSTEM}}}\ndata:\n  a: b"
WITHIN = 60.0
"""Seconds until what drifted is as it was installed, by the manual."""


@pytest.fixture(scope="module")
def walls(cluster: Cluster, sample: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A hub of its own, without an archive."""
    namespace(cluster, SPACE)
    made = variant(sample, HUB, SPACE, archive=None)
    cluster.apply(made)
    wait_ready(cluster, HUB, SPACE)
    yield made
    cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--ignore-not-found", "--timeout=180s", timeout=190)
    cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def history(cluster: Cluster) -> str:
    return cluster.run("helm", "history", HUB, "-n", SPACE, "-o", "json")


def condition(cluster: Cluster, kind: str) -> dict[str, Any]:
    return cluster.condition("pdshub", HUB, kind, SPACE)


def there(cluster: Cluster, kind: str, name: str, where: str = SPACE) -> bool:
    return bool(cluster.kubectl("get", kind, name, "-n", where, "--ignore-not-found", "-o", "name").strip())


def refused(cluster: Cluster, hub: dict[str, Any], values: dict[str, Any], *says: str) -> None:
    """The values are refused by a condition that says this; what runs goes on, and heals with the values before."""
    before = history(cluster)
    cluster.apply({**hub, "spec": {**hub["spec"], "values": values}})
    eventually(
        lambda: condition(cluster, "Stalled"),
        lambda c: c.get("reason") == "ValuesRefused" and all(words in c["message"] for words in says),
        within=180,
        what=f"Stalled says {says}",
    )
    assert history(cluster) == before and condition(cluster, "Ready")["status"] == "True"
    cluster.apply(hub)
    eventually(lambda: condition(cluster, "Stalled"), lambda c: c.get("status") == "False", what="healed")


def test_a_newline_in_a_value_becomes_no_object(cluster: Cluster, walls: dict[str, Any], chart: dict[str, str]) -> None:
    values = {"proxy": {"service": {"loadBalancerIP": EVIL}}}
    if chart:
        refused(cluster, walls, values, "spec.values.proxy.service.loadBalancerIP")
    else:
        # the chart of this project quotes it: it stays a text, which Kubernetes may take or refuse
        cluster.apply({**walls, "spec": {**walls["spec"], "values": values}})
        generation = cluster.get("pdshub", HUB, SPACE)["metadata"]["generation"]
        eventually(
            lambda: cluster.get("pdshub", HUB, SPACE)["status"]["observedGeneration"],
            lambda seen: seen == generation,
            within=180,
            what="the values were tried",
        )
        cluster.apply(walls)
        wait_ready(cluster, HUB, SPACE)
    assert not there(cluster, "configmap", "evil", SYSTEM) and not there(cluster, "configmap", "evil")


def test_an_object_of_another_release_is_refused_and_its_value_named(cluster: Cluster, walls: dict[str, Any]) -> None:
    values = {"proxy": {"service": {"annotations": {"meta.helm.sh/release-name": "other"}}}}
    refused(cluster, walls, values, "spec.values.proxy.service.annotations", "another Helm release")


DRIFTS: list[tuple[str, str, Callable[[Cluster], str]]] = [
    ("deployment", "proxy", lambda c: c.kubectl("delete", "deployment", "proxy", "-n", SPACE, "--wait=true")),
    ("service", "proxy-api", lambda c: c.kubectl("delete", "service", "proxy-api", "-n", SPACE)),
    ("configmap", "hub", lambda c: c.kubectl("delete", "configmap", "hub", "-n", SPACE)),
]


@pytest.mark.parametrize(("kind", "name", "harm"), DRIFTS, ids=[f"{d[0]} {d[1]}" for d in DRIFTS])
def test_what_somebody_deleted_comes_back_without_helm(
    cluster: Cluster, walls: dict[str, Any], kind: str, name: str, harm: Callable[[Cluster], str]
) -> None:
    before, uid = history(cluster), cluster.get(kind, name, SPACE)["metadata"]["uid"]
    began = time.monotonic()
    harm(cluster)
    eventually(
        lambda: cluster.get(kind, name, SPACE)["metadata"]["uid"],
        lambda now: now != uid,
        within=WITHIN,
        every=0.5,
        what=f"{kind} {name} is back",
    )
    seconds = time.monotonic() - began
    print(f"{kind} {name} came back after {seconds:.1f} s")
    records.keep("drift", f"{kind} {name}, deleted", round(seconds, 1))
    told = f"involvedObject.name={HUB},reason=Repair"
    events = cluster.kubectl("get", "events", "-n", SPACE, "--field-selector", told, "-o", "json")
    assert any(f"{name} is missing" in item["message"] for item in json.loads(events)["items"])
    wait_ready(cluster, HUB, SPACE)
    eventually(lambda: condition(cluster, "Drifted"), lambda c: c.get("status") == "False", what="nothing drifted")
    assert history(cluster) == before


def test_what_somebody_changed_is_changed_back_or_only_reported(cluster: Cluster, walls: dict[str, Any]) -> None:
    before = history(cluster)
    began = time.monotonic()
    cluster.kubectl("scale", "deployment", "proxy", "-n", SPACE, "--replicas=0")
    eventually(
        lambda: cluster.get("deployment", "proxy", SPACE)["spec"]["replicas"],
        lambda count: count == 1,
        within=WITHIN,
        every=0.5,
        what="the proxy has its pod again",
    )
    records.keep("drift", "deployment proxy, changed", round(time.monotonic() - began, 1))
    wait_ready(cluster, HUB, SPACE)
    cluster.kubectl("rollout", "restart", "deployment/proxy", "-n", SPACE)
    cluster.kubectl("rollout", "status", "deployment/proxy", "-n", SPACE, "--timeout=180s", timeout=190)
    assert condition(cluster, "Drifted")["status"] == "False", "a restart is no drift"
    cluster.apply({**walls, "spec": {**walls["spec"], "drift": "Report"}})
    wait_ready(cluster, HUB, SPACE)
    cluster.kubectl("scale", "deployment", "proxy", "-n", SPACE, "--replicas=0")
    try:
        eventually(
            lambda: condition(cluster, "Drifted"),
            lambda c: c.get("status") == "True" and "Deployment proxy: spec.replicas" in c["message"],
            within=WITHIN,
            what="Drifted names the Deployment",
        )
        assert cluster.get("deployment", "proxy", SPACE)["spec"]["replicas"] == 0
    finally:
        cluster.apply(walls)
    wait_ready(cluster, HUB, SPACE)
    assert cluster.get("deployment", "proxy", SPACE)["spec"]["replicas"] == 1
    assert history(cluster) == before


def forged(cluster: Cluster) -> dict[str, Any]:
    """A record of one more revision, with a hook that would make a ConfigMap when the hub is removed."""
    newest = json.loads(history(cluster))[-1]["revision"]
    real = cluster.get("secret", f"sh.helm.release.v1.{HUB}.v{newest}", SPACE)
    document = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(real["data"]["release"]))))
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hook-ran", "namespace": SPACE}}
    hook = {"name": "hook-ran", "kind": "ConfigMap", "path": "x", "manifest": json.dumps(body), "events": []}
    document["hooks"] = [{**hook, "events": ["pre-delete", "pre-upgrade"]}]
    document["version"] = newest + 1
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(document).encode()))).decode()
    meta = copy.deepcopy(real["metadata"])
    labels = {**meta["labels"], "version": str(newest + 1), "status": "deployed"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"sh.helm.release.v1.{HUB}.v{newest + 1}",
            "namespace": SPACE,
            "labels": labels,
            "annotations": meta.get("annotations") or {},
        },
        "type": "helm.sh/release.v1",
        "data": {"release": packed},
    }


def test_a_forged_release_is_reported_and_its_hooks_never_run(cluster: Cluster, walls: dict[str, Any]) -> None:
    try:
        secret = forged(cluster)
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(secret))
    except CommandFailed as denied:
        # where an admission policy keeps such Secrets out, nobody can forge one in the first place
        assert "denied" in denied.err or "forbidden" in denied.err
        pytest.skip("an admission policy refuses the Secret itself")
    name = secret["metadata"]["name"]
    eventually(
        lambda: condition(cluster, "Stalled"),
        lambda c: c.get("reason") == "ReleaseForged" and name in c["message"],
        within=90,
        what="the forged release is reported",
    )
    assert condition(cluster, "Ready")["status"] == "True", "what runs goes on"
    cluster.apply({**walls, "spec": {**walls["spec"], "culling": {"idleSeconds": 7201}}})
    time.sleep(15)
    assert not there(cluster, "configmap", "hook-ran") and condition(cluster, "Stalled")["reason"] == "ReleaseForged"
    cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=180s", timeout=190)
    assert not there(cluster, "configmap", "hook-ran")
    assert not cluster.items("deployments", SPACE) and not there(cluster, "secret", name)
    assert there(cluster, "pvc", "hub-db-dir"), "data stays"
