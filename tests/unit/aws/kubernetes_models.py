"""Objects of Kubernetes against its own description of them, as its Python client has it.

No field that is none, no value of another type, none missing that must be there: what kubeconform does, offline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kubernetes import client
from pydantic import ValidationError

Json = dict[str, Any]


def model(kind: str) -> Any:
    """The client's class for a kind; None for one that is not Kubernetes' own."""
    return getattr(client, f"V1{kind}", None)


def problems(body: Json) -> list[str]:
    """What is wrong with an object."""
    kind = body["kind"]
    found = list(_unknown(f"V1{kind}", body, kind))
    try:
        model(kind).model_validate(body)
    except ValidationError as error:
        found += [f"{kind}.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    return found


def _unknown(wanted: str, value: Any, path: str) -> Iterator[str]:
    """Fields that a type does not have, in it and below it."""
    if inner := re.fullmatch(r"List\[(.*)\]", wanted):
        for number, each in enumerate(value if isinstance(value, list) else []):
            yield from _unknown(inner[1], each, f"{path}[{number}]")
    elif inner := re.fullmatch(r"Dict\[str, (.*)\]", wanted):
        for key, each in value.items() if isinstance(value, dict) else ():
            yield from _unknown(inner[1], each, f"{path}.{key}")
    elif wanted.startswith("V1") and isinstance(value, dict):
        found = getattr(client, wanted)
        keys = {written: attribute for attribute, written in found.attribute_map.items()}
        for key, each in value.items():
            if key in keys:
                yield from _unknown(found.openapi_types[keys[key]], each, f"{path}.{key}")
            else:
                yield f"{path}.{key} is no field"
