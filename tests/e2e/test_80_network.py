"""The cluster of hack/up enforces NetworkPolicies: what the hub's own policies rely on."""

from __future__ import annotations

from typing import Any

from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import UNPRIVILEGED, namespace

SPACE = "e2e-network"
ASK = "import urllib.request as u; print(u.urlopen('http://{ip}:8000/', timeout=4).status)"


def pod(cluster: Cluster, name: str, command: list[str]) -> dict[str, Any]:
    """A pod of the operator's image, which is on every node, under the restricted standard."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": SPACE, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": name,
                    "image": cluster.facts["IMAGE_OPERATOR"],
                    "command": command,
                    "securityContext": UNPRIVILEGED,
                }
            ],
        },
    }


def test_a_policy_that_denies_is_enforced(cluster: Cluster) -> None:
    namespace(cluster, SPACE)
    server = ["python3", "-m", "http.server", "-d", "/etc/ssl", "8000"]
    cluster.apply(pod(cluster, "server", server), pod(cluster, "client", ["sleep", "600"]))
    try:
        cluster.kubectl("wait", "--for=condition=Ready", "pod", "--all", "-n", SPACE, "--timeout=120s", timeout=130)
        ip = cluster.get("pod", "server", SPACE)["status"]["podIP"]

        def ask() -> str:
            try:
                return cluster.kubectl("exec", "-n", SPACE, "client", "--", "python3", "-c", ASK.format(ip=ip)).strip()
            except CommandFailed as failed:
                return failed.err.strip().splitlines()[-2]  # Python's own last words; kubectl adds a line

        eventually(ask, lambda said: said == "200", what="the client reaches the server")
        cluster.apply(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": "deny", "namespace": SPACE},
                "spec": {"podSelector": {"matchLabels": {"app": "server"}}, "policyTypes": ["Ingress"]},
            }
        )
        eventually(ask, lambda said: "timed out" in said or "refused" in said, what="the policy keeps the client out")
        cluster.kubectl("delete", "networkpolicy", "deny", "-n", SPACE)
        eventually(ask, lambda said: said == "200", what="the client reaches it again")
    finally:
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")
