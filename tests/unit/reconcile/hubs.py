"""A hub on an API server and a Helm in memory, and the moves of the world around it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from pdshub import tenant
from pdshub.helm import Helm
from pdshub.installation import Installation
from pdshub.kube import (
    NAMESPACE,
    PDSHUB,
    ROLE_BINDING,
    STORAGE_CLASS,
    Kube,
)
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.hub import reconcile
from pdshub.reconcile.hub.context import HubContext
from tests.unit.reconcile.fakes import FakeHelm, FakeKube

SPEC: dict[str, Any] = {
    "signIn": {"development": {}},
    "users": {"allowed": ["ada"]},
    "archive": {
        "inline": {
            "sources": [{"name": "main", "nfs": {"server": "10.0.0.1", "export": "/pds"}}],
            "tree": [{"path": "pds4", "layers": [{"source": "main"}]}],
        }
    },
}


class Bench:
    """A hub on the fakes, and the moves of the world around it."""

    def __init__(self, spec: dict[str, Any] | None = None, name: str = "demo", kube: FakeKube | None = None) -> None:
        self.kube = kube or FakeKube()
        self.helm = FakeHelm(self.kube)
        settings = {
            "defaults": {"images": {"hub": "registry.example.org/hub:1"}},
            "archive": {"allowed": [{"server": "10.0.0.0/8", "exports": ["/"]}]},
        }
        self.context = HubContext(
            cast(Kube, self.kube),
            cast(Helm, self.helm),
            Installation.model_validate(settings),
            BundledChart("/charts/airgap", "0.1.0", "abc"),
            "pdshub-system",
            cast(Any, None),
        )
        labels = {
            "pdshub.dev/environment": "development",
            "pdshub.dev/hubs": "allowed",
            "pod-security.kubernetes.io/enforce": "restricted",
        }
        self.kube.put(NAMESPACE, {"metadata": {"name": "ns", "labels": labels}})
        self.kube.put(ROLE_BINDING, tenant.binding("ns"))
        self.kube.put(STORAGE_CLASS, {"metadata": {"name": "standard"}, "provisioner": "rancher.io/local-path"})
        self.generation = 0
        self.apply(spec or SPEC, name)

    def apply(self, spec: dict[str, Any], name: str = "demo", created: str = "2026-01-01T00:00:00Z") -> None:
        self.generation += 1
        old = self.kube.objects.get(("pdshubs", "ns", name), {"metadata": {}})
        meta = {
            **old["metadata"],
            "name": name,
            "namespace": "ns",
            "generation": self.generation,
            "creationTimestamp": created,
        }
        self.kube.put(PDSHUB, {**old, "metadata": meta, "spec": spec})

    def delete(self, name: str = "demo") -> None:
        self.kube.objects[("pdshubs", "ns", name)]["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"

    def run(self, name: str = "demo") -> float | None:
        return asyncio.run(reconcile.reconcile(self.context, "ns", name))

    def condition(self, kind: str, name: str = "demo") -> dict[str, Any]:
        status = self.kube.objects[("pdshubs", "ns", name)]["status"]
        return next((c for c in status["conditions"] if c["type"] == kind), {})

    def names(self, plural: str) -> set[str]:
        """What is there of a kind, but for what lies in the installation's own namespace."""
        return {key[2] for key in self.kube.objects if key[0] == plural and key[1] != self.context.system}
