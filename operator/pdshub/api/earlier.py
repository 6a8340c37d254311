"""What a hub asks for people who look for earlier versions of their files (pdshub_hub.earlier), read as untrusted."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pdshub.api.backup import HomeOf
from pdshub.api.base import RelativePath, StatusModel


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds control characters, or others that do not show")
    return text


class Question(StatusModel):
    """A question. ``user`` is who was signed in at the hub: it comes from no form."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    number: int = Field(ge=1, lt=2**62)
    user: Annotated[HomeOf, AfterValidator(_printable)]
    what: Literal["list", "browse", "restore"]
    snapshot: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    as_of: Annotated[str, Field(pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?$")] = ""
    path: Annotated[RelativePath, AfterValidator(_printable)] = "."

    @model_validator(mode="after")
    def _one_version(self) -> Self:
        if self.snapshot and self.as_of:
            raise ValueError("snapshot or asOf, not both")
        return self
