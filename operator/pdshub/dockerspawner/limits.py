"""Sizes as JupyterHub and Docker write them, as quantities of Kubernetes. Pure.

Source: JupyterHub, traitlets.ByteSpecification (K, M, G, T are powers of 1024); Docker Engine API, HostConfig.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_BYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?\s*", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_LARGEST = 1 << 60


def memory(value: Any) -> str:
    """Bytes as a quantity; empty for what is no size."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    parts = _BYTES.fullmatch(str(value)[:40])
    if not parts:
        return ""
    amount = int(float(parts[1]) * 1024 ** _POWERS[parts[2].lower()])
    if not 0 < amount < _LARGEST:
        return ""
    for suffix, power in (("Ti", 4), ("Gi", 3), ("Mi", 2), ("Ki", 1)):
        if amount % 1024**power == 0:
            return f"{amount // 1024**power}{suffix}"
    return str(amount)


def cores(value: Any) -> str:
    """Cores as a quantity; empty for what is no number of them."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    if not 0 < number < 10_000:
        return ""
    return str(int(number)) if number == int(number) else f"{round(number * 1000)}m"


def of_docker(config: Mapping[Any, Any]) -> dict[str, str]:
    """Limits among the keys of Docker's host configuration: field of ``spec.server.resources`` -> limit."""
    found: dict[str, str] = {}
    if size := memory(config.get("mem_limit", config.get("Memory"))):
        found["memory"] = size
    quota, period = config.get("cpu_quota"), config.get("cpu_period", 100_000)
    nano = config.get("nano_cpus", config.get("NanoCpus"))
    if isinstance(nano, int) and not isinstance(nano, bool):
        found["cpu"] = cores(nano / 1e9)
    elif isinstance(quota, int | float) and isinstance(period, int | float) and period:
        found["cpu"] = cores(quota / period)
    storage = config.get("storage_opt")
    if isinstance(storage, Mapping) and (size := memory(storage.get("size"))):
        found["ephemeralStorage"] = size
    return {field: limit for field, limit in found.items() if limit}


OF_DOCKER = frozenset({"mem_limit", "Memory", "cpu_quota", "cpu_period", "nano_cpus", "NanoCpus", "storage_opt"})
"""Keys of which ``of_docker`` makes something."""
OF_BINDS = frozenset({"binds", "mounts"})
