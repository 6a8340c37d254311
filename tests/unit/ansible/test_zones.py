"""Who may reach whom: the example's rules in the kernel, between machines that are network namespaces with a router.

What must be open comes from the data file by a few lines here, not by the template. Asked is every port that any rule
names and one that none does, of everybody, by everybody, over IPv4 and IPv6.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.unit.ansible.harness import Ansible, group_variables, render
from tests.unit.ansible.namespaces import Namespace

pytestmark = [
    pytest.mark.skipif(not shutil.which("nft", path="/usr/sbin:/usr/bin"), reason="no nft: Debian's package nftables"),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces are root's to make"),
]
NEVER = 7777
"""A port that no rule names."""
HOST = {"proxy": "proxy1", "hub": "hub1", "storage": "backup1", "admin": "admin1"}
ADDRESSES = {
    "proxy": ("192.0.2.10/28", "2001:db8:0:10::a/64"),
    "hub": ("192.0.2.20/28", "2001:db8:0:20::a/64"),
    "storage": ("192.0.2.36/28", "2001:db8:0:30::a/64"),
    "admin": ("192.0.2.50/28", "2001:db8:0:40::a/64"),
    "world": ("198.51.100.9/24", "2001:db8:ffff::a/64"),
}
GATEWAYS = {
    "proxy": ("192.0.2.1/28", "2001:db8:0:10::1/64"),
    "hub": ("192.0.2.17/28", "2001:db8:0:20::1/64"),
    "storage": ("192.0.2.33/28", "2001:db8:0:30::1/64"),
    "admin": ("192.0.2.49/28", "2001:db8:0:40::1/64"),
    "world": ("198.51.100.1/24", "2001:db8:ffff::1/64"),
}
RULES = group_variables("all", "zones")["zones_rules"]
PORTS = {
    protocol: sorted({port for rule in RULES for port in rule.get(protocol, [])} | {NEVER})
    for protocol in ("tcp", "udp")
}
NODEPORTS = """table ip nodeports {
    chain pre {
        type nat hook prerouting priority dstnat;
        ip daddr 192.0.2.20 tcp dport { 30080, 30999 } dnat to 10.244.0.7:8000
    }
    chain post {
        type nat hook postrouting priority srcnat;
        ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 masquerade
    }
}
"""
"""What kube-proxy and the network plugin do: a port of the node leads to a pod, and pods go out as the node."""
POD, POD_GATEWAY = ("10.244.0.7/24",), ("10.244.0.1/24",)


def may(source: str, target: str, protocol: str, port: int) -> bool:
    """Whether a rule of the data file says so."""
    return any(source in r["from"] and target in r["to"] and port in r.get(protocol, []) for r in RULES)


def ip(address: str) -> str:
    return address.partition("/")[0]


@pytest.fixture(scope="module")
def rules(ansible: Ansible, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Zone, or ``router``, to its file of rules as the role renders it from the example's inventory."""
    work = tmp_path_factory.mktemp("rules")
    (work / "made").mkdir()
    router = {"zones_router": True, "zones_zone": "", "zones_ssh_port": 0}
    (work / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"router": router}}}))
    ended = ansible.play([render("zones.nft.j2", "all", str(work / "made"), "zones")], work, "-i", work / "hosts.yml")
    assert ended.code == 0, ended.text
    return {zone: (work / "made" / host).read_text() for zone, host in {**HOST, "router": "router"}.items()}


@pytest.fixture
def net(rules: dict[str, str]) -> Iterator[dict[str, Namespace]]:
    """A machine in each zone, somebody in the world, the router; all listen, and nobody has rules yet."""
    places = {name: Namespace(name) for name in (*ADDRESSES, "router")}
    processes: list[subprocess.Popen[str]] = []
    try:
        places["router"].forwards()
        for zone in ADDRESSES:
            places[zone].join(places["router"], ADDRESSES[zone], GATEWAYS[zone])
            processes.append(places[zone].listen(PORTS["tcp"], PORTS["udp"]))
        yield places
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for place in places.values():
            place.end()


def load(net: dict[str, Namespace], rules: dict[str, str], *names: str) -> None:
    for name in names:
        net[name].run("nft", "-f", "-", given=rules[name])


