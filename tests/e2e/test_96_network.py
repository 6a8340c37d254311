"""Who reaches whom, tried by ``kubectl pdshub probe`` against stand-ins inside the node, each with a positive control.

The stand-ins have the addresses of metadata services, link-local, carriers' NAT and the internet on the node's own
loopback: what is sent there never leaves the node. Beneath them the addresses are blackholed, so that nothing leaves
it either before they are there and after they are gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import NAMESPACE, WORKER, namespace, wait_ready

CONTROL = f"e2e-network-control{f'-{WORKER}' if WORKER else ''}"
STAND_INS = {
    "metadata": "169.254.169.254",
    "link-local": "169.254.1.1",
    "CGNAT": "100.64.0.1",
    "Azure": "168.63.129.16",
    "internet": "198.51.100.80",
}
PORT = 18080
"""Of all stand-ins: one that nobody else on the node has."""
LISTEN = """
import socket, sys, threading
def serve(address):
    with socket.create_server((address, int(sys.argv[1]))) as server:
        while True:
            server.accept()[0].close()
threads = [threading.Thread(target=serve, args=(address,)) for address in sys.argv[2:]]
[thread.start() for thread in threads]
"""
NEVER = ["API server", "kubelet", "node metrics", "node report", "NAS", "another server", *STAND_INS]
"""What no server may reach; all of it answers somebody."""


def pod(cluster: Cluster) -> dict[str, Any]:
    """All stand-ins, in the node's own network: no policy selects such a pod, and it binds no address but theirs."""
    command = ["python3", "-c", LISTEN, str(PORT), *STAND_INS.values()]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stand-ins", "namespace": CONTROL},
        "spec": {
            "hostNetwork": True,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "http", "image": cluster.facts["IMAGE_OPERATOR"], "command": command}],
        },
    }


@pytest.fixture(scope="module")
def stand_ins(cluster: Cluster, hub: dict[str, Any]) -> Iterator[None]:
    """Addresses on the node's loopback, a listener on each, and a namespace without policies."""
    # a pod in the node's own network meets no Pod Security Standard
    namespace(cluster, CONTROL, guarded=False)
    try:
        for address in STAND_INS.values():
            cluster.node("ip", "route", "replace", "blackhole", f"{address}/32")
            # of scope host: else the node's own masqueraded connections would take it for theirs, and hang later
            cluster.node("ip", "address", "replace", f"{address}/32", "dev", "lo", "scope", "host")
        cluster.apply(pod(cluster))
        cluster.kubectl("wait", "--for=condition=Ready", "pod/stand-ins", "-n", CONTROL, "--timeout=120s", timeout=130)
        yield
    finally:
        cluster.kubectl("delete", "namespace", CONTROL, "--wait=false")
        for address in STAND_INS.values():
            cluster.node("sh", "-c", f"ip address del {address}/32 dev lo; ip route del blackhole {address}/32; true")


def probe(cluster: Cluster, *more: str) -> tuple[dict[str, Any], int]:
    """The plugin's answer, and its exit code."""
    given = [word for name, at in STAND_INS.items() for word in ("--target", f"{name}={at}:{PORT}")]
    line = ["kubectl", "pdshub", "probe", NAMESPACE, "--control", CONTROL, *given, *more, "-o", "json"]
    try:
        return json.loads(cluster.run(*line, timeout=240)), 0
    except CommandFailed as failed:
        assert failed.code == 1 and failed.out.startswith("{"), failed
        return json.loads(failed.out), failed.code


def cells(answer: dict[str, Any], role: str) -> dict[str, str]:
    return {name: row[role]["cell"] for name, row in answer["matrix"].items()}


def nothing_is_left(cluster: Cluster) -> bool:
    return not cluster.kubectl("get", "pods", "-A", "-l", "pdshub.dev/probe", "-o", "name").strip()


@pytest.fixture(scope="module")
def measured(cluster: Cluster, stand_ins: None) -> tuple[dict[str, Any], int]:
    return probe(cluster, "--record")


def test_every_no_is_a_no_to_what_answers_somebody(measured: tuple[dict[str, Any], int]) -> None:
    answer, code = measured
    assert code == 0 and answer["reached"] == [], answer["reached"]
    control = cells(answer, "control")
    for name in [*STAND_INS, "API server", "kubelet", "node metrics", "node report", "NAS"]:
        assert control[name] == "yes", f"{name}: nothing is shown by a no to what answers nobody"
    for role in ("user", "hub", "proxy", "surveyor", "stranger"):
        mine = cells(answer, role)
        allowed = {"user": {"internet"}, "hub": {"API server", "another server"}, "proxy": {"another server"}}
        for name in NEVER:
            if name not in allowed.get(role, set()):
                assert mine[name] == "no", (role, name, mine[name])
    assert cells(answer, "proxy")["proxy"] in ("no", "own") and cells(answer, "surveyor")["surveyor"] in ("no", "own")


def test_every_yes_is_reached(measured: tuple[dict[str, Any], int]) -> None:
    answer, _ = measured
    wanted = {
        "user": {"name service", "hub", "proxy", "internet"},
        "hub": {"name service", "API server", "proxy API", "another server"},
        "proxy": {"name service", "hub", "another server"},
    }
    for role, names in wanted.items():
        assert {name for name, cell in cells(answer, role).items() if cell == "yes"} == names


