"""What spec.tls refuses, with the field and the fix."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pdshub.api import crd
from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_tls import Tls, mode_of
from pdshub.api.refusal import refusal_words
from tests.unit.door.specs import ACME, GATEWAY, KEY, RFC2136, TLS, raw


@pytest.mark.parametrize("way", TLS)
def test_every_way_is_taken_and_written_back(way: str) -> None:
    found = PDSHubSpec.model_validate(raw(TLS[way])).tls
    assert found is not None and mode_of(found).lower() == way.partition(" ")[0].rstrip(",")
    assert Tls.model_validate(found.wire()) == found


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in ACME.items() if k != key}


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["tls", "exactly one"]),
    ({"none": {}, "offload": {"trusted": ["192.0.2.7/32"]}}, ["tls", "exactly one"]),
    ({"offload": {}}, ["tls.offload.trusted"]),
    ({"offload": {"trusted": []}}, ["tls.offload.trusted"]),
    ({"offload": {"trusted": ["0.0.0.0/0"]}}, ["too wide", "name the addresses"]),
    ({"offload": {"trusted": ["::/0"]}}, ["too wide"]),
    ({"offload": {"trusted": ["10.0.0.0/7"]}}, ["10.0.0.0/7", "too wide"]),
    ({"offload": {"trusted": ["2000::/3"]}}, ["too wide"]),
    ({"offload": {"trusted": ["192.0.2.7"]}}, ["no length", "192.0.2.7/32"]),
    ({"offload": {"trusted": ["proxy.example.org"]}}, ["no range"]),
    ({"ingress": {"trusted": ["0.0.0.0/1"]}}, ["too wide"]),
    ({"ingress": {"issuer": "a", "clusterIssuer": "b"}}, ["choose one", "clusterIssuer"]),
    ({"acme": without("agreeToTerms")}, ["tls.acme.agreeToTerms"]),
    ({"acme": {**ACME, "agreeToTerms": False}}, ["tls.acme.agreeToTerms"]),
    ({"acme": without("email")}, ["tls.acme.email"]),
    ({"acme": {**ACME, "email": "nobody"}}, ["tls.acme.email"]),
    ({"acme": {**ACME, "directory": "http://ca.example.org/dir"}}, ["tls.acme.directory"]),
    ({"acme": {**ACME, "directory": "https://u:p@ca.example.org/dir"}}, ["tls.acme.directory"]),
    ({"acme": {**ACME, "challenge": {}}}, ["challenge", "exactly one"]),
    ({"acme": {**ACME, "challenge": {"http01": {}, "dns01": {"route53": {}}}}}, ["challenge", "exactly one"]),
    ({"acme": {**ACME, "challenge": {"dns01": {}}}}, ["dns01", "exactly one", "route53"]),
    ({"acme": {**ACME, "challenge": {"dns01": {"rfc2136": {**RFC2136, "server": "a b"}}}}}, ["rfc2136.server"]),
    ({"acme": {**ACME, "challenge": {"dns01": {"rfc2136": {**RFC2136, "algorithm": "hmac-md5"}}}}}, ["algorithm"]),
    ({"acme": {**ACME, "challenge": {"dns01": {"rfc2136": {**RFC2136, "key": "c2VjcmV0"}}}}}, ["rfc2136.key"]),
    ({"acme": {**ACME, "caBundle": {}}}, ["caBundle", "exactly one"]),
    ({"acme": {**ACME, "caBundle": {"secret": KEY, "configMap": KEY}}}, ["caBundle", "exactly one"]),
    ({"secret": {}}, ["tls.secret.name"]),
    ({"secret": {"name": "../etc"}}, ["tls.secret.name"]),
    ({"gateway": {"parentRefs": []}}, ["gateway.parentRefs"]),
    ({"gateway": {**GATEWAY, "trusted": ["0.0.0.0/0"]}}, ["too wide"]),
    ({"alb": {"scheme": "public"}}, ["alb.scheme", "internal"]),
    ({"alb": {"certificateArn": "x"}}, ["alb.certificateArn"]),
]


@pytest.mark.parametrize(("tls", "said"), REFUSED)
def test_what_is_refused_names_the_field_and_the_fix(tls: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        PDSHubSpec.model_validate(raw(tls))
    words = refusal_words(caught.value)
    assert all(part in words for part in said), words


@pytest.mark.parametrize(
    ("hostname", "refused"),
    [
        (None, "hostname is missing"),
        ("localhost", "hostname 'localhost'"),
        ("10.0.0.1", "hostname '10.0.0.1'"),
        ("a..b", "hostname 'a..b'"),
        ("-a.example.org", "hostname"),
        ("hub.example.org", ""),
    ],
)
def test_a_certificate_needs_a_public_name(hostname: str | None, refused: str) -> None:
    body = {**raw(TLS["acme"]), "hostname": hostname}
    if not refused:
        PDSHubSpec.model_validate(body)
        return
    with pytest.raises(ValidationError) as caught:
        PDSHubSpec.model_validate(body)
    assert refused in refusal_words(caught.value)


def test_plain_http_needs_no_name() -> None:
    assert PDSHubSpec.model_validate({**raw(TLS["none"]), "hostname": None}).tls


def test_the_crd_says_the_same_at_apply() -> None:
    schema = crd.documents()["pdshub.dev_pdshubs.yaml"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec = schema["properties"]["spec"]
    tls = spec["properties"]["tls"]
    said = [rule["message"] for rule in tls["x-kubernetes-validations"]]
    assert said and "choose exactly one of offload" in said[0]
    assert any("tls needs the public name" in rule["message"] for rule in spec["x-kubernetes-validations"])
    trusted = tls["properties"]["offload"]["properties"]["trusted"]
    # a function of CEL that Kubernetes 1.29 does not know would keep the CRD out of it
    assert "cidr(" not in trusted["x-kubernetes-validations"][0]["rule"]
    assert (
        tls["properties"]["none"]["type"]
        == tls["properties"]["acme"]["properties"]["challenge"]["properties"]["http01"]["type"]
        == "object"
    )
