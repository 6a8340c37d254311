"""Which addresses are the internet: what is closed lies in no block, and no installation opens it by accident."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from pdshub.network_rules import CLOSED, INTERNET, addresses, closed_by, internet, is_in, normal, policies_digest

PRIVATE = [
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.254", "100.100.100.200",
    "169.254.169.254", "169.254.1.1", "168.63.129.16", "192.0.0.192", "127.0.0.1", "0.0.0.1", "198.18.0.1",
    "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::a00:1", "2002:a00:1::1", "2001:0:a00:1::1", "ff02::1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "172.15.0.1", "172.32.0.1", "168.63.129.17", "100.63.0.1", "100.128.0.1", "2606:4700::1111"]


@pytest.mark.parametrize("address", PRIVATE)
def test_closed(address: str) -> None:
    assert not is_in(address, internet())


@pytest.mark.parametrize("address", PUBLIC)
def test_open(address: str) -> None:
    assert is_in(address, internet())


@pytest.mark.parametrize(
    ("private", "address"),
    [(["192.0.2.0/24"], "192.0.2.9"), (["2606:4700::/32"], "2606:4700::1"), (["0.0.0.0/0"], "1.1.1.1")],
)
def test_an_installation_closes_more(private: list[str], address: str) -> None:
    assert is_in(address, internet()) and not is_in(address, internet(private))


@pytest.mark.parametrize("private", [[], ["10.1.0.0/16", "192.0.2.1/32", "9.0.0.0/8", "11.0.0.0/8"], ["2000::/3"]])
def test_what_is_left_out_lies_strictly_inside_and_is_said_once(private: list[str]) -> None:
    for block in internet(private):
        whole = ipaddress.ip_network(block["cidr"])
        parts = [ipaddress.ip_network(cidr) for cidr in block["except"]]
        assert all(part.subnet_of(whole) and part != whole for part in parts)  # type: ignore[arg-type]
        assert not any(a.overlaps(b) for n, a in enumerate(parts) for b in parts[n + 1 :])  # type: ignore[arg-type]


NAMED: list[tuple[str, list[str], list[str], str]] = [
    ("192.0.2.0/24", [], [], ""),
    ("2606:4700::/32", [], [], ""),
    ("169.254.169.254/32", [], [], "169.254.0.0/16"),
    ("168.63.129.16/32", [], [], "168.63.129.16/32"),
    ("10.2.3.0/24", [], [], "10.0.0.0/8"),
    ("0.0.0.0/0", [], [], "0.0.0.0/8"),
    ("100.0.0.0/8", [], [], "100.64.0.0/10"),
    ("::/0", [], [], "2001::/32"),
    ("fd00:ec2::254/128", [], [], "what lies outside of 2000::/3"),
    ("::ffff:169.254.169.254/128", [], [], "what lies outside of 2000::/3"),
    ("64:ff9b::a9fe:a9fe/128", [], [], "what lies outside of 2000::/3"),
    ("2002:a9fe:a9fe::/48", [], [], "2002::/16"),
    ("192.0.2.7/32", ["192.0.2.0/24"], [], "192.0.2.0/24"),
    ("10.2.3.0/24", [], ["10.2.0.0/16"], ""),
    ("10.0.0.0/8", [], ["10.2.0.0/16"], "10.0.0.0/8"),
    ("10.2.0.0/15", [], ["10.2.0.0/16", "10.3.0.0/16"], ""),
    ("fd12::/48", [], ["fd00::/8"], ""),
]


@pytest.mark.parametrize(("cidr", "private", "allowed", "met"), NAMED, ids=[f"{n[0]} {n[2]}" for n in NAMED])
def test_what_a_hub_may_name(cidr: str, private: list[str], allowed: list[str], met: str) -> None:
    assert closed_by(cidr, private, allowed) == met


def test_every_closed_range_is_refused_by_its_name() -> None:
    for cidr in CLOSED:
        assert closed_by(cidr, [], [])


@pytest.mark.parametrize(
    ("servers", "found"),
    [
        (["nas.example.org", "*.example.org"], []),
        (["192.0.2.7", "192.0.2.0/28", "[2001:db8::7]"], ["192.0.2.7/32", "192.0.2.0/28", "2001:db8::7/128"]),
        (["0.0.0.0/0", "64.0.0.0/4", "::/0"], []),
        (["10.0.0.0/8"], ["10.0.0.0/8"]),
    ],
)
def test_servers_with_an_address_are_closed(servers: list[str], found: list[str]) -> None:
    assert addresses(servers) == found


def test_a_digest_is_of_what_policies_mean() -> None:
    one = {"podSelector": {}, "policyTypes": ["Egress"], "egress": []}
    other = {"policyTypes": ["Egress"]}
    assert normal(one) == normal(other) and policies_digest({"a": one}) == policies_digest({"a": other})
    assert policies_digest({"a": one}) != policies_digest({"b": one})
    assert policies_digest({"a": one}) != policies_digest({"a": {**one, "egress": [{}]}})


def test_the_manual_lists_what_is_closed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "network.md").read_text()
    assert not [cidr for cidr in (*CLOSED, INTERNET[1]) if f"`{cidr}`" not in page]
