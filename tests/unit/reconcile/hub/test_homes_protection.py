"""Homes of all hubs: one namespace that cannot be read keeps no other from its turn."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from pdshub.kube import CLAIM, VOLUME, Kube, KubeError, Object, Resource
from pdshub.reconcile.hub.homes_protection import HomesProtection, is_home
from tests.unit.reconcile.fakes import FakeKube

HOME = {"component": "singleuser-storage", "pdshub.dev/hub": "hub"}


class Closed(FakeKube):
    """Refuses to list in namespaces, with an HTTP status each."""

    def __init__(self, **refused: int) -> None:
        super().__init__()
        self.refused = refused
        for namespace in ("a", "b", "c"):
            claim = {"name": "claim-ada", "namespace": namespace, "labels": HOME}
            self.put(CLAIM, {"metadata": claim, "spec": {"volumeName": f"pv-{namespace}"}})
            spec = {"persistentVolumeReclaimPolicy": "Delete", "claimRef": {"namespace": namespace}}
            self.put(VOLUME, {"metadata": {"name": f"pv-{namespace}"}, "spec": spec})

    async def items(self, resource: Resource, namespace: str | None = None, **more: Any) -> list[Object]:
        if (status := self.refused.get(namespace or "")) is not None:
            raise KubeError(status, "no")
        return await super().items(resource, namespace, **more)

    def kept(self) -> set[str]:
        volumes = [item for key, item in self.objects.items() if key[0] == VOLUME.plural]
        return {v["metadata"]["name"] for v in volumes if v["spec"]["persistentVolumeReclaimPolicy"] == "Retain"}


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_namespace_that_is_closed_is_passed_over(status: int) -> None:
    kube = Closed(b=status)
    asyncio.run(HomesProtection(cast(Kube, kube)).all({"a", "b", "c"}))
    assert kube.kept() == {"pv-a", "pv-c"}


def test_only_namespaces_of_hubs_are_looked_at() -> None:
    kube = Closed()
    asyncio.run(HomesProtection(cast(Kube, kube)).all({"a"}))
    assert kube.kept() == {"pv-a"}


def test_an_api_server_that_is_away_is_said() -> None:
    with pytest.raises(KubeError):
        asyncio.run(HomesProtection(cast(Kube, Closed(a=0))).all({"a", "b"}))


@pytest.mark.parametrize(
    ("labels", "home"), [(HOME, True), ({"pdshub.dev/hub": "hub"}, False), ({"component": "singleuser-storage"}, False)]
)
def test_what_a_home_is(labels: dict[str, str], home: bool) -> None:
    assert is_home({"metadata": {"labels": labels}}) is home
