"""One action on an API server and a Helm in memory."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from pdshub.helm import Helm
from pdshub.installation import Installation
from pdshub.kube import Kube, KubeError, Object, Resource
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.hub.act import Act
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Facts
from tests.unit.reconcile.fakes import FakeHelm, FakeKube


class RefusingKube(FakeKube):
    """Refuses to patch or delete what has one of the names in ``refused``."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()

    async def patch(self, resource: Resource, name: str, *args: Any, **more: Any) -> Object | None:
        if name in self.refused:
            raise KubeError(403, f"{name}: denied")
        return await super().patch(resource, name, *args, **more)

    async def delete(self, resource: Resource, name: str, *args: Any, **more: Any) -> bool:
        if name in self.refused:
            raise KubeError(403, f"{name}: denied")
        return await super().delete(resource, name, *args, **more)


class Acting:
    """A context on fakes."""

    def __init__(self) -> None:
        self.kube = RefusingKube()
        self.helm = FakeHelm(self.kube)
        self.context = HubContext(
            cast(Kube, self.kube),
            cast(Helm, self.helm),
            Installation(),
            BundledChart("/charts/airgap", "0.1.0", "abc"),
            "pdshub-system",
            cast(Any, None),
        )

    def run(self, act: Act, facts: Facts) -> str:
        """Do it; the message of the event."""
        return asyncio.run(self._run(act, facts))

    async def _run(self, act: Act, facts: Facts) -> str:
        return await act(self.context, facts)

    def put(self, resource: Resource, name: str, spec: Any = None, namespace: str | None = "ns", **meta: Any) -> Object:
        """An object that is there already."""
        where = {"namespace": namespace} if resource.namespaced else {}
        return self.kube.put(resource, {"metadata": {"name": name, **where, **meta}, "spec": spec or {}})

    def get(self, resource: Resource, name: str) -> Object:
        """An object as it is now."""
        return self.kube.objects[(resource.plural, "ns" if resource.namespaced else "", name)]

    def names(self, resource: Resource) -> set[str]:
        """Names of what is there of a kind."""
        return {key[2] for key in self.kube.objects if key[0] == resource.plural}
