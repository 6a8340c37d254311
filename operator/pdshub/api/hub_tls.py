"""Who ends TLS in front of a hub, and where the certificate comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from pdshub.api.base import Cidr, Model, ObjectName, rules
from pdshub.api.hub_acme import Acme

WIDEST = {4: 8, 6: 32}
"""Shortest prefix of a trusted range: a wider one would be somebody's guess, or everybody."""
Annotations = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32)]

_TOO_WIDE = (
    "trusted: {} is too wide: whoever has an address in it says who clients are: name the addresses of what ends TLS"
)
_TRUSTED_CEL = (
    # cidr() of CEL came with Kubernetes 1.31
    "self.all(r, r.contains(':') ? r.matches('/(3[2-9]|[4-9][0-9]|1[0-9][0-9])$') : r.matches('/([89]|[1-3][0-9])$'))",
    "trusted has a range that is too wide (/8 at most, IPv6 /32): name the addresses of what ends TLS, as 192.0.2.7/32",
)


def _trusted(ranges: list[str]) -> None:
    for each in ranges:
        found = ip_network(each)
        if found.prefixlen < WIDEST[found.version]:
            raise ValueError(_TOO_WIDE.format(each))


class Offload(Model):
    """TLS ends before the cluster: at Apache httpd or nginx on a proxy machine, or at a load balancer."""

    trusted: list[Cidr] = Field(
        min_length=1,
        max_length=32,
        description="Addresses of what ends TLS: X-Forwarded-* is believed from these, and from nobody else.",
        json_schema_extra=rules(_TRUSTED_CEL),
    )

    @model_validator(mode="after")
    def _narrow(self) -> Self:
        _trusted(self.trusted)
        return self


class TlsSecret(Model):
    """A Secret of type kubernetes.io/tls that somebody else keeps; a new certificate is taken up without a restart."""

    name: ObjectName = Field(description="Name of the Secret in this namespace.")


class ParentRef(Model):
    """A Gateway, and where wanted one of its listeners (Gateway API v1, ParentReference)."""

    name: ObjectName = Field(description="Name of the Gateway.")
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)] | None = Field(
        default=None, description="Its namespace; default: the PDSHub's."
    )
    section_name: ObjectName | None = Field(default=None, description="Name of the listener.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Port of the listener.")


Trusted = Annotated[
    list[Cidr],
    Field(
        max_length=32,
        description="Addresses from which the controller reaches the hub's proxy: these say who clients are.",
        json_schema_extra=rules(_TRUSTED_CEL),
    ),
]


class _Behind(Model):
    """What the three kinds of controllers have in common."""

    trusted: Trusted = Field(default_factory=list)

    @model_validator(mode="after")
    def _narrow(self) -> Self:
        _trusted(self.trusted)
        return self


class Ingress(_Behind):
    """An ingress controller of the cluster ends TLS; the operator makes an Ingress."""

    class_name: ObjectName | None = Field(default=None, description="IngressClass; default: the cluster's.")
    annotations: Annotations = Field(default_factory=dict, description="Annotations for the controller.")
    secret_name: ObjectName | None = Field(
        default=None, description="TLS Secret; default <name>-tls with issuer, else the controller's own certificate."
    )
    issuer: ObjectName | None = Field(
        default=None, description="Issuer of cert-manager in this namespace, which fills the Secret."
    )
    cluster_issuer: ObjectName | None = Field(default=None, description="The same of the whole cluster.")

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("!(has(self.issuer) && has(self.clusterIssuer))", "choose one: issuer or clusterIssuer, or none of them"),
        )
    )

    @model_validator(mode="after")
    def _one_issuer(self) -> Self:
        if self.issuer and self.cluster_issuer:
            raise ValueError("ingress: choose one: issuer or clusterIssuer, or none of them")
        return self


class Gateway(_Behind):
    """A Gateway ends TLS; the operator makes an HTTPRoute (Gateway API v1)."""

    parent_refs: list[ParentRef] = Field(
        min_length=1, max_length=8, description="Gateways, or their HTTPS listeners, that the route hangs on."
    )
    redirect_from: list[ParentRef] = Field(
        default_factory=list, max_length=8, description="Plain HTTP listeners from which people are sent to HTTPS."
    )


class Alb(_Behind):
    """An Application Load Balancer of AWS ends TLS (AWS Load Balancer Controller); the operator makes an Ingress."""

    certificate_arn: Annotated[str, Field(max_length=2048, pattern=r"^arn:[a-z0-9-]+:(acm|iam):[!-~]+$")] | None = (
        Field(default=None, description="Certificate; default: the controller finds one by the host name.")
    )
    scheme: Literal["internet-facing", "internal"] = Field(
        default="internet-facing", description="Whether the load balancer has public addresses."
    )
    class_name: ObjectName = Field(default="alb", description="IngressClass of the controller.")
    idle_timeout_seconds: int = Field(
        default=3600, ge=60, le=4000, description="Idle connections are cut after this; AWS itself says 60."
    )
    annotations: Annotations = Field(default_factory=dict, description="More annotations for the controller.")


class NoTls(Model):
    """Plain HTTP, in a namespace for development alone."""


Mode = Literal["Offload", "Acme", "Secret", "Ingress", "Gateway", "Alb", "None", ""]
"""Who ends TLS; empty where the spec does not say it."""
_FIELDS: Mapping[str, Mode] = {
    "offload": "Offload",
    "acme": "Acme",
    "secret": "Secret",
    "ingress": "Ingress",
    "gateway": "Gateway",
    "alb": "Alb",
    "none": "None",
}
_CHOOSE = "choose exactly one of offload, acme, secret, ingress, gateway, alb (or none, in a development namespace)"


class Tls(Model):
    """Who ends TLS: exactly one."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (f"[{', '.join(f'has(self.{each})' for each in _FIELDS)}].filter(x, x).size() == 1", _CHOOSE)
        )
    )
    offload: Offload | None = Field(
        default=None, description="What stands before the cluster: Apache, nginx, a load balancer."
    )
    acme: Acme | None = Field(default=None, description="The hub's own door, with certificates from an ACME CA.")
    secret: TlsSecret | None = Field(default=None, description="The hub's own door, with a certificate from a Secret.")
    ingress: Ingress | None = Field(default=None, description="An ingress controller.")
    gateway: Gateway | None = Field(default=None, description="A Gateway of the Gateway API.")
    alb: Alb | None = Field(default=None, description="An Application Load Balancer of AWS.")
    none: NoTls | None = Field(default=None, description="Nobody: plain HTTP, in a development namespace only.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(getattr(self, each) is not None for each in _FIELDS) != 1:
            raise ValueError(f"tls: {_CHOOSE}")
        return self

    @property
    def mode(self) -> Mode:
        """Which of them it is."""
        return next(mode for each, mode in _FIELDS.items() if getattr(self, each) is not None)

    @property
    def trusted(self) -> list[str]:
        """Ranges from which X-Forwarded-* is believed."""
        chosen: Any = self.offload or self.ingress or self.gateway or self.alb
        return list(chosen.trusted) if chosen else []


def mode_of(tls: Tls | None) -> Mode:
    """Who ends TLS, as the spec says it."""
    return tls.mode if tls else ""


HAS_DOOR = ("Acme", "Secret")
"""Modes in which the hub has a door of its own in the cluster."""
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def is_public_name(hostname: str) -> bool:
    """Whether a host name is one that a certificate can be for: labels joined by dots, at least two, and no address."""
    labels = hostname.split(".")
    return len(labels) > 1 and all(_LABEL.fullmatch(each) for each in labels) and not labels[-1].isdigit()