def asked(net: dict[str, Namespace], source: str) -> dict[tuple[str, str, int, str], str]:
    """(target, protocol, port, address) to the answer."""
    what = [
        (target, protocol, port, ip(address))
        for target in ADDRESSES
        if target != source
        for protocol, ports in PORTS.items()
        for port in ports
        for address in ADDRESSES[target]
    ]
    answers = net[source].ask([(protocol, address, port) for _, protocol, port, address in what])
    return dict(zip(what, answers, strict=True))


def everybody_asks(net: dict[str, Namespace]) -> dict[str, dict[tuple[str, str, int, str], str]]:
    """All at the same time: most of it is waiting for answers that do not come."""
    with ThreadPoolExecutor(len(ADDRESSES)) as pool:
        return dict(zip(ADDRESSES, pool.map(lambda source: asked(net, source), ADDRESSES), strict=True))


@pytest.mark.parametrize("where", ["router", "machines", "both"])
def test_who_reaches_whom_is_what_the_data_file_says(
    net: dict[str, Namespace], rules: dict[str, str], where: str
) -> None:
    load(net, rules, *({"router": ["router"], "machines": HOST, "both": [*HOST, "router"]}[where]))
    wrong, opened, closed = [], 0, 0
    for source, answers in everybody_asks(net).items():
        for (target, protocol, port, address), answer in answers.items():
            wanted = may(source, target, protocol, port)
            opened, closed = opened + wanted, closed + (not wanted)
            if (answer == target) != wanted:
                wrong.append(f"{source} -> {target} {protocol}/{port} at {address}: {answer}")
    assert not wrong
    assert opened > 40, "and something was asked"
    assert closed > 400


def test_without_rules_everybody_reaches_everybody(net: dict[str, Namespace]) -> None:
    """Else the test above would say nothing."""
    for answers in everybody_asks(net).values():
        assert {key: answer for key, answer in answers.items() if answer != key[0]} == {}


def test_who_is_ours_is_told_and_the_world_is_not_answered(net: dict[str, Namespace], rules: dict[str, str]) -> None:
    load(net, rules, "proxy")
    address = ip(ADDRESSES["proxy"][0])
    assert net["world"].ask([("tcp", address, NEVER)]) == ["silent"]
    assert net["admin"].ask([("tcp", address, NEVER)]) == ["refused"]


def test_an_address_of_another_zone_gets_nobody_in(net: dict[str, Namespace], rules: dict[str, str]) -> None:
    """The world's machine takes an administrator's address: the router sees that the way there is another."""
    load(net, rules, "router")
    stolen = "192.0.2.51"
    net["world"].run("ip", "address", "add", f"{stolen}/32", "dev", "eth0")
    net["world"].run("ip", "route", "replace", "192.0.2.0/28", "via", ip(GATEWAYS["world"][0]), "src", stolen)
    assert net["world"].ask([("tcp", ip(ADDRESSES["proxy"][0]), 22)]) == ["silent"]
    dropped = [
        line
        for line in net["router"].run("nft", "list", "chain", "inet", "pdshub_zones", "spoofed").splitlines()
        if "missing" in line
    ]
    assert "packets 0" not in dropped[0]


def test_rules_are_loaded_twice_and_touch_no_other_table(net: dict[str, Namespace], rules: dict[str, str]) -> None:
    hub = net["hub"]
    hub.run("nft", "-f", "-", given="table ip kubernetes {\n chain services {\n accept\n }\n}\n")
    load(net, rules, "hub", "hub")
    before = hub.run("nft", "list", "table", "inet", "pdshub_zones")
    assert "chain services" in hub.run("nft", "list", "table", "ip", "kubernetes")
    load(net, rules, "hub")
    assert hub.run("nft", "list", "table", "inet", "pdshub_zones") == before
    hub.run("nft", "delete", "table", "inet", "pdshub_zones")
    assert "chain services" in hub.run("nft", "list", "ruleset")


