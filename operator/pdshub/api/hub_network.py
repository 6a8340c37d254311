"""What user servers of a hub reach."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from pdshub.api.base import Cidr, Model, rules


class Network(Model):
    """What user servers reach beside hub, proxy and name service."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "(has(self.egress) && self.egress == 'cidrs') == (has(self.cidrs) && size(self.cidrs) > 0)",
                "egress cidrs and a list cidrs go together: give both, or neither",
            ),
        )
    )
    egress: Literal["internet", "none", "cidrs"] = Field(
        default="internet",
        description="internet: public addresses alone; none: nothing; cidrs: the ranges listed in cidrs.",
    )
    cidrs: list[Cidr] = Field(
        default_factory=list,
        max_length=64,
        description="Ranges that servers reach, with egress cidrs. Private ones need the installation's permission.",
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.egress == "cidrs") != bool(self.cidrs):
            raise ValueError("egress cidrs and a list cidrs go together: give both, or neither")
        return self
