"""Limits of one user server, and what is guaranteed to it."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from pdshub.api.base import Model, Quantity, parse_quantity, rules

_GUARANTEE = (
    "!has(self.guarantee) || !has(self.limit) || !isQuantity(string(self.guarantee)) || "
    "!isQuantity(string(self.limit)) || quantity(string(self.guarantee)).compareTo(quantity(string(self.limit))) <= 0",
    "guarantee is above limit: lower the guarantee or raise the limit",
)


class Bounds(Model):
    """A limit and what is guaranteed."""

    model_config = ConfigDict(json_schema_extra=rules(_GUARANTEE))
    limit: Quantity | None = Field(default=None, description="At most this much.")
    guarantee: Quantity | None = Field(default=None, description="At least this much is kept free for the server.")

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.limit and self.guarantee and parse_quantity(self.guarantee) > parse_quantity(self.limit):
            raise ValueError(f"guarantee {self.guarantee} is above limit {self.limit}")
        return self


class Resources(Model):
    """What one user server may use. Process limits belong to the node: kubelet podPidsLimit."""

    cpu: Bounds | None = Field(default=None, description="Cores.")
    memory: Bounds | None = Field(default=None, description="Bytes of memory.")
    ephemeral_storage: Bounds | None = Field(default=None, description="Bytes of scratch space outside the home.")


class ServerResources(Resources):
    """What one user server may use; scratch space is limited unless the spec says otherwise."""

    ephemeral_storage: Bounds | None = Field(
        default=Bounds(limit="10Gi"),
        description="Bytes of scratch space outside the home; {} means without a limit.",
    )
