"""Helm's rules for laying values over values.

Source: Helm, "Values Files" (later files win key by key, lists replace, null deletes a default).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` laid over ``below``: maps merge, everything else replaces; neither argument is changed.

    A null of ``above`` takes away the key of ``below`` and stays in the result, so that Helm goes on to take away
    the chart's own default of that key.
    """
    merged = copy.deepcopy(dict(below))
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            merged[key] = merge(old, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def same(a: Any, b: Any) -> bool:
    """Whether two values documents mean the same: 1 and 1.0 do (Helm stores numbers as floats), True and 1 do not."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return bool(a == b)
