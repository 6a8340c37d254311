"""Objects of Kubernetes against its own description of them, as its Python client has it.

No field that is none, no value of another type, none missing that must be there: what kubeconform does, offline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kubernetes import client

Json = dict[str, Any]
PLAIN: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def model(kind: str) -> Any:
    """The client's class for a kind; None for one that is not Kubernetes' own."""
    return getattr(client, f"V1{kind}", None)


def problems(body: Json) -> list[str]:
    """What is wrong with an object."""
    return list(_of_model(f"V1{body['kind']}", body, body["kind"]))


def _of_model(name: str, value: Any, path: str) -> Iterator[str]:
    found = getattr(client, name)
    if not isinstance(value, dict):
        yield f"{path} is no object"
        return
    keys = {written: attribute for attribute, written in found.attribute_map.items()}
    for key, held in value.items():
        if key not in keys:
            yield f"{path}.{key} is no field"
        elif held is not None:
            yield from _of_type(found.openapi_types[keys[key]], held, f"{path}.{key}")
    try:
        found(**{attribute: value.get(written) for attribute, written in found.attribute_map.items()})
    except ValueError as error:
        yield f"{path}: {error}"


def _of_type(wanted: str, value: Any, path: str) -> Iterator[str]:
    if inner := re.fullmatch(r"list\[(.*)\]", wanted):
        if not isinstance(value, list):
            yield f"{path} is no list"
            return
        for number, each in enumerate(value):
            yield from _of_type(inner[1], each, f"{path}[{number}]")
    elif inner := re.fullmatch(r"dict\(str, (.*)\)", wanted):
        if not isinstance(value, dict):
            yield f"{path} is no object"
            return
        for key, each in value.items():
            yield from _of_type(inner[1], each, f"{path}.{key}")
    elif wanted in PLAIN:
        if not isinstance(value, PLAIN[wanted]) or (wanted != "bool" and isinstance(value, bool)):
            yield f"{path} is no {wanted}"
    elif wanted not in ("object", "datetime"):
        yield from _of_model(wanted, value, path)
