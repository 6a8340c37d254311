"""Certificates from an ACME CA (RFC 8555), and how it is shown that the names are ours."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from pdshub.api.base import DNS_HOST, DnsName, Model, ObjectName, SecretKey, rules

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
"""The directory of Let's Encrypt (RFC 8555, section 7.1.1)."""


class Http01(Model):
    """The CA asks the hub's own address for a file, on port 80 (RFC 8555, section 8.3)."""


class Rfc2136(Model):
    """A name server that takes signed dynamic updates (RFC 2136, RFC 8945)."""

    server: str = Field(
        min_length=1,
        max_length=260,
        pattern=rf"^({DNS_HOST}|\[[0-9a-fA-F:.]+\])(:[0-9]{{1,5}})?$",
        description="HOST or HOST:PORT of the name server; port 53 unless it says another. IPv6 in brackets.",
    )
    zone: DnsName | None = Field(
        default=None, description="Zone that is updated; default: the one that the name server says the name is in."
    )
    key_name: DnsName = Field(description="Name of the TSIG key.")
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = Field(
        default="hmac-sha256", description="Algorithm of the TSIG key."
    )
    secret_ref: SecretKey = Field(description="Where the TSIG key is, in base64.")


class Route53(Model):
    """Amazon Route 53."""

    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")] | None = Field(
        default=None, description="Region of the AWS client; default us-east-1."
    )
    hosted_zone_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,32}$")] | None = Field(
        default=None, description="Hosted zone; default: the public one of the name's zone."
    )
    secret_ref: ObjectName | None = Field(
        default=None,
        description="Secret with keys access-key-id and secret-access-key; without one the door finds no credentials "
        "but those that the cluster gives its pod.",
    )


class Dns01(Model):
    """The CA asks the name service for a TXT record (RFC 8555, section 8.4); wildcards need it."""

    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.rfc2136) != has(self.route53)", "choose exactly one: rfc2136 or route53"))
    )
    rfc2136: Rfc2136 | None = Field(default=None, description="A name server that takes dynamic updates.")
    route53: Route53 | None = Field(default=None, description="Amazon Route 53.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.rfc2136 is None) == (self.route53 is None):
            raise ValueError("dns01: choose exactly one: rfc2136 or route53")
        return self


class Challenge(Model):
    """How the CA is shown that the names are ours: exactly one way."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.http01) != has(self.dns01)", "choose exactly one challenge: http01 or dns01")
        )
    )
    http01: Http01 | None = Field(default=None, description="A file at port 80 of the hub's address.")
    dns01: Dns01 | None = Field(default=None, description="A TXT record.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.http01 is None) == (self.dns01 is None):
            raise ValueError("challenge: choose exactly one: http01 or dns01")
        return self


class CaBundle(Model):
    """Certificates in a ConfigMap or Secret of the PDSHub's namespace."""

    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.configMap) != has(self.secret)", "choose exactly one: configMap or secret"))
    )
    config_map: SecretKey | None = Field(default=None, description="Name and key of a ConfigMap.")
    secret: SecretKey | None = Field(default=None, description="Name and key of a Secret.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.config_map is None) == (self.secret is None):
            raise ValueError("caBundle: choose exactly one: configMap or secret")
        return self


class Acme(Model):
    """Certificates from an ACME CA (RFC 8555), renewed by the hub's door in the cluster."""

    email: str = Field(
        min_length=3,
        max_length=254,
        pattern=r"^[^@\s]+@[^@\s]+$",
        description="Whom the CA writes to.",
    )
    directory: str = Field(
        default=LETS_ENCRYPT,
        max_length=1024,
        pattern=r"^https://[^/?#@\s]+(/[^?#\s]*)?$",
        description="URL of the CA's directory; default: Let's Encrypt.",
    )
    ca_bundle: CaBundle | None = Field(
        default=None, description="Certificates that the directory's own certificate leads to, for a private CA."
    )
    challenge: Challenge = Field(description="How the CA is shown that the names are ours.")
    agree_to_terms: Literal[True] = Field(
        description="true: you agree to the terms of the CA, to which the directory leads.",
    )
