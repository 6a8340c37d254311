"""A view of two overlapping exports, a hub that shows it, and somebody with a server there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person

VIEW, SPACE, FOLDER = "e2e-releases", "e2e-releases", "/archive/releases"
OTES = "orex.otes"


@dataclass
class Release:
    """The view's directories on the NAS, and the hub that shows it."""

    cluster: Cluster
    main: Path
    mission: Path
    person: Person

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("archiveview", VIEW).get("status", {})
        return found

    @property
    def shown(self) -> str:
        """The released generation's name; empty before the first."""
        return str((self.status.get("generation") or {}).get("name", ""))

    def patch(self, **spec: Any) -> None:
        self.cluster.kubectl("patch", "archiveview", VIEW, "--type=merge", "-p", json.dumps({"spec": spec}))

    def plugin(self, *words: str) -> str:
        """`kubectl pdshub …` as people type it."""
        return self.cluster.run("kubectl", "pdshub", *words, timeout=240)

    def released(self, other_than: str = "") -> str:
        """Wait for a generation that every node shows; its name."""

        def everywhere() -> str:
            name = self.shown
            nodes = self.status.get("nodes", [])
            return name if nodes and all(n.get("generation") == name for n in nodes) else ""

        found: str = eventually(
            everywhere, lambda name: name and name != other_than, within=240, what=f"not {other_than[:19]}"
        )
        return found


def spec(cluster: Cluster) -> dict[str, Any]:
    """Two exports that both have the bundle; the older copy stands first in the order of layers."""
    nas = {"server": cluster.facts["NAS_IP"]}
    return {
        "folder": "releases",
        "sources": [
            {"name": "main", "nfs": {**nas, "export": "/pds-main"}},
            {"name": "mission", "nfs": {**nas, "export": "/pds-mission"}},
        ],
        "tree": [
            {
                "path": "data",
                "layers": [{"source": "main", "path": "e2e-releases"}, {"source": "mission", "path": "e2e-releases"}],
            }
        ],
        "authority": {"settleSeconds": 0},
        "survey": {"intervalSeconds": 3600, "storage": "1Gi"},
    }


@contextmanager
def releasing(cluster: Cluster, sample: dict[str, Any]) -> Iterator[Release]:
    """A view of two overlapping exports, a hub that refers to it, and a person with a server."""
    main, mission = (cluster.nas_data / export / "e2e-releases" for export in ("pds-main", "pds-mission"))
    for place in (main, mission):
        shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(cluster.nas_data / "pds-main/orex/SUPERSEDED" / OTES, main / OTES)
    shutil.copytree(cluster.nas_data / "pds-mission/orex" / OTES, mission / OTES)
    namespace(cluster, SPACE)
    kind = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "ArchiveView"}
    cluster.apply({**kind, "metadata": {"name": VIEW}, "spec": spec(cluster)})
    cluster.apply(variant(sample, "releases", SPACE, archive={"viewRef": VIEW}))
    try:
        wait_ready(cluster, "releases", SPACE)
        someone = person(cluster, "ada", "releases", SPACE)
        someone.start()
        yield Release(cluster, main, mission, someone)
    finally:
        cluster.dismiss(SPACE, "releases", VIEW)
        for place in (main, mission):
            shutil.rmtree(place, ignore_errors=True)
