"""What the steps of hack/up find out and hand on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from . import cluster
from .engine import Engine
from .run import StepFailed
from .settings import Paths


@dataclass
class World:
    """What steps find out and later steps use."""

    paths: Paths
    engine: Engine
    registry: bool
    tools: cluster.Tools | None = None
    node_ref: str = ""
    base_ref: str = ""
    images: dict[str, str] = field(default_factory=dict)
    nas_ip: str = ""
    store: Path | None = None
    apply_to_ready: float | None = None
    """Seconds from kubectl apply of the demo hub to Ready, where this run made it."""

    def kit(self) -> cluster.Tools:
        if not self.tools:
            raise StepFailed("kind and kubectl are found by an earlier step")
        return self.tools