def test_ipv6_is_probed_where_the_pods_have_it(cluster: Cluster, measured: tuple[dict[str, Any], int]) -> None:
    pods = cluster.items("pods", NAMESPACE, "component=hub")
    both = any(":" in entry["ip"] for item in pods for entry in item["status"].get("podIPs", []))
    assert (cells(measured[0], "user")["metadata IPv6"] == "-") is not both


def test_nothing_of_it_is_left(cluster: Cluster, measured: tuple[dict[str, Any], int]) -> None:
    eventually(lambda: nothing_is_left(cluster), what="the pods of the probe are gone")


def test_the_hub_says_that_its_walls_stand(cluster: Cluster, measured: tuple[dict[str, Any], int]) -> None:
    eventually(
        lambda: cluster.condition("pdshub", "demo", "NetworkEnforced", NAMESPACE),
        lambda found: (found.get("status"), found.get("reason")) == ("True", "Probed"),
        what="NetworkEnforced",
    )


def test_a_wall_that_somebody_opened_is_found(cluster: Cluster, stand_ins: None) -> None:
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "e2e-open", "namespace": NAMESPACE},
        "spec": {
            "podSelector": {"matchLabels": {"component": "singleuser-server"}},
            "policyTypes": ["Egress"],
            "egress": [{}],
        },
    }
    cluster.apply(body)
    opened = {"user > metadata", "user > API server", "user > NAS"}
    try:
        # who enforces policies takes a moment
        eventually(
            lambda: probe(cluster),
            lambda found: found[1] == 1 and opened <= set(found[0]["reached"]),
            within=240,
            what="the open wall is found",
        )
    finally:
        cluster.kubectl("delete", "networkpolicy", "e2e-open", "-n", NAMESPACE)


def test_egress_none_closes_the_internet_and_nothing_else(
    cluster: Cluster, hub: dict[str, Any], stand_ins: None, measured: tuple[dict[str, Any], int]
) -> None:
    def egress(value: str) -> None:
        change = json.dumps({"spec": {"network": {"egress": value}}})
        cluster.kubectl("patch", "pdshub", "demo", "-n", NAMESPACE, "--type=merge", "-p", change)
        wait_ready(cluster, "demo", NAMESPACE)

    restarts = cluster.get("deployment", "hub", NAMESPACE)["metadata"]["generation"]
    egress("none")
    wanted = {**cells(measured[0], "user"), "internet": "no"}
    try:
        # who enforces policies takes a moment
        eventually(
            lambda: probe(cluster),
            lambda found: found[1] == 0 and cells(found[0], "user") == wanted,
            within=240,
            what="the internet alone is closed",
        )
    finally:
        egress("internet")
    assert cluster.get("deployment", "hub", NAMESPACE)["metadata"]["generation"] == restarts


def test_a_policy_that_somebody_deletes_is_back(cluster: Cluster, hub: dict[str, Any]) -> None:
    for name in ("demo-network-deny", "demo-network-server"):
        before = cluster.get("networkpolicy", name, NAMESPACE)
        cluster.kubectl("delete", "networkpolicy", name, "-n", NAMESPACE)
        after = eventually(
            lambda name=name: cluster.get("networkpolicy", name, NAMESPACE), within=120, what=f"{name} is back"
        )
        assert after["spec"] == before["spec"] and after["metadata"]["uid"] != before["metadata"]["uid"]


REFUSED = [
    ({"network": {"egress": "cidrs", "cidrs": ["169.254.169.254/32"]}}, "EgressNotAllowed", "169.254.0.0/16"),
    ({"network": {"egress": "cidrs", "cidrs": ["{nas}/32"]}}, "EgressNotAllowed", "{nas}/32"),
    ({"values": {"singleuser": {"networkPolicy": {"enabled": False}}}}, "ValuesRefused", "spec.network"),
]


@pytest.mark.parametrize(("change", "reason", "says"), REFUSED, ids=["metadata", "NAS", "values"])
def test_who_writes_a_hub_opens_nothing_that_is_closed(
    cluster: Cluster, hub: dict[str, Any], change: dict[str, Any], reason: str, says: str
) -> None:
    text = json.dumps({"spec": change}).replace("{nas}", cluster.facts["NAS_IP"])
    before = cluster.kubectl("get", "networkpolicies", "-n", NAMESPACE, "-o", "jsonpath={.items[*].spec}")
    cluster.kubectl("patch", "pdshub", "demo", "-n", NAMESPACE, "--type=merge", "-p", text)
    try:
        found = eventually(
            lambda: cluster.condition("pdshub", "demo", "Stalled", NAMESPACE),
            lambda found: found.get("reason") == reason,
            what=reason,
        )
        assert says.replace("{nas}", cluster.facts["NAS_IP"]) in found["message"]
        after = cluster.kubectl("get", "networkpolicies", "-n", NAMESPACE, "-o", "jsonpath={.items[*].spec}")
        assert after == before
    finally:
        back = json.dumps({"spec": {"network": None, "values": hub["spec"].get("values")}})
        cluster.kubectl("patch", "pdshub", "demo", "-n", NAMESPACE, "--type=merge", "-p", back)
        wait_ready(cluster, "demo", NAMESPACE)
