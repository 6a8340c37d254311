"""A bucket of an S3 service as a source of a view. Fields that a backup's repository has, too, have its names."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from pdshub.api.backup_repository import HttpsUrl, Prefix
from pdshub.api.base import Model, ObjectName, Quantity, SecretKey, parse_quantity, rules

AMAZON = "https://s3.amazonaws.com"
"""The endpoint of AWS where a source names none; with a region it is that region's own."""
_AMAZON_HOST = re.compile(r"^https://s3([.-][a-z0-9-]+)*\.amazonaws\.com$")
_REGION = "AWS is asked in the bucket's own region: name it in region"


class S3Limits(Model):
    """What a source may cost. A survey that would go beyond is not begun, or ended; users keep what they see."""

    requests_per_survey: int = Field(
        default=20_000,
        ge=10,
        le=10_000_000,
        description="Requests of one survey: one for 1,000 names, and one for each label of a dataset that is new.",
    )
    usd_per_month: Quantity | None = Field(
        default=None,
        description="US dollars for a month's surveys at the view's interval, by the price file; default: no limit. "
        "Needs an endpoint of AWS, since of no other service prices are known.",
    )


class S3CaBundle(Model):
    """Certificates in a ConfigMap or Secret of the surveyors' namespace."""

    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.configMap) != has(self.secret)", "choose exactly one: configMap or secret"))
    )
    config_map: SecretKey | None = Field(default=None, description="Name and key of a ConfigMap.")
    secret: SecretKey | None = Field(
        default=None, description="Name and key of a Secret, one that the installation allows."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.config_map is None) == (self.secret is None):
            raise ValueError("caBundle: choose exactly one: configMap or secret")
        return self


class S3Source(Model):
    """Objects of a bucket, read-only. Names are those of a listing, and a key's slashes are directories."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.region) || (has(self.endpoint) && !self.endpoint.endsWith('.amazonaws.com'))", _REGION)
        )
    )
    endpoint: HttpsUrl = Field(
        default=AMAZON,
        description="URL of the service. Plain http:// only where the installation allows that very URL.",
    )
    bucket: str = Field(
        min_length=3, max_length=63, pattern=r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$", description="Name of the bucket."
    )
    prefix: Prefix | None = Field(default=None, description="Folder in the bucket; default: all of it.")
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")] | None = Field(
        default=None, description="Region; AWS needs it."
    )
    path_style: bool | None = Field(
        default=None,
        description="Whether the bucket stands in the path of a URL, not in its host; default: unless it is AWS.",
    )
    secret_ref: ObjectName | None = Field(
        default=None,
        description="Secret with keys access-key-id and secret-access-key, in the surveyors' namespace, one that the "
        "installation allows for this bucket; default: the identity of the pods (EKS Pod Identity).",
    )
    ca_bundle: S3CaBundle | None = Field(default=None, description="Certificates of a private CA.")
    limits: S3Limits = Field(default_factory=S3Limits, description="What the source may cost.")

    @property
    def amazon(self) -> bool:
        """Whether it is AWS: prices are known, and hosts have the bucket's name."""
        return _AMAZON_HOST.match(self.endpoint.rstrip("/")) is not None

    @property
    def url(self) -> str:
        """Where the service is asked: AWS in the bucket's region."""
        url = self.endpoint.rstrip("/")
        return f"https://s3.{self.region}.amazonaws.com" if url == AMAZON and self.region else url

    @property
    def in_path(self) -> bool:
        """Whether the bucket stands in the path of a URL. A name with dots is in no certificate of AWS."""
        return (not self.amazon or "." in self.bucket) if self.path_style is None else self.path_style

    @property
    def place(self) -> str:
        """The bucket and the folder, for people."""
        return f"s3://{self.bucket}/{self.prefix or ''}".rstrip("/")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.endpoint.endswith(".amazonaws.com") and not self.region:
            raise ValueError(_REGION)
        if (usd := self.limits.usd_per_month) is not None and (not self.amazon or parse_quantity(usd) < 0):
            raise ValueError("limits.usdPerMonth: prices are known of AWS alone, and are no less than nothing")
        return self


__all__ = ["AMAZON", "S3CaBundle", "S3Limits", "S3Source"]