def test_pods_of_the_hub_are_in_its_zone(net: dict[str, Namespace], rules: dict[str, str]) -> None:
    """A pod behind the hub's machine, with a NodePort as kube-proxy makes it."""
    hub, pod = net["hub"], Namespace("pod0")
    hub.forwards()
    net["router"].run("ip", "route", "add", "10.244.0.0/16", "via", ip(ADDRESSES["hub"][0]))
    pod.join(hub, POD, POD_GATEWAY)
    served = pod.listen([8000], [])
    try:
        hub.run("nft", "-f", "-", given=NODEPORTS)
        load(net, rules, "hub", "router")
        at_hub, storage, admin = (ip(ADDRESSES[z][0]) for z in ("hub", "storage", "admin"))
        assert net["proxy"].ask([("tcp", at_hub, 30080)]) == ["pod0"], "Apache reaches the hub's proxy"
        assert net["proxy"].ask([("tcp", at_hub, 30999)]) == ["refused"], "and no other NodePort"
        assert net["proxy"].ask([("tcp", ip(POD[0]), 8000)]) == ["refused"], "nor the pod past its node"
        assert net["admin"].ask([("tcp", at_hub, 30080)]) == ["refused"]
        cases = {
            ("tcp", storage, 2049): "storage",
            ("tcp", storage, 22): "refused",
            ("tcp", admin, 22): "refused",
            ("tcp", ip(ADDRESSES["world"][0]), 443): "world",
            ("tcp", ip(ADDRESSES["world"][0]), 22): "refused",
            ("udp", ip(ADDRESSES["world"][0]), 53): "world",
            ("tcp", ip(POD_GATEWAY[0]), 6443): "hub",
            ("tcp", ip(POD_GATEWAY[0]), 22): "refused",
        }
        assert dict(zip(cases, pod.ask(list(cases)), strict=True)) == cases
    finally:
        served.kill()
        served.wait()
        pod.end()


def test_a_network_in_two_zones_is_refused(rules: dict[str, str], net: dict[str, Namespace]) -> None:
    twice = rules["hub"].replace("192.0.2.32/28", "192.0.2.16/27")
    with pytest.raises(RuntimeError, match=r"[Cc]onflict|overlap"):
        net["hub"].run("nft", "--check", "-f", "-", given=twice)


BAD = {
    "a zone that is not described": ({"zones_zone": "cellar"}, "cellar"),
    "a rule for one": ({"zones_rules": [{"from": ["cellar"], "to": ["hub"], "tcp": [22], "why": "ssh"}]}, "cellar"),
    "no ports": ({"zones_rules": [{"from": ["admin"], "to": ["hub"], "why": "all of it"}]}, "all of it"),
    "a port with more behind it": (
        {"zones_rules": [{"from": ["admin"], "to": ["hub"], "tcp": ["22 } accept"], "why": "words"}]},
        "words",
    ),
    "a reason that ends the comment": (
        {"zones_rules": [{"from": ["admin"], "to": ["hub"], "tcp": [22], "why": 'x" ; accept'}]},
        "plain characters",
    ),
    "nobody can administer": (
        {"zones_rules": [{"from": ["proxy"], "to": ["hub"], "tcp": [443], "why": "https"}]},
        "could not either",
    ),
}


def test_what_makes_no_sense_is_refused(ansible: Ansible, tmp_path: Path) -> None:
    """Each case is a machine of its own beside the hub's, so that one run has all of them."""
    hosts = {f"case{n}": {"zones_zone": "hub", **variables} for n, (variables, _) in enumerate(BAD.values())}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {"bad": {"hosts": hosts}}}}))
    play = render("zones.nft.j2", "bad", str(tmp_path / "made"), "zones")
    (tmp_path / "made").mkdir()
    ended = ansible.play([play], tmp_path, "-i", tmp_path / "hosts.yml", env={"ANSIBLE_CALLBACK_RESULT_FORMAT": "json"})
    assert {host for host, counts in ended.recap.items() if counts["failed"]} == set(hosts), ended.text
    assert not list((tmp_path / "made").iterdir())
    for case, (_, said) in BAD.items():
        assert said in ended.text, case


def test_each_zone_has_a_vlan_of_its_own() -> None:
    networks = group_variables("all", "zones")["zones_networks"]
    vlans = [it["vlan"] for it in networks.values()]
    assert len(set(vlans)) == len(networks)
    assert all(1 <= vlan <= 4094 for vlan in vlans)
    assert set(itertools.chain(*(r["from"] + r["to"] for r in RULES))) == {*networks, "world"}
