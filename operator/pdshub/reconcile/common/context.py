"""What a reconcile works with: the doors, the installation, and what one process remembers about each hub."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import yaml

from pdshub.audit_log.recorder import Recorder
from pdshub.helm import Helm
from pdshub.installation import Installation
from pdshub.kube import NODE, STORAGE_CLASS, Kube, Object, Resource
from pdshub.reconcile.common.tls import Tls

_CACHED_SECONDS = 60.0


@dataclass(frozen=True)
class BundledChart:
    """The airgap chart inside the operator's image."""

    path: str
    version: str
    digest: str

    @classmethod
    def read(cls, path: str) -> BundledChart:
        """Version and content digest of a chart folder; an absent one has neither."""
        root = Path(path)
        if not (root / "Chart.yaml").exists():
            return cls(path, "0.0.0", "absent")
        version = str(yaml.safe_load((root / "Chart.yaml").read_text()).get("version", "0.0.0"))
        total = hashlib.sha256()
        for file in sorted(p for p in root.rglob("*") if p.is_file()):
            total.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
        return cls(path, version, total.hexdigest()[:12])


@dataclass
class Context:
    """Everything that the operator shares."""

    kube: Kube
    helm: Helm
    installation: Installation
    chart: BundledChart
    system: str
    """Namespace of the installation."""
    tls: Tls
    """The operator's certificates, one for all doors."""
    audit: Recorder = field(default_factory=Recorder)
    """What happened to people, and who did it, is told here (audit.record)."""
    _lists: dict[str, tuple[float, list[Object]]] = field(default_factory=dict)

    def live(self) -> Self:
        """The same, whose reads all ask the API server: what changes something is decided from them."""
        return replace(self, kube=self.kube.live)

    async def _cached(self, resource: Resource) -> list[Object]:
        at, found = self._lists.get(resource.plural, (0.0, []))
        if not found or time.monotonic() - at > _CACHED_SECONDS:
            found = [_slim(item) for item in await self.kube.items(resource)]
            self._lists[resource.plural] = (time.monotonic(), found)
        return found

    async def nodes(self) -> list[Object]:
        """Nodes, at most a minute old."""
        return await self._cached(NODE)

    async def storage_classes(self) -> list[Object]:
        """StorageClasses, at most a minute old."""
        return await self._cached(STORAGE_CLASS)


def _slim(item: Object) -> Object:
    """Without what nobody asks for: a node lists all its images."""
    status: dict[str, Any] = item.get("status") or {}
    return {
        **{k: v for k, v in item.items() if k not in ("spec", "status")},
        "status": {"addresses": status.get("addresses", [])},
    }
