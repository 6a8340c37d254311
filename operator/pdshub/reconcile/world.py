"""What a reconcile works with: the doors, the installation, and what one process remembers about each hub."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pdshub.api.generation import Changes
from pdshub.helm import Helm
from pdshub.installation import Installation
from pdshub.kube import NODE, STORAGE_CLASS, Kube, Object, Resource
from pdshub.reconcile.facts import Attempt, SurveyorObjects
from pdshub.reconcile.release import Release
from pdshub.reconcile.tls import Tls
from pdshub.survey_api import State, SurveyApi

_CACHED_SECONDS = 60.0


@dataclass(frozen=True)
class CarriedChart:
    """The airgap chart inside the operator's image."""

    path: str
    version: str
    digest: str

    @classmethod
    def read(cls, path: str) -> CarriedChart:
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
class HubMemory:
    """What is remembered of one hub between looks; losing it costs one more look, nothing else."""

    attempt: Attempt = field(default_factory=Attempt)
    retry_at: float = 0.0
    """time.monotonic() of the next try."""
    release: tuple[str, str, Release] | None = None
    """Secret, its resourceVersion, and what it decoded to."""
    told: dict[str, str] = field(default_factory=dict)
    """Hub pods (by uid) and the notice that they were told."""


@dataclass
class ViewMemory:
    """What is remembered of one view and its surveyor between looks; losing it costs a look or a survey."""

    seen: SurveyorObjects | None = None
    seen_key: str = ""
    seen_at: float = 0.0
    """What was found of the surveyor's objects, for which spec and settings, and when (time.monotonic())."""
    told: tuple[str, str | None] = ("", None)
    """Digest of what the surveyor was told last, and what it called that spec."""
    told_at: float = 0.0
    phase: tuple[str, float] = ("", 0.0)
    """What the survey was said to do, and when that was written."""
    state: State | None = None
    state_at: float = 0.0
    """Its last answer."""
    asked_by: frozenset[str] = frozenset()
    """Requests of nodes that the present token stands for."""
    token: str = ""
    token_at: float = 0.0
    trees: dict[int, str] = field(default_factory=dict)
    """Generations of the spec that were seen, and what Ready speaks of in each."""
    tree_at: float = 0.0
    """When the newest of them was seen first."""
    fetching: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Nodes that fetch a generation, which, and since when."""
    changes: dict[tuple[str, str], Changes | str] = field(default_factory=dict)
    """What a candidate changes for users, or why that is not known, by the pair that is compared."""
    compared_at: str = ""
    """End of the survey that the live side of that comparison is of."""


@dataclass
class World:
    """Everything that the operator shares."""

    kube: Kube
    helm: Helm
    installation: Installation
    chart: CarriedChart
    system: str
    """Namespace of the installation."""
    hubs: dict[tuple[str, str], HubMemory] = field(default_factory=dict)
    views: dict[str, ViewMemory] = field(default_factory=dict)
    surveys: SurveyApi = field(default_factory=SurveyApi)
    _tls: Tls | None = None
    _lists: dict[str, tuple[float, list[Object]]] = field(default_factory=dict)

    def memory(self, namespace: str, name: str) -> HubMemory:
        """What is remembered of a hub."""
        return self.hubs.setdefault((namespace, name), HubMemory())

    def view(self, name: str) -> ViewMemory:
        """What is remembered of a view."""
        return self.views.setdefault(name, ViewMemory())

    @property
    def tls(self) -> Tls:
        """The operator's certificates, one for all doors."""
        if self._tls is None:
            self._tls = Tls(self.kube, self.system)
        return self._tls

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
