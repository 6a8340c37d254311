"""What all servers of a hub together may use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from pdshub.api.base import Model, Quantity, parse_quantity


class Quota(Model):
    """What the hub's servers may use together, and what its namespace may store. What is left out has no bound.

    Becomes ResourceQuotas of the namespace. Source: Kubernetes, "Resource Quotas" (limits.*, pods, requests.storage).
    """

    servers: int | None = Field(default=None, ge=1, le=100000, description="Servers that may run at a time.")
    cpu: Quantity | None = Field(default=None, description="Cores: the sum of the limits of all servers.")
    memory: Quantity | None = Field(default=None, description="Bytes of memory: the sum of the limits of all servers.")
    ephemeral_storage: Quantity | None = Field(
        default=None, description="Bytes of scratch space: the sum of the limits of all servers."
    )
    storage: Quantity | None = Field(
        default=None,
        description="Bytes of volumes: the sum of all homes, and of what else is in their StorageClass.",
    )

    @model_validator(mode="after")
    def _positive(self) -> Self:
        for name in ("cpu", "memory", "ephemeral_storage", "storage"):
            given = getattr(self, name)
            if given is not None and parse_quantity(given) < 0:
                raise ValueError(f"quota {given} is negative: leave it out where there is to be no bound")
        return self


def shortage(name: str, quota: str | None, limits: Sequence[tuple[str, str | None]]) -> str:
    """Why not every kind of server fits into a quota; empty when each does, or there is none.

    ``name`` is the quota's field, ``limits`` what servers may use, the spec's own first, each with where it stands.
    """
    if quota is None:
        return ""
    if limits[0][1] is None:
        return f"quota.{name} counts the limits of servers, and a server has none: set {limits[0][0]}"
    for where, limit in limits:
        if limit is not None and parse_quantity(limit) > parse_quantity(quota):
            return (
                f"quota.{name} {quota} is below {where}, {limit}: no such server could start. Raise the quota or lower "
                f"the limit"
            )
    return ""
