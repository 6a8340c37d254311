"""Ports that the example's zones let through are those at which the example's machines answer, and no others."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import yaml

from pdshub import ports
from tests.unit.ansible.harness import EXAMPLE, ROLES, ROOT, group_variables

SSH = 22


def port(place: str) -> int:
    """Of HOST:PORT."""
    return int(place.rpartition(":")[2].strip("/"))


def of_role(role: str, kind: str, name: str) -> Any:
    return yaml.safe_load((ROLES / role / kind / "main.yml").read_text())[name]


EXPORTER = port(group_variables("all", "monitoring")["monitoring_exporter_address"])
PROMETHEUS = port(group_variables("hub", "monitoring")["monitoring_address"])
API = port(of_role("monitoring", "vars", "monitoring_api"))
RESTIC = of_role("backup_target", "defaults", "backup_target_port")
HUB = yaml.safe_load((ROOT / "manifests/overlays/premises/hub.yaml").read_text())["spec"]["service"]["nodePort"]
ANSWERED: dict[tuple[str, str], set[int]] = {
    ("proxy", "hub"): {HUB},
    ("hub", "storage"): {ports.NFS, RESTIC},
    ("admin", "proxy"): {SSH, EXPORTER},
    ("admin", "hub"): {SSH, EXPORTER, API, PROMETHEUS},
    ("admin", "storage"): {SSH, EXPORTER},
    ("admin", "admin"): {SSH},
}
"""Who asks whom at which ports of TCP; what is not here is closed."""
ZONES = group_variables("all", "zones")
PAIRS = list(product(ZONES["zones_networks"], repeat=2))


@pytest.mark.parametrize(("asks", "answers"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_what_is_open_between_zones_is_what_answers_there(asks: str, answers: str) -> None:
    rules = [rule for rule in ZONES["zones_rules"] if asks in rule["from"] and answers in rule["to"]]
    assert {number for rule in rules for number in rule["tcp"]} == ANSWERED.get((asks, answers), set())
    assert [rule for rule in rules if rule.get("udp")] == []


def machines() -> dict[str, dict[str, str]]:
    """Group -> its machines and their addresses."""
    groups = yaml.safe_load((EXAMPLE / "hosts.yml").read_text())["all"]["children"]
    return {group: {name: of["ansible_host"] for name, of in found["hosts"].items()} for group, found in groups.items()}


def test_prometheus_reads_every_machine_and_the_one_of_each_hub() -> None:
    every = machines()
    reads = group_variables("monitoring", "monitoring")
    targets = [target for job in reads["monitoring_targets"] for target in job["targets"]]
    assert sorted(targets) == sorted(f"{host}:{EXPORTER}" for of in every.values() for host in of.values())
    assert reads["monitoring_federated"] == [f"{host}:{PROMETHEUS}" for host in every["hub"].values()]
    zone = {group: group_variables(group, "zones")["zones_zone"] for group in every}
    assert {zone[group] for group in every} == set(ZONES["zones_networks"])


def test_ports_of_pods_have_metrics_where_the_chart_has_them_and_are_closed_to_other_zones() -> None:
    known = of_role("monitoring", "vars", "monitoring_ports")
    assert known == {
        "operator": ports.OPERATOR_HEALTH, "node": ports.NODE_METRICS, "homes": ports.HOMES_METRICS,
        "surveyor": ports.SURVEYOR_METRICS,
    }  # fmt: skip
    chart = yaml.safe_load((ROOT / "charts/pdshub/values.yaml").read_text())
    assert chart["nodePlugin"]["metricsPort"] == known["node"]
    opened = {number for found in ANSWERED.values() for number in found}
    assert opened.isdisjoint({*known.values(), ports.NODE_REPORT, ports.SURVEYOR})


def test_the_manual_says_the_same() -> None:
    page = (ROOT / "docs/ansible.md").read_text()
    assert f"tcp: [{HUB}], why: Apache to the hub's proxy" in page and f"| **proxy** | | {HUB} |" in page
