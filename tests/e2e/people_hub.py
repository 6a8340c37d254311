"""A hub whose list of people changes: how tests and benchmarks write it, and what they see of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import password
from tests.e2e.hubclient import Person, SignInRefused


@dataclass
class PeopleHub:
    """The hub ``name`` in ``space``; ``source`` is a ConfigMap with more names, under the key ``list``."""

    cluster: Cluster
    space: str
    name: str
    source: str

    def patch(self, body: dict[str, Any]) -> None:
        """Change the PDSHub, as an administrator would."""
        self.cluster.kubectl("patch", "pdshub", self.name, "-n", self.space, "--type=merge", "-p", json.dumps(body))

    def write_source(self, text: str) -> None:
        """Write the ConfigMap with more names, in the format of other hubs."""
        meta = {"name": self.source, "namespace": self.space}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"list": text}}
        # on the server's side: the copy that kubectl keeps else has 256 KiB at most
        self.cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(body))

    def sign_in(self, name: str) -> Person:
        """Sign in. Raises SignInRefused."""
        address = self.cluster.get("pdshub", self.name, self.space)["status"]["address"]
        return Person(address, name, password(self.cluster, self.name, self.space)).sign_in()

    def may(self, name: str) -> bool:
        """Whether somebody can sign in now."""
        try:
            self.sign_in(name)
        except SignInRefused:
            return False
        return True

    def pods_of(self, name: str) -> list[str]:
        """Pods of somebody's servers."""
        found = self.cluster.items("pods", self.space, "component=singleuser-server")
        notes = [(p["metadata"]["name"], p["metadata"].get("annotations") or {}) for p in found]
        return [pod for pod, note in notes if note.get("hub.jupyter.org/username") == name]

    def unchanged(self) -> tuple[Any, ...]:
        """What a restart of the hub or a run of helm would change."""
        (pod,) = self.cluster.items("pods", self.space, "component=hub")
        restarts = tuple(c["restartCount"] for c in pod["status"]["containerStatuses"])
        revision = self.cluster.get("pdshub", self.name, self.space)["status"]["revision"]
        return pod["metadata"]["uid"], restarts, revision
