"""Conditions, as kstatus and kubectl wait read them."""

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
