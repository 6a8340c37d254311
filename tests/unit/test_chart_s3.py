"""archive.buckets in the chart: what it opens, for whom, and that it opens nothing where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub import network_rules
from pdshub.cli import probe_pods, reach
from pdshub.render import surveyor
from tests.unit import chart, netpol
from tests.unit.chart import Document

BUCKETS: list[Document] = [
    {"bucket": "pds-sbn", "prefixes": ["archive"], "secrets": ["pds-sbn", "authority"]},
    {"endpoint": "http://10.1.2.3:7070", "bucket": "local", "secrets": ["local"], "ranges": ["10.1.2.3/32"]},
]
KEYS = "/run/pdshub-keys"


def rendered(*buckets: Document, **values: Any) -> dict[tuple[str, str], Document]:
    return chart.rendered({"archive": {"buckets": list(buckets)}, **values})


def test_nothing_is_open_without_a_bucket() -> None:
    found = rendered()
    assert not {name for _, name in found if name in ("pdshub-surveyor-s3", "pdshub-node-keys", "pdshub-surveyor-sa")}
    assert KEYS not in repr(found)


def test_the_node_plugin_reads_the_secrets_that_are_named_and_no_others() -> None:
    role = rendered(*BUCKETS)["Role", "pdshub-node-keys"]
    assert role["metadata"]["namespace"] == "pdshub-surveyors"
    secrets = [rule for rule in role["rules"] if "secrets" in rule["resources"]]
    assert [(rule["resourceNames"], rule["verbs"]) for rule in secrets] == [
        (["pds-sbn", "authority", "local"], ["get"])
    ]
    only = rendered({"bucket": "pds-img", "podIdentity": True})["Role", "pdshub-node-keys"]
    assert not [rule for rule in only["rules"] if "secrets" in rule["resources"]], "a rule without names is of all"


def test_plugin_and_helper_share_a_directory_in_memory() -> None:
    found = rendered(*BUCKETS)
    for name in ("pdshub-node", "pdshub-nfs-helper"):
        pod = found["DaemonSet", name]["spec"]["template"]["spec"]
        (volume,) = [v for v in pod["volumes"] if (v.get("hostPath") or {}).get("path") == KEYS]
        having = [c["name"] for c in pod["containers"] for m in c["volumeMounts"] if m["name"] == volume["name"]]
        assert having == [pod["containers"][0]["name"]], "the container without rights has no keys"


def test_surveyors_of_s3_reach_the_services_and_others_nobody() -> None:
    found = rendered(*BUCKETS)
    assert found["NetworkPolicy", "pdshub-surveyor"]["spec"]["egress"] == []
    policy = found["NetworkPolicy", "pdshub-surveyor-s3"]["spec"]
    assert policy["podSelector"]["matchLabels"][surveyor.S3_LABEL] == "true" and policy["policyTypes"] == ["Egress"]
    names, services = policy["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert {port["port"] for port in services["ports"]} == {443, 7070}
    blocks = {to["ipBlock"]["cidr"]: to["ipBlock"].get("except") for to in services["to"]}
    assert set(blocks) == {"0.0.0.0/0", "10.1.2.3/32"}
    assert blocks["0.0.0.0/0"] == [cidr for cidr in network_rules.CLOSED if "::" not in cidr]
    private = rendered(BUCKETS[1])["NetworkPolicy", "pdshub-surveyor-s3"]["spec"]["egress"][1]
    assert [to["ipBlock"]["cidr"] for to in private["to"]] == ["10.1.2.3/32"], "a private service opens no internet"


@pytest.mark.parametrize("chosen", [BUCKETS, BUCKETS[1:]])
def test_the_probe_declares_what_the_policies_open(chosen: list[Document]) -> None:
    policies = [body for (kind, _), body in rendered(*chosen).items() if kind == "NetworkPolicy"]
    rules = [(7070 if "endpoint" in rule else 443, rule.get("ranges", [])) for rule in chosen]
    declared = reach.Declared.of({}, [], rules)
    lister = netpol.Pod("10.244.0.9", "pdshub-surveyors", probe_pods.LABELS[reach.LISTER])
    for address in ("10.1.2.3", "10.1.2.4", "52.216.0.1", "169.254.169.254", "192.168.1.1"):
        for port in (80, 443, 7070, 2049):
            target = reach.Target("t", address, port)
            open_ = netpol.reaches(policies, lister, netpol.Pod(address), port)
            assert declared.allows(reach.LISTER, target, address) is open_, (address, port)
    assert surveyor.S3_LABEL in lister.labels


def test_an_identity_has_accounts_and_a_way_to_its_keys() -> None:
    found = rendered({"bucket": "pds-img", "podIdentity": True}, {"bucket": "pds-two", "podIdentity": True})
    assert ("ServiceAccount", "pdshub-surveyor") in found and ("ServiceAccount", "pdshub-nfs-helper") in found
    helper = found["DaemonSet", "pdshub-nfs-helper"]["spec"]["template"]["spec"]
    assert helper["serviceAccountName"] == "pdshub-nfs-helper" and helper["automountServiceAccountToken"] is False
    egress = found["NetworkPolicy", "pdshub-surveyor-s3"]["spec"]["egress"]
    assert [rule["to"] for rule in egress].count([{"ipBlock": {"cidr": "169.254.170.23/32"}}]) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"archive": {"buckets": [{"bucket": "a/b"}]}},
        {"archive": {"buckets": [{"bucket": "abc", "prefixes": ["../x"]}]}},
        {"archive": {"buckets": [{"bucket": "abc", "endpoint": "https://key:secret@s3"}]}},
        {"archive": {"buckets": [{"bucket": "abc"}]}, "nodePlugin": {"nfsHelper": {"enabled": False}}},
    ],
)
def test_what_cannot_be_is_refused_at_install(values: Document) -> None:
    with pytest.raises(AssertionError):
        chart.rendered(values)
