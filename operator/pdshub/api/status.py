"""Conditions, as kstatus and kubectl wait read them, and the certificate that people are shown."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pdshub.api.base import StatusModel


class Condition(StatusModel):
    """One observation (Kubernetes API conventions, Typical status properties)."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str = Field(description="One CamelCase word for programs.")
    message: str = Field(default="", description="What is wrong and what to do, for people.")
    observed_generation: int = 0
    last_transition_time: str = Field(json_schema_extra={"format": "date-time"})


_BAD = frozenset({"Stalled", "Reconciling", "PinnedDrift", "Deleting", "Drifted", "Suspended", "RolledBack"})


def good_status(condition: str) -> Literal["True", "False"]:
    """Which status of a condition means that all is well: True, but for those that name a trouble."""
    return "False" if condition in _BAD else "True"


class CertificateStatus(StatusModel):
    """What a certificate says of itself (RFC 5280). None of it is secret."""

    issuer: str = Field(default="", description="Who signed it.")
    names: list[str] = Field(default_factory=list, description="Host names that it is for.")
    not_before: str = Field(default="", description="From when on it is valid, RFC 3339.")
    not_after: str = Field(default="", description="Until when it is valid, RFC 3339.")
    fingerprint: str = Field(default="", description="SHA-256 of the certificate: another one is another certificate.")
