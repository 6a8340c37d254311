"""Whether an object is still as the chart's manifest says: pure.

Only what the manifest sets is compared: Kubernetes fills in the rest, and others may add to it (annotations of a
restart, of a notice). Where the API server writes a value in another way, or leaves an empty one out, nothing differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdshub.api.base import parse_quantity

_KEYS = ("name", "mountPath", "containerPort", "port", "ip", "topologyKey")
"""By which items of a list are found again. Source: Kubernetes API, x-kubernetes-list-map-keys."""
_OMITTED_FALSE = frozenset(
    {
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "stdin",
        "stdinOnce",
        "tty",
        "readOnly",
        "paused",
        "publishNotReadyAddresses",
    }
)
"""Fields that the API server leaves out where they are false; with others absence means something else."""
_OMITTED_ZERO = frozenset({"hostPort", "nodePort", "minReadySeconds", "initialDelaySeconds", "healthCheckNodePort"})
_QUANTITIES = frozenset({"limits", "requests", "sizeLimit", "divisor"})
"""Fields below which text is a quantity."""
_FILLED_IN: Mapping[str, Any] = {"protocol": "TCP", "apiGroup": "", "pathType": "ImplementationSpecific"}
"""What the API server adds where nothing else may be added; it always fills in ``policyTypes``."""
_LOOKED_AT = ("spec", "data", "binaryData", "rules", "subjects", "roleRef", "automountServiceAccountToken", "secrets")


def differences(want: Mapping[str, Any], have: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of an object that are not as its manifest says, as paths; empty when it is as it should be."""
    found: list[str] = []
    # one more rule lets in whom the chart keeps out
    policy = want.get("kind") == "NetworkPolicy"
    for field in _LOOKED_AT:
        if field in want:
            whole = policy or field in ("rules", "subjects", "roleRef")
            _compare(want[field], have.get(field), (field,), found, whole)
    for field in ("labels", "annotations"):
        wanted = (want.get("metadata") or {}).get(field) or {}
        _compare(wanted, (have.get("metadata") or {}).get(field), ("metadata", field), found, False)
    return tuple(found)


def _compare(want: Any, have: Any, path: tuple[str, ...], found: list[str], whole: bool) -> None:
    """Add the paths below ``path`` at which ``have`` is not what ``want`` says; ``whole``: nothing may be added."""
    if want is None:
        return
    if have is None:
        if not _omitted(want, path[-1]):
            found.append(_words(path))
    elif isinstance(want, Mapping) and isinstance(have, Mapping):
        for key, value in want.items():
            _compare(value, have.get(key), (*path, str(key)), found, whole)
        if whole:
            found.extend(_words((*path, str(key))) for key in have if _added(key, want, have))
    elif isinstance(want, list) and isinstance(have, list):
        _compare_lists(want, have, path, found, whole)
    elif not _same(want, have, path):
        found.append(_words(path))


def _added(key: str, want: Mapping[str, Any], have: Mapping[str, Any]) -> bool:
    """Whether somebody added a field that the manifest leaves out, and the API server does not fill in."""
    return want.get(key) is None and key != "policyTypes" and have[key] not in ({}, [], None, _FILLED_IN.get(key))


def _compare_lists(want: list[Any], have: list[Any], path: tuple[str, ...], found: list[str], whole: bool) -> None:
    key = None if whole else _key_of(want, have)
    if key is None:
        if len(want) != len(have):
            found.append(_words(path))
            return
        for index, (wanted, there) in enumerate(zip(want, have, strict=True)):
            _compare(wanted, there, (*path, f"[{index}]"), found, whole)
        return
    there = {str(item[key]): item for item in have}
    for item in want:
        _compare(item, there.get(str(item[key])), (*path, f"[{item[key]}]"), found, whole)


def _key_of(want: list[Any], have: list[Any]) -> str | None:
    """The field by which the items of both lists are found again; None where they are compared in their order."""
    if not all(isinstance(item, Mapping) for item in (*want, *have)):
        return None
    for key in _KEYS:
        if want and all(key in item for item in (*want, *have)):
            names = [str(item[key]) for item in want]
            return key if len(set(names)) == len(names) else None
    return None


def _omitted(want: Any, field: str) -> bool:
    """Whether the API server leaves out a value like this."""
    if isinstance(want, Mapping | list):
        return all(_omitted(item, "") for item in (want.values() if isinstance(want, Mapping) else want))
    if want is None or want == "":
        return True
    return (want is False and field in _OMITTED_FALSE) or (want == 0 and want is not False and field in _OMITTED_ZERO)


def _same(want: Any, have: Any, path: tuple[str, ...]) -> bool:
    if want == have and isinstance(want, bool) == isinstance(have, bool):
        return True
    if isinstance(want, bool) or isinstance(have, bool) or isinstance(want, Mapping | list):
        return False
    if isinstance(have, Mapping | list):
        return False
    if str(want) == str(have):
        return True
    if not _QUANTITIES & set(path[-2:]):
        return False
    try:
        return parse_quantity(want) == parse_quantity(have)
    except ValueError:
        return False


def _words(path: tuple[str, ...]) -> str:
    return ".".join(path).replace(".[", "[")
