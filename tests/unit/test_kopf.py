"""The operator as kopf runs it, over an API server: login, kopf's own list and watch, its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kopf
import pytest
import yaml

from pdshub.kopf_handlers import registry
from pdshub.kube import ARCHIVE_VIEW, NAMESPACE, PDSHUB, KubeError, Resource
from pdshub.loops import Operator
from pdshub.wellknown import API_VERSION
from tests.unit.apiserver import TOKEN, ApiServer, serving
from tests.unit.settled import Cluster, at_rest, eventually, no_look

GRACE = 5.0


def offer(server: ApiServer) -> None:
    """What a client that asks for the server's kinds is told; kopf wants to see namespaces and CRDs among them."""
    crd = Resource("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
    groups = []
    for api, kinds in (("v1", (NAMESPACE,)), (crd.api, (crd,)), (API_VERSION, (PDSHUB, ARCHIVE_VIEW))):
        group, _, version = api.rpartition("/")
        found = [
            {"name": r.plural, "singularName": r.kind.lower(), "kind": r.kind, "namespaced": r.namespaced}
            for r in kinds
        ]
        offered = {"resources": [{**kind, "verbs": ["list", "watch", "patch"]} for kind in found]}
        server.objects[f"/apis/{api}" if group else f"/api/{api}"] = offered
        stamp = {"groupVersion": api, "version": version}
        groups += [{"name": group, "versions": [stamp], "preferredVersion": stamp}] if group else []
    server.objects |= {"/api": {"versions": ["v1"]}, "/apis": {"groups": groups}}


def kubeconfig(url: str) -> str:
    """How somebody outside the cluster logs in."""
    parts: dict[str, Any] = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": TOKEN.removeprefix("Bearer ")}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "x", **parts})


@asynccontextmanager
async def hosted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Cluster, Operator]]:
    """An operator whose looks do nothing, run by kopf until the end of the context."""
    async with serving() as (server, kube):
        cluster = Cluster(server, kube)
        offer(server)
        cluster.prepare()
        cluster.view()
        cluster.hub("ns1")
        cluster.hub("ns2")
        (tmp_path / "config").write_text(kubeconfig(kube._client.configuration.host))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        made: list[Operator] = []

        async def make() -> Operator:
            looks = cluster.counting(no_look)
            made.append(Operator(kube, cluster.surroundings(), looks, looks))
            made[0].informers.start()
            return made[0]

        stop = asyncio.Event()
        runs = asyncio.create_task(
            kopf.operator(registry=registry(make, GRACE), clusterwide=True, standalone=True, stop_flag=stop)
        )
        try:
            await eventually("it is started", lambda: made or runs.done())
            yield cluster, made[0]
        finally:
            stop.set()
            await runs


def known(operator: Operator) -> set[str]:
    """Namespaces of the hubs that the copy has."""
    return {item["metadata"]["namespace"] for item in operator.informers.objects(PDSHUB)}


async def agreed(operator: Operator) -> None:
    """Until a list agrees with what kopf told."""
    while not operator.informers.agreed:
        await operator.compare()
        await asyncio.sleep(0.005)


def test_what_kopf_hears_leads_to_looks_and_is_what_looks_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with hosted(tmp_path, monkeypatch) as (cluster, operator):
            await eventually("its first list is looked at", lambda: len(cluster.looks) == 3)
            await agreed(operator)
            assert set(cluster.looks) == {("ns1", "hub"), ("ns2", "hub"), "sbn"}
            cluster.server.asked.clear()
            assert await operator.kube.get(PDSHUB, "hub", "ns1") and await operator.kube.get(ARCHIVE_VIEW, "sbn")
            assert cluster.server.requests() == [], "and there is no second watch of them"
            watched = [a.path for a in cluster.server.asked if a.watches]
            assert PDSHUB.path() not in watched and ARCHIVE_VIEW.path() not in watched
            cluster.looks.clear()
            cluster.view("sha256:" + "a" * 64)
            await eventually("a generation is looked at", lambda: len(cluster.looks) == 3)
            cluster.hub("ns3")
            await eventually("a new hub is looked at", lambda: cluster.looks["ns3", "hub"])
            cluster.server.remove(PDSHUB, "hub", "ns3")
            await eventually("it is gone", lambda: known(operator) == {"ns1", "ns2"})
            await at_rest(operator)
            stored = cluster.server.objects[PDSHUB.path("ns1", "hub")]["metadata"]
            assert not stored.get("annotations") and not stored.get("finalizers"), "kopf writes nothing of its own"
        assert operator.hubs._closing, "kopf's end is the operator's"

    asyncio.run(main())


def test_a_deletion_that_kopf_missed_is_found_by_the_resync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When its watch has to begin anew it lists what there is: what is gone it does not know."""

    async def main() -> None:
        async with hosted(tmp_path, monkeypatch) as (cluster, operator):
            await agreed(operator)
            cluster.server.silent = True
            cluster.server.remove(PDSHUB, "hub", "ns2")
            cluster.server.forget()
            cluster.server.silent = False
            cluster.server.cut()
            cluster.hub("ns3")
            await eventually("it has listed anew", lambda: "ns3" in known(operator))
            assert known(operator) == {"ns1", "ns2", "ns3"}
            await at_rest(operator)
            cluster.looks.clear()
            await operator.compare()
            assert known(operator) == {"ns1", "ns3"}
            await eventually("it is looked at", lambda: cluster.looks["ns2", "hub"])

    asyncio.run(main())


def test_what_kopf_told_is_not_believed_while_the_api_server_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with hosted(tmp_path, monkeypatch) as (cluster, operator):
            await agreed(operator)
            cluster.server.answer = (503, "")
            with pytest.raises(KubeError):
                await operator.compare()
            with pytest.raises(KubeError):
                await operator.kube.get(PDSHUB, "hub", "ns1")
            cluster.server.answer = None
            await operator.compare()
            cluster.server.asked.clear()
            assert await operator.kube.get(PDSHUB, "hub", "ns1") and cluster.server.requests() == []

    asyncio.run(main())
