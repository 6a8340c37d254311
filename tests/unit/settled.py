"""An operator over an API server of its own, a Helm in memory, and waiting for it to have nothing to do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from pdshub import tenant
from pdshub.helm import Helm
from pdshub.installation import Installation
from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    NAMESPACE,
    NODE,
    PDSHUB,
    POD,
    ROLE_BINDING,
    STORAGE_CLASS,
    Kube,
    KubeError,
    Object,
    Resource,
)
from pdshub.loops import LookAtHub, LookAtView, Operator, Surroundings
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.hub import reconcile as hub
from pdshub.reconcile.hub.backup.loop import LookAtBackups
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.people.loop import LookAtPeople
from pdshub.survey_api import SurveyApi
from pdshub.watch import watch
from tests.unit.apiserver import ApiServer, serving
from tests.unit.reconcile.fakes import FakeHelm
from tests.unit.reconcile.views import FakeSurveys
from tests.unit.waiting import eventually as eventually

SYSTEM = "pdshub-system"
SURVEYORS = Installation().surveyor.namespace


class Cluster:
    """The API server, with Helm writing to it as from another process."""

    def __init__(self, server: ApiServer, kube: Kube) -> None:
        self.server, self.kube = server, kube
        self.put, self.items, self.get = server.put, server.items, server.get
        self.helm, self.surveys = FakeHelm(cast(Any, self)), FakeSurveys()
        self.looks: Counter[Any] = Counter()

    def surroundings(self) -> Surroundings:
        settings = {
            "defaults": {"images": {"hub": "registry.example.org/hub:1"}},
            "archive": {"allowed": [{"server": "10.0.0.0/8", "exports": ["/"]}]},
        }
        chart = BundledChart("/charts/airgap", "0.1.0", "abc")
        images = {"surveyor": {"image": "pdshub:1"}, "backup": {"image": "pdshub:1"}}
        made = Installation.model_validate({**settings, **images})
        return Surroundings(cast(Helm, self.helm), made, chart, SYSTEM, cast(SurveyApi, self.surveys))

    def prepare(self) -> None:
        self.put(STORAGE_CLASS, {"metadata": {"name": "standard"}, "provisioner": "rancher.io/local-path"})
        self.put(NAMESPACE, {"metadata": {"name": SYSTEM}})
        self.put(NODE, {"metadata": {"name": "n1"}, "status": {"addresses": []}})

    def open(self, *namespaces: str) -> None:
        """The namespaces are opened for hubs already."""
        for namespace in namespaces:
            self.put(ROLE_BINDING, tenant.binding(namespace))

    def hub(self, namespace: str, name: str = "hub", view: str = "sbn") -> Object:
        labels = {
            "pdshub.dev/environment": "development",
            "pdshub.dev/hubs": "allowed",
            "pod-security.kubernetes.io/enforce": "restricted",
        }
        self.put(NAMESPACE, {"metadata": {"name": namespace, "labels": labels}})
        self.put(POD, {"metadata": {"name": "hub-1", "namespace": namespace, "labels": {"component": "hub"}}})
        spec = {"signIn": {"development": {}}, "users": {"allowed": ["ada"]}, "archive": {"viewRef": view}}
        meta = {"name": name, "namespace": namespace, "creationTimestamp": "2026-01-01T00:00:00Z"}
        return self.put(PDSHUB, {"metadata": meta, "spec": spec})

    def view(
        self, generation: str = "", survey: str = "", name: str = "sbn", ready: str = "True", message: str = ""
    ) -> Object:
        """A view, with a status as its surveys and nodes make it."""
        known = self.server.objects.get(ARCHIVE_VIEW.path(None, name), {"metadata": {"name": name}})
        stamp = "2026-01-01T00:00:00Z"
        condition = {
            "type": "Ready",
            "status": ready,
            "reason": "Complete",
            "message": message,
            "lastTransitionTime": stamp,
        }
        status: Object = {"observedGeneration": 1, "conditions": [condition], "survey": {"message": survey}}
        if generation:
            status["generation"] = {"name": generation}
        spec = {"sources": [], "tree": [], "folder": name}
        return self.put(ARCHIVE_VIEW, {"spec": spec, **known, "status": status})

    def bind(self) -> None:
        """Kubernetes binds the claims that wait."""
        for path, item in list(self.server.objects.items()):
            if f"/{CLAIM.plural}/" in path and not item.get("status"):
                self.put(CLAIM, {**item, "status": {"phase": "Bound"}})

    def counting(self, look: Any) -> Any:
        async def counted(context: Any, *key: Any) -> float | None:
            self.looks[key[:2] if isinstance(context, HubContext) else key[0]] += 1
            return cast("float | None", await look(context, *key))

        return counted


async def at_rest(operator: Operator) -> None:
    """Until no hub and no view is looked at, or is to be."""
    await eventually("nothing is due", lambda: operator.hubs.idle and operator.views.idle)


async def heard(cluster: Cluster, operator: Operator) -> None:
    """Until the operator has heard of every change of hubs and views that has been, and has done what it asks for."""
    last = f"last-{cluster.server.version}"
    cluster.put(ARCHIVE_VIEW, {"metadata": {"name": last}, "spec": {}})
    cluster.put(PDSHUB, {"metadata": {"name": last, "namespace": SYSTEM}, "spec": {}})
    for resource in (ARCHIVE_VIEW, PDSHUB):
        await eventually(
            "every change is heard",
            lambda resource=resource: any(  # type: ignore[misc]
                item["metadata"]["name"] == last for item in operator.informers.objects(resource)
            ),
        )
    await at_rest(operator)


async def kopf_watching(kube: Kube, resource: Resource, hear: Callable[[Resource, str | None, Object], None]) -> None:
    """What kopf does of a kind that is handled: lists it, watches it, lists it again when the watch ended.

    The program itself is run by kopf in test_kopf.py; here every event is in its turn, without a pause.
    """
    while True:
        with suppress(KubeError):
            found, version = await kube.snapshot(resource, "", labels="", metadata_only=False)
            for item in found:
                hear(resource, None, item)
            async with watch(kube, resource, "", version, labels="", metadata_only=False, seconds=300) as events:
                async for kind, item in events:
                    if kind != "BOOKMARK":
                        hear(resource, kind, item)
        await asyncio.sleep(0.01)


async def no_look(context: Any, *key: Any) -> float:
    """A look that does nothing."""
    return 3600.0


@asynccontextmanager
async def running(
    look_at_hub: LookAtHub = hub.reconcile,
    look_at_view: LookAtView = no_look,
    before: Callable[[Cluster], None] | None = None,
    look_at_people: LookAtPeople = no_look,
    look_at_backups: LookAtBackups = no_look,
) -> AsyncIterator[tuple[Cluster, Operator]]:
    """An operator that watches; nobody asks it for its health, no node and no resync disturbs."""
    async with serving() as (server, kube):
        server.guarded = True
        cluster = Cluster(server, kube)
        cluster.prepare()
        if before:
            before(cluster)
        operator = Operator(
            kube,
            cluster.surroundings(),
            cluster.counting(look_at_hub),
            cluster.counting(look_at_view),
            look_at_people,
            look_at_backups,
        )
        operator.informers.start()
        kopf = [
            asyncio.create_task(kopf_watching(kube, resource, operator.hear)) for resource in (PDSHUB, ARCHIVE_VIEW)
        ]
        try:
            while not operator.informers.agreed:
                await operator.compare()
                await asyncio.sleep(0.005)
            yield cluster, operator
        finally:
            for task in kopf:
                task.cancel()
            await asyncio.gather(*kopf, return_exceptions=True)
            await operator.stop()
