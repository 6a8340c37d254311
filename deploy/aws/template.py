"""Reading a CloudFormation template: resources by type, what references what, the constants in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What is wrong: the rule's code, the resource, and what to do."""

    code: str
    resource: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.resource}: {self.text}"


@dataclass(frozen=True)
class Template:
    """A template as JSON has it."""

    body: Json

    @property
    def resources(self) -> Json:
        """All resources by logical name."""
        found = self.body.get("Resources")
        return found if isinstance(found, Mapping) else {}

    def of(self, kind: str) -> Iterator[tuple[str, Json]]:
        """Logical name and properties of the resources of a type."""
        for name, resource in self.resources.items():
            if isinstance(resource, Mapping) and resource.get("Type") == kind:
                yield name, resource.get("Properties") or {}

    def first(self, kind: str, **wanted: Any) -> tuple[str, Json] | None:
        """The first resource of a type whose properties have these values."""
        for name, properties in self.of(kind):
            if all(properties.get(key) == value for key, value in wanted.items()):
                return name, properties
        return None

    def needs(self, name: str) -> set[str]:
        """The resources that are made before this one because it says so (DependsOn)."""
        found = self.resources.get(name, {}).get("DependsOn") or []
        return {found} if isinstance(found, str) else set(found)

    def constants(self, value: Any) -> list[str]:
        """What a value may be: itself, or a parameter's default and allowed values."""
        if isinstance(value, str | int):
            return [str(value)]
        name = value.get("Ref") if isinstance(value, Mapping) else None
        parameter = (self.body.get("Parameters") or {}).get(name)
        if not isinstance(parameter, Mapping):
            return []
        default = [parameter["Default"]] if "Default" in parameter else []
        return [str(one) for one in dict.fromkeys([*default, *(parameter.get("AllowedValues") or [])])]


def reference(value: Any) -> str:
    """The logical name that ``Ref`` or ``Fn::GetAtt`` names; empty for anything else."""
    if isinstance(value, Mapping):
        if isinstance(value.get("Ref"), str):
            return str(value["Ref"])
        got = value.get("Fn::GetAtt")
        if isinstance(got, list) and got:
            return str(got[0])
        if isinstance(got, str):
            return got.partition(".")[0]
    return ""


def listed(value: Any) -> list[Any]:
    """A list, also of what stands for a list of one."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def texts(value: Any) -> Iterator[str]:
    """Every text inside of a value, intrinsic functions too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for held in value.values():
            yield from texts(held)
    elif isinstance(value, list):
        for held in value:
            yield from texts(held)
