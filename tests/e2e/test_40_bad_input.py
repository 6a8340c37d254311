"""Mistakes: each refused with the field and the fix, at apply or in a condition; what ran goes on."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import NAMESPACE, namespace, variant

SOURCE: dict[str, Any] = {"name": "main", "nfs": {"server": "192.0.2.1", "export": "/pds"}}
ENTRY: dict[str, Any] = {"path": "pds4", "layers": [{"source": "main", "path": "pds4"}]}


def archive(sources: list[Any] | None = None, tree: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """spec with an inline archive, good but for what a case breaks."""
    inline = {"sources": sources or [SOURCE], "tree": tree or [ENTRY]}
    return {"archive": {"inline": inline, **more}}


def nfs(**fields: Any) -> dict[str, Any]:
    """A source with broken NFS fields."""
    return {"name": "main", "nfs": {**SOURCE["nfs"], **fields}}


def layer(path: str, entry: str = "pds4", source: str = "main") -> dict[str, Any]:
    """A tree entry with one layer."""
    return {"path": entry, "layers": [{"source": source, "path": path}]}


AT_APPLY: list[tuple[str, dict[str, Any], list[str]]] = [
    ("empty export", archive([nfs(export="")]), ["sources[0].nfs.export", "start it with /"]),
    ("relative export", archive([nfs(export="pds")]), ["sources[0].nfs.export", "start it with /"]),
    ("dots in export", archive([nfs(export="/pds/../etc")]), ["sources[0].nfs.export", "'..'"]),
    ("empty layer path", archive(tree=[layer("")]), ["layers[0].path", "write '.'"]),
    ("absolute layer path", archive(tree=[layer("/pds4")]), ["layers[0].path", "leave out the leading /"]),
    ("dots in layer path", archive(tree=[layer("a/../../b")]), ["layers[0].path", "'..'"]),
    ("dots in tree path", archive(tree=[layer("a", entry="../x")]), ["tree[0].path", "'..'"]),
    ("relative mount path", archive(mountPath="archive"), ["archive.mountPath", "start it with /"]),
    ("duplicate sources", archive([SOURCE, SOURCE]), ["sources", "same name", "give each its own"]),
    ("unknown source", archive(tree=[layer("a", source="nas9")]), ["inline", "not in sources", "correct"]),
    ("nested entries", archive(tree=[ENTRY, layer("a", entry="pds4/a")]), ["tree", "inside another"]),
    ("local path", archive([{"name": "main", "local": {"path": "/etc"}}]), ["local", "ArchiveView"]),
    ("view twice", archive(viewRef="sbn"), ["archive", "exactly one"]),
    ("no sign-in", {"signIn": None}, ["signIn", "add signIn.google"]),
    ("empty sign-in", {"signIn": {}}, ["signIn", "exactly one"]),
    (
        "two sign-ins",
        {"signIn": {"development": {}, "google": {"clientId": "x", "clientSecretRef": {"name": "s", "key": "k"}}}},
        ["signIn", "exactly one"],
    ),
    (
        "guarantee above limit",
        {"server": {"resources": {"memory": {"limit": "1Gi", "guarantee": "2Gi"}}}},
        ["server.resources.memory", "lower the guarantee"],
    ),
    ("bad memory", {"server": {"resources": {"memory": {"limit": "4 gigs"}}}}, ["memory.limit", "512Mi"]),
    ("bad cpu", {"server": {"resources": {"cpu": {"limit": "two"}}}}, ["cpu.limit", "500m"]),
    ("bad home", {"server": {"home": {"size": "big"}}}, ["home.size", "4Gi"]),
    (
        "unknown default profile",
        {"server": {"profiles": [{"name": "small", "displayName": "Small"}], "defaultProfile": "huge"}},
        ["server", "defaultProfile"],
    ),
    ("port without NodePort", {"service": {"type": "ClusterIP", "nodePort": 30081}}, ["service", "NodePort"]),
    ("vague chart version", {"chart": {"version": "latest"}}, ["chart.version"]),
    ("unknown field", {"signin": {}}, ["unknown field", "spec.signin"]),
]


@pytest.fixture(scope="module")
def where(cluster: Cluster) -> Iterator[str]:
    """A development namespace for mistakes."""
    yield namespace(cluster, "e2e-bad")
    cluster.kubectl("delete", "namespace", "e2e-bad", "--wait=false")


@pytest.mark.parametrize(("spec", "says"), [c[1:] for c in AT_APPLY], ids=[c[0] for c in AT_APPLY])
def test_refused_at_apply(
    cluster: Cluster, sample: dict[str, Any], where: str, spec: dict[str, Any], says: list[str]
) -> None:
    with pytest.raises(CommandFailed) as refused:
        cluster.apply(variant(sample, "bad", where, **copy.deepcopy(spec)))
    for words in says:
        assert words in refused.value.err


CHART = {"source": "Airgap", "version": "99.0.0"}
IN_A_CONDITION: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("chart version", {"chart": CHART}, "Ready", ["99.0.0", "spec.chart.version"]),
    (
        "chart repository",
        {"chart": {"source": "Repository", "repository": "https://charts.example.org/", "version": "4.4.0"}},
        "Ready",
        ["https://charts.example.org/", "spec.chart.repository", "defaults.chart.allowedRepositories"],
    ),
    ("schema", {"values": {"hub": {"nosuchkey": 1}}}, "Ready", ["nosuchkey", "spec.values"]),
    (
        "server not allowed",
        archive([nfs(server="203.0.113.9")], [layer(".")]),
        "ArchiveReady",
        ["203.0.113.9", "not allowed", "archive.allowed of"],
    ),
    ("no such view", {"archive": {"viewRef": "nowhere"}}, "ArchiveReady", ["nowhere", "viewRef"]),
]


@pytest.mark.parametrize(("name", "spec", "kind", "says"), IN_A_CONDITION, ids=[c[0] for c in IN_A_CONDITION])
def test_reported_in_a_condition(
    cluster: Cluster, sample: dict[str, Any], name: str, spec: dict[str, Any], kind: str, says: list[str]
) -> None:
    space = namespace(cluster, "e2e-" + name.replace(" ", "-"))
    cluster.apply(variant(sample, "bad", space, **copy.deepcopy(spec)))
    try:
        found = eventually(
            lambda: cluster.condition("pdshub", "bad", kind, space),
            lambda c: c.get("status") == "False" and all(w in c["message"] for w in says),
            within=180,
            what=f"{kind} says {says}",
        )
        assert found["reason"]
    finally:
        cluster.kubectl("delete", "pdshub", "bad", "-n", space, "--timeout=120s", timeout=130)
        cluster.kubectl("delete", "namespace", space, "--wait=false")


def test_development_sign_in_needs_a_development_namespace(cluster: Cluster, sample: dict[str, Any]) -> None:
    space = namespace(cluster, "e2e-production", development=False)
    cluster.apply(variant(sample, "bad", space))
    try:
        eventually(
            lambda: cluster.condition("pdshub", "bad", "SignInReady", space),
            lambda c: c.get("status") == "False" and "pdshub.dev/environment=development" in c["message"],
            what="the development sign-in is refused",
        )
        assert cluster.items("deployments", space) == []
    finally:
        cluster.kubectl("delete", "pdshub", "bad", "-n", space, "--timeout=120s", timeout=130)
        cluster.kubectl("delete", "namespace", space, "--wait=false")


def test_a_second_hub_in_a_namespace_waits_and_harms_nothing(cluster: Cluster, hub: dict[str, Any]) -> None:
    history = cluster.run("helm", "history", "demo", "-n", NAMESPACE, "-o", "json")
    cluster.apply(variant(hub, "second", NAMESPACE))
    try:
        eventually(
            lambda: cluster.condition("pdshub", "second", "Ready", NAMESPACE),
            lambda c: c.get("status") == "False" and "demo" in c["message"] and "namespace" in c["message"],
            what="the second hub says that the first is there",
        )
    finally:
        cluster.kubectl("delete", "pdshub", "second", "-n", NAMESPACE, "--timeout=120s", timeout=130)
    assert cluster.run("helm", "history", "demo", "-n", NAMESPACE, "-o", "json") == history
    assert cluster.condition("pdshub", "demo", "Ready", NAMESPACE)["status"] == "True"
    assert {p["metadata"]["name"] for p in cluster.items("pvc", NAMESPACE)} >= {"hub-db-dir"}


def test_a_mistake_in_a_running_hub_harms_nothing(cluster: Cluster, hub: dict[str, Any]) -> None:
    before = cluster.get("deployment", "hub", NAMESPACE)["spec"]
    cluster.apply(variant(hub, "demo", NAMESPACE, values={"hub": {"nosuchkey": 1}}))
    eventually(
        lambda: cluster.condition("pdshub", "demo", "Released", NAMESPACE),
        lambda c: c.get("status") == "False" and "nosuchkey" in c["message"],
        what="Released says what is wrong",
    )
    assert cluster.condition("pdshub", "demo", "Ready", NAMESPACE)["status"] == "True"
    assert cluster.get("deployment", "hub", NAMESPACE)["spec"] == before
    cluster.apply(variant(hub, "demo", NAMESPACE))
    eventually(
        lambda: cluster.condition("pdshub", "demo", "Released", NAMESPACE),
        lambda c: c.get("status") == "True",
        what="healed",
    )
    assert json.loads(cluster.run("helm", "history", "demo", "-n", NAMESPACE, "-o", "json"))[-1]["status"] == "deployed"
