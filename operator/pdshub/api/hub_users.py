"""Who may sign in at a PDSHub: names in the spec, names in ConfigMaps and Secrets, domains, and who is fenced."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from pdshub.api.base import Model, rules

UserName = Annotated[str, Field(min_length=1, max_length=254)]
Domain = Annotated[
    str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)+$")
]


class ListKey(Model):
    """One key of a ConfigMap or Secret in the PDSHub's own namespace that holds names."""

    name: str = Field(min_length=1, max_length=253, description="Name of the object.")
    key: str = Field(min_length=1, max_length=253, description="Key inside of it.")


class UsersFrom(Model):
    """Names from an object: one a line; ``#`` begins a comment, blank lines are nothing."""

    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.configMap) != has(self.secret)", "choose exactly one: configMap or secret"))
    )
    config_map: ListKey | None = Field(default=None, description="A ConfigMap of this namespace.")
    secret: ListKey | None = Field(default=None, description="A Secret of this namespace.")
    as_: Literal["allowed", "admins"] = Field(
        default="allowed", alias="as", description="What the names are: allowed, or admins."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.config_map is None) == (self.secret is None):
            raise ValueError("users.from: choose exactly one: configMap or secret")
        return self

    @property
    def kind(self) -> Literal["ConfigMap", "Secret"]:
        """The kind of the object."""
        return "ConfigMap" if self.config_map else "Secret"

    @property
    def where(self) -> ListKey:
        """Name and key of the object."""
        found = self.config_map or self.secret
        assert found is not None  # noqa: S101 - refused above
        return found


class Users(Model):
    """Who may sign in. Nobody else can: an empty list admits nobody but the admins."""

    allowed: list[UserName] = Field(
        default_factory=list,
        max_length=10000,
        description="User names (Google: e-mail addresses) that may sign in.",
    )
    admins: list[UserName] = Field(
        default_factory=list,
        max_length=200,
        description="Users who may also administer the hub; they are allowed as well.",
    )
    suspended: list[UserName] = Field(
        default_factory=list,
        max_length=10000,
        description="Users who are fenced: stopped and kept out, whatever else lists them. Their homes stay.",
    )
    domains: list[Domain] = Field(
        default_factory=list,
        max_length=32,
        description="Everybody with a verified e-mail address of these domains may sign in.",
    )
    from_: list[UsersFrom] = Field(
        default_factory=list,
        alias="from",
        max_length=16,
        description="More names, from ConfigMaps and Secrets of this namespace.",
    )
    shrink_limit: int = Field(
        default=30,
        ge=0,
        le=100,
        description="Percent of the list that may go at once. More waits for annotation pdshub.dev/approve-users.",
    )
