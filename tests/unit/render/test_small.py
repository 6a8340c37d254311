"""The small pure functions of rendering, each as a table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdshub.api.base import parse_quantity
from pdshub.render import archive, homes, images
from pdshub.render.address import address
from pdshub.render.names import Names, short
from pdshub.render.quantity import spawner_bytes, spawner_cores

UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


@pytest.mark.parametrize(
    ("quantity", "spawner"),
    [
        ("4Gi", "4G"),
        ("512Mi", "512M"),
        ("1536Mi", "1536M"),
        ("1Ti", "1T"),
        ("1G", "976562.5K"),
        ("1000000", "976.5625K"),
        ("1", "0.0009765625K"),
        ("0", "0K"),
        ("1.5Gi", "1536M"),
        ("1e3", "0.9765625K"),
    ],
)
def test_spawner_bytes(quantity: str, spawner: str) -> None:
    assert spawner_bytes(quantity) == spawner


@given(st.integers(min_value=0, max_value=2**50), st.sampled_from(["", "k", "Ki", "M", "Mi"]))
def test_spawner_bytes_are_exact_as_the_spawner_reads_them(number: int, suffix: str) -> None:
    text = spawner_bytes(f"{number % 10**6}{suffix}")
    read = int(float(text[:-1]) * UNITS[text[-1]])
    assert read == int(parse_quantity(f"{number % 10**6}{suffix}"))


@pytest.mark.parametrize(("quantity", "cores"), [("500m", 0.5), ("2", 2.0), ("1m", 0.001), ("0.1", 0.1)])
def test_spawner_cores(quantity: str, cores: float) -> None:
    assert spawner_cores(quantity) == cores


@pytest.mark.parametrize(
    ("reference", "name", "tag"),
    [
        ("localhost/pdshub/user:1a2b", "localhost/pdshub/user", "1a2b"),
        ("quay.io/jupyter/base", "quay.io/jupyter/base", "latest"),
        ("host:5000/name", "host:5000/name", "latest"),
        ("host:5000/name:2", "host:5000/name", "2"),
        ("name@sha256:abc", "name@sha256", "abc"),
    ],
)
def test_images(reference: str, name: str, tag: str) -> None:
    assert images.split(reference) == {"name": name, "tag": tag}


def test_long_names_stay_labels_and_unique() -> None:
    one, two = short("n" * 40, "h" * 40), short("n" * 41, "h" * 39)
    assert len(one) <= 63 and len(two) <= 63 and one != two
    assert short("ns", "demo") == "ns-demo"


NODES = [
    {"metadata": {"name": "b"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.2"}]}},
    {"metadata": {"name": "a"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}},
]


def service(kind: str, **more: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "nodePort": more.pop("node_port", None)}]
    return {"metadata": {"name": "proxy-public"}, "spec": {"type": kind, "ports": ports}, "status": more}


@pytest.mark.parametrize(
    ("hostname", "offered", "expected"),
    [
        ("hub.example.org", None, "https://hub.example.org"),
        (None, None, ""),
        (None, service("ClusterIP"), "http://proxy-public.ns.svc"),
        (None, service("NodePort", node_port=30080), "http://10.0.0.1:30080"),
        (None, service("LoadBalancer"), ""),
        (None, service("LoadBalancer", loadBalancer={"ingress": [{"ip": "203.0.113.7"}]}), "http://203.0.113.7"),
        (None, service("LoadBalancer", loadBalancer={"ingress": [{"hostname": "lb.aws"}]}), "http://lb.aws"),
    ],
)
def test_address(hostname: str | None, offered: dict[str, Any] | None, expected: str) -> None:
    assert address(hostname, offered, NODES, "ns") == expected


def storage_class(name: str, provisioner: str, default: bool = False) -> dict[str, Any]:
    notes = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {"metadata": {"name": name, "annotations": notes}, "provisioner": provisioner}


@pytest.mark.parametrize(
    ("name", "classes", "decided", "enforced", "reason"),
    [
        (None, [storage_class("standard", "rancher.io/local-path", True)], None, False, "SizeNotEnforced"),
        (None, [storage_class("standard", "rancher.io/local-path", True)], True, True, "Enforced"),
        (None, [storage_class("gp3", "ebs.csi.aws.com", True)], None, True, "Enforced"),
        ("h", [storage_class("h", "homes.pdshub.dev"), storage_class("s", "nfs", True)], None, True, "Enforced"),
        (None, [storage_class("x", "acme.example/disk", True)], None, None, "UnknownProvisioner"),
        (None, [storage_class("x", "acme.example/disk")], None, False, "NoStorageClass"),
        ("y", [storage_class("x", "acme.example/disk", True)], None, False, "NoStorageClass"),
        ("x", [storage_class("x", "k8s.io/minikube-hostpath")], None, False, "SizeNotEnforced"),
    ],
)
def test_homes(
    name: str | None, classes: list[dict[str, Any]], decided: bool | None, enforced: bool | None, reason: str
) -> None:
    found = homes.enforcement(name, "10Gi", classes, decided)
    assert (found.enforced, found.reason) == (enforced, reason)
    assert "size" in found.message or reason == "NoStorageClass"


def test_volume_and_claim_bind_each_other_and_nothing_else() -> None:
    names = Names("ns", "demo")
    volume, claim = archive.volume(names, "ns-demo"), archive.claim(names, "ns-demo")
    assert volume["metadata"]["name"] == claim["spec"]["volumeName"] == "pdshub-ns-demo-archive"
    assert volume["spec"]["claimRef"]["name"] == claim["metadata"]["name"] == "demo-archive"
    assert volume["spec"]["csi"]["volumeAttributes"] == {"view": "ns-demo"}
    assert volume["spec"]["csi"]["volumeHandle"] == "ns.demo.ns-demo"


def test_another_view_is_another_claim() -> None:
    names = Names("ns", "demo")
    assert len({names.claim(v) for v in ("ns-demo", "sbn", "psa")}) == 3
