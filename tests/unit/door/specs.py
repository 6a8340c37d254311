"""Specs of hubs with each way of ending TLS."""

from __future__ import annotations

from typing import Any

from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Defaults
from pdshub.render.names import Names

HOST = "hub.example.org"
NAMES = Names("ns", "demo")
UID = "00000000-0000-4000-8000-000000000001"
DEFAULTS = Defaults.model_validate({"images": {"door": "r.example.org/door:1", "proxy": "r.example.org/proxy:1"}})
SIGN_IN: dict[str, Any] = {"signIn": {"development": {}}}
KEY = {"name": "tsig", "key": "key"}
RFC2136 = {"server": "ns.example.org", "zone": "example.org", "keyName": "hub", "secretRef": KEY}
ACME: dict[str, Any] = {
    "email": "hub@example.org",
    "directory": "https://ca.example.org:14000/dir",
    "challenge": {"http01": {}},
    "agreeToTerms": True,
}
DNS: dict[str, Any] = {**ACME, "challenge": {"dns01": {"rfc2136": RFC2136}}}
ROUTE53: dict[str, Any] = {**ACME, "challenge": {"dns01": {"route53": {"hostedZoneId": "Z1", "secretRef": "aws"}}}}
GATEWAY = {"parentRefs": [{"name": "public", "namespace": "gw", "sectionName": "https"}]}
TLS: dict[str, dict[str, Any]] = {
    "offload": {"offload": {"trusted": ["192.0.2.7/32"]}},
    "acme": {"acme": ACME},
    "acme dns": {"acme": DNS},
    "acme route53": {"acme": ROUTE53},
    "acme private": {"acme": {**ACME, "caBundle": {"configMap": {"name": "ca", "key": "root.pem"}}}},
    "acme private, of a Secret": {"acme": {**ACME, "caBundle": {"secret": {"name": "ca", "key": "root.pem"}}}},
    "secret": {"secret": {"name": "demo-tls"}},
    "ingress": {"ingress": {"className": "traefik", "annotations": {"a/b": "c"}}},
    "ingress, own certificate": {"ingress": {"secretName": "mine"}},
    "ingress, cert-manager": {"ingress": {"clusterIssuer": "letsencrypt"}},
    "gateway": {"gateway": GATEWAY},
    "gateway, redirect": {"gateway": {**GATEWAY, "redirectFrom": [{"name": "public", "port": 80}]}},
    "alb": {"alb": {"certificateArn": "arn:aws:acm:eu-west-1:1:certificate/2", "scheme": "internal"}},
    "none": {"none": {}},
}
"""One spec.tls for each way, and for each branch of one."""


def raw(tls: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """A spec as it is written."""
    return {**SIGN_IN, "hostname": HOST, **({} if tls is None else {"tls": tls}), **more}


def spec(way: str = "", **more: Any) -> PDSHubSpec:
    """A spec of a way of ending TLS; of none by default."""
    return PDSHubSpec.model_validate(raw(TLS.get(way), **more))
