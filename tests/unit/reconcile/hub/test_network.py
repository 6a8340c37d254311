"""Policies of a hub from an observation to what is written, and what a probe says of them."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any, cast

import pytest

from pdshub import network_rules
from pdshub.installation import Installation, Network
from pdshub.kube import CONFIG_MAP, NETWORK_POLICY, Kube
from pdshub.reconcile.common.conditions import OWNED
from pdshub.reconcile.hub.api_server import SLICE, ApiServerFinder, addresses
from pdshub.reconcile.hub.decide import Kind, decide
from pdshub.reconcile.hub.network_state import judge_network, judge_policies
from pdshub.wellknown import MANAGER, PROBED
from tests.unit.reconcile.fakes import FakeKube
from tests.unit.reconcile.hub.test_judge import BARE, INSTALLATION, decided, facts_of, observed
from tests.unit.reconcile.hubs import SPEC, Bench

ROLES = ["autohttps", "deny", "hub", "proxy", "server"]
NAMES = {f"demo-network-{role}" for role in ROLES}


def written(bench: Bench) -> dict[str, dict[str, Any]]:
    return {name: item for (plural, _, name), item in bench.kube.objects.items() if plural == NETWORK_POLICY.plural}


# --- what is written


def test_the_policies_are_there_before_anything_runs_and_stay_as_they_are() -> None:
    bench = Bench()
    bench.run()
    assert set(written(bench)) == NAMES
    writes = bench.kube.writes
    first = [write for write in writes if "networkpolicies" in write]
    assert len(first) == len(ROLES)
    assert max(map(writes.index, first)) < writes.index("create persistentvolumeclaims/demo-archive")
    bench.run()
    assert [write for write in bench.kube.writes if "networkpolicies" in write] == first


def changed(policy: dict[str, Any]) -> None:
    policy["spec"]["egress"].append({})


def opened(policy: dict[str, Any]) -> None:
    policy["spec"]["policyTypes"] = ["Ingress"]


def of_an_earlier_hub(policy: dict[str, Any]) -> None:
    policy["metadata"]["ownerReferences"][0]["uid"] = "gone"


def unmarked(policy: dict[str, Any]) -> None:
    policy["metadata"]["labels"] = {}


@pytest.mark.parametrize("change", [changed, opened, of_an_earlier_hub, unmarked, None])
def test_what_somebody_changes_or_takes_away_is_written_again(change: Any) -> None:
    bench = Bench()
    bench.run()
    before = copy.deepcopy(written(bench)["demo-network-server"]["spec"])
    if change is None:
        del bench.kube.objects[NETWORK_POLICY.plural, "ns", "demo-network-server"]
    else:
        change(written(bench)["demo-network-server"])
    bench.kube.writes.clear()
    bench.run()
    assert bench.kube.writes.count("apply networkpolicies/demo-network-server") == 1
    assert written(bench)["demo-network-server"]["spec"] == before
    assert bench.helm.runs == ["upgrade"], "no run of helm for it"


def test_a_changed_spec_changes_the_policy_and_restarts_nothing() -> None:
    bench = Bench()
    bench.run()
    bench.apply({**SPEC, "network": {"egress": "none"}})
    bench.run()
    rules = written(bench)["demo-network-server"]["spec"]["egress"]
    assert not [to for rule in rules for to in rule["to"] if "ipBlock" in to] and bench.helm.runs == ["upgrade"]


def test_what_the_api_server_leaves_out_is_no_difference() -> None:
    meta = {"name": "a", "ownerReferences": [{"uid": "u"}]}
    wanted = [{"metadata": meta, "spec": network_rules.normal({"policyTypes": ["Egress"], "egress": []})}]
    found = [{"metadata": meta, "spec": {"podSelector": {}, "policyTypes": ["Egress"]}}]
    assert judge_policies(wanted, found) == ()


# --- what is refused

ALLOWING = Installation.model_validate(
    {"archive": {"allowed": [{"server": "192.0.2.7", "exports": ["/"]}]}, "network": {"allowedRanges": ["10.9.0.0/16"]}}
)
CIDRS: list[tuple[list[str], Installation, list[str]]] = [
    (["198.51.100.0/24"], INSTALLATION, []),
    (["169.254.169.254/32"], INSTALLATION, ["169.254.169.254/32", "169.254.0.0/16", "network.allowedRanges"]),
    (["198.51.100.0/24", "10.0.0.1/32"], INSTALLATION, ["10.0.0.1/32"]),
    (["192.0.2.7/32"], ALLOWING, ["192.0.2.7/32"]),
    (["192.0.2.0/24"], ALLOWING, ["192.0.2.7/32"]),
    (["10.9.8.0/24"], ALLOWING, []),
    (["0.0.0.0/0"], ALLOWING, ["0.0.0.0/0"]),
]


@pytest.mark.parametrize(("cidrs", "installation", "says"), CIDRS, ids=[str(c[0]) for c in CIDRS])
def test_ranges_that_are_closed_are_refused(cidrs: list[str], installation: Installation, says: list[str]) -> None:
    action = decide(facts_of(observed({**BARE, "network": {"egress": "cidrs", "cidrs": cidrs}}), installation))
    refused = (action.kind, action.reason) == (Kind.STALL, "EgressNotAllowed")
    assert refused is bool(says) and all(word in action.message for word in says)


def test_policies_of_the_chart_are_refused_and_stay_off() -> None:
    action = decided(observed({**BARE, "values": {"singleuser": {"networkPolicy": {"egressAllowRules": {}}}}}))
    assert (action.kind, action.reason) == (Kind.STALL, "ValuesRefused") and "spec.network" in action.message
    wanted = facts_of(observed(BARE)).values
    for part in (wanted["hub"], wanted["proxy"]["chp"], wanted["proxy"]["traefik"], wanted["singleuser"]):
        assert part["networkPolicy"] == {"enabled": False}


# --- where the API server is

SLICED = {
    "metadata": {"name": "kubernetes", "namespace": "default"},
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["172.18.0.2"], "conditions": {"ready": True}}, {"addresses": ["172.18.0.3"]}],
    "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
}


@pytest.mark.parametrize(
    ("found", "service", "expected"),
    [
        (SLICED, "", {("172.18.0.2/32", 6443), ("172.18.0.3/32", 6443)}),
        ({}, "10.96.0.1", {("10.96.0.1/32", 443)}),
        (
            {**SLICED, "endpoints": [{"addresses": ["fd00::2"]}]},
            "fd01::1",
            {("fd00::2/128", 6443), ("fd01::1/128", 443)},
        ),
        ({**SLICED, "endpoints": [{"addresses": ["api.example.org"]}]}, "api.example.org", set()),
        ({"endpoints": None, "ports": None}, "", set()),
    ],
)
def test_the_api_servers_addresses(found: dict[str, Any], service: str, expected: set[tuple[str, int]]) -> None:
    assert set(addresses(found, service).addresses) == expected


def test_it_is_asked_for_once_a_minute_and_only_where_nobody_says_it() -> None:
    kube, asked = FakeKube(), []
    kube.put(SLICE, copy.deepcopy(SLICED))
    get = kube.get

    async def counted(*args: Any) -> Any:
        asked.append(args)
        return await get(*args)

    kube.get = counted  # type: ignore[method-assign]

    async def test() -> None:
        finder, door = ApiServerFinder(), cast(Kube, kube)
        for _ in range(3):
            assert (await finder.find(door, Network())).addresses
        assert len(asked) == 1
        said = await finder.find(door, Network.model_validate({"apiServer": ["172.18.0.0/16"]}))
        assert {port for _, port in said.addresses} == {443, 6443}
        assert (await finder.find(door, Network.model_validate({"apiServer": "any"}))).any_address
        assert len(asked) == 1

    asyncio.run(test())


# --- what a probe said

POLICIES = [{"metadata": {"name": "a"}, "spec": {"podSelector": {}}}]


def record(**said: Any) -> dict[str, Any]:
    digest = network_rules.policies_digest({"a": {"podSelector": {}}})
    return {"data": {"ns": json.dumps({"at": "2026-01-01", "policies": digest, "reached": [], "unproven": [], **said})}}


PROBES: list[tuple[Any, bool | None, str, str]] = [
    (None, None, "NotProbed", "kubectl pdshub probe ns --record"),
    ({"data": {"other": "{}"}}, None, "NotProbed", "probe"),
    ({"data": {"ns": "[]"}}, None, "NotProbed", "probe"),
    ({"data": {"ns": "no JSON"}}, None, "NotProbed", "probe"),
    ({"data": {"ns": "[" * 100_000}}, None, "NotProbed", "probe"),
    (record(), True, "Probed", "2026-01-01"),
    (record(policies="x"), None, "PoliciesChanged", "2026-01-01"),
    (record(reached=["user > metadata"]), False, "Reached", "user > metadata"),
    (record(reached=["user > metadata"], policies="x"), None, "PoliciesChanged", ""),
    (record(unproven=["user"]), None, "NotProven", "user"),
    (record(reached="x", unproven=7), True, "Probed", ""),
]


@pytest.mark.parametrize(("found", "enforced", "reason", "says"), PROBES)
def test_what_a_probe_says(found: Any, enforced: bool | None, reason: str, says: str) -> None:
    state = judge_network("ns", POLICIES, found)
    assert (state.enforced, state.reason) == (enforced, reason) and says in state.message


def test_only_the_installations_namespace_tells_of_probes() -> None:
    """Whoever rules a hub's namespace cannot say that its walls stand."""
    bench = Bench()
    bench.run()
    assert bench.condition("NetworkEnforced")["status"] == "Unknown" and "NetworkEnforced" in OWNED
    specs = {name: item["spec"] for name, item in written(bench).items()}
    said = {"at": "2026-01-01", "policies": network_rules.policies_digest(specs), "reached": [], "unproven": []}
    meta = {"name": PROBED, "labels": {"app.kubernetes.io/managed-by": MANAGER}}
    for namespace, status in (("ns", "Unknown"), ("pdshub-system", "True")):
        body = {"metadata": {**meta, "namespace": namespace}, "data": {"ns": json.dumps(said)}}
        bench.kube.put(CONFIG_MAP, body)
        bench.run()
        assert bench.condition("NetworkEnforced")["status"] == status, namespace
