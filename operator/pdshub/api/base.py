"""What every model of the API shares: camelCase names, closed objects, CEL rules, Kubernetes quantities."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Base of every API object: camelCase on the wire, unknown fields refused, values immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        ser_json_inf_nan="strings",
    )

    def wire(self) -> dict[str, Any]:
        """The object as the API server would hold it: aliases, no nulls."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StatusModel(Model):
    """Base of status objects: unknown fields are ignored, so that an older operator can read a newer status."""

    model_config = ConfigDict(extra="ignore")


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """JSON schema extra that carries CEL rules as (expression, message) pairs.

    Source: Kubernetes, "Extend the Kubernetes API with CustomResourceDefinitions", Validation rules.
    """
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


_QUANTITY = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d+|[munkKMGTPE]|[KMGTPE]i)?$")
_SUFFIX: Mapping[str, Decimal] = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    **{f"{letter}i": Decimal(1024**power) for power, letter in enumerate("KMGTPE", start=1)},
}


def parse_quantity(text: str | int | float) -> Decimal:
    """A Kubernetes quantity as a number: bytes for memory, cores for CPU.

    Raises ValueError with the offending text when it is no quantity.
    Source: Kubernetes API, resource.Quantity (suffixes n u m k M G T P E and Ki … Ei, or an exponent).
    """
    match = _QUANTITY.match(str(text).strip())
    if not match:
        raise ValueError(f"{text!r} is not a quantity: write for example 512Mi, 4Gi, 500m or 2")
    number, suffix = Decimal(match[1]), match[2] or ""
    if suffix[:1] in ("e", "E") and suffix[1:] and suffix != "Ei":
        return number * Decimal(10) ** int(suffix[1:])
    return number * _SUFFIX[suffix]


def _checked_quantity(text: str) -> str:
    parse_quantity(text)
    return text


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


_QUANTITY_CEL = "type(self) == int || isQuantity(string(self))"
Quantity = Annotated[
    str,
    BeforeValidator(_as_text),
    AfterValidator(_checked_quantity),
    Field(
        json_schema_extra={
            "type": None,
            "maxLength": 32,
            "x-kubernetes-int-or-string": True,
            **rules((_QUANTITY_CEL, "not a quantity: write for example 512Mi, 4Gi, 500m or 2")),
        }
    ),
]
"""A Kubernetes quantity, kept as written; numbers are accepted and become text."""

DNS_LABEL = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
Name = Annotated[str, Field(pattern=DNS_LABEL, min_length=1, max_length=63)]
"""A DNS label (RFC 1123): lower case letters, digits and dashes."""
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
"""A name as Kubernetes gives to most objects: a DNS subdomain (RFC 1123)."""
DNS_HOST = r"[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?"
DnsName = Annotated[str, Field(min_length=1, max_length=254, pattern=rf"^{DNS_HOST}\.?$")]
"""A name in the name service; it may end in the dot of the root."""


def _parts_ok(path: str, *, absolute: bool) -> str:
    if not path:
        raise ValueError("the path is empty: write '.' for the top" if not absolute else "the path is empty")
    if absolute != path.startswith("/"):
        raise ValueError(f"{path!r} must be {'absolute (start with /)' if absolute else 'relative (no leading /)'}")
    if ".." in path.split("/"):
        raise ValueError(f"{path!r} contains '..': name the directory itself")
    if "\0" in path or "//" in path:
        raise ValueError(f"{path!r} contains an empty part: write each / once")
    return path


_NO_DOTS = (
    r"!self.matches('(^|/)[.][.](/|$)')",
    "must not contain '..': name the directory itself",
)
_NO_EMPTY = ("!self.contains('//')", "must not contain an empty part: write each / once")
AbsolutePath = Annotated[
    str,
    AfterValidator(lambda p: _parts_ok(p, absolute=True)),
    Field(
        max_length=512,
        json_schema_extra=rules(
            ("self.startsWith('/')", "must be an absolute path: start it with /"), _NO_DOTS, _NO_EMPTY
        ),
    ),
]
"""An absolute path without '..' or empty parts."""
RelativePath = Annotated[
    str,
    AfterValidator(lambda p: _parts_ok(p, absolute=False)),
    Field(
        max_length=512,
        json_schema_extra=rules(
            ("self.size() > 0", "must not be empty: write '.' for the top itself"),
            ("!self.startsWith('/')", "must be a relative path: leave out the leading /"),
            _NO_DOTS,
            _NO_EMPTY,
        ),
    ),
]
"""A path below something else: no leading slash, no '..', '.' for the top itself."""


def _checked_cidr(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no range of addresses: {error}; write for example 192.0.2.0/24") from None
    if "/" not in text:
        raise ValueError(f"{text!r} has no length: write {text}/{128 if ':' in text else 32} for this one address")
    return text


Cidr = Annotated[
    str,
    AfterValidator(_checked_cidr),
    Field(
        max_length=43,
        json_schema_extra=rules(
            ("self.matches('^[0-9a-fA-F:.]+/[0-9]{1,3}$')", "not a range of addresses: write for example 192.0.2.0/24"),
        ),
    ),
]
"""A range of IPv4 or IPv6 addresses in CIDR notation (RFC 4632), without host bits."""


class SecretKey(Model):
    """One key of a Secret in the PDSHub's own namespace."""

    name: str = Field(min_length=1, max_length=253, description="Name of the Secret.")
    key: str = Field(min_length=1, max_length=253, description="Key inside the Secret.")
