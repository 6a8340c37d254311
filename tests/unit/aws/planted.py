"""Changes to a template, as somebody would make them in the console, or in a merge."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / "deploy" / "aws" / "templates" / "pdshub.template.json"


def template() -> Json:
    """The committed template; ``./hack/generate`` writes it."""
    found: Json = json.loads(TEMPLATE.read_text())
    return found


def planted(fault: Callable[[Json], Any]) -> Json:
    """The template with a fault. What changes nothing is no fault."""
    made = copy.deepcopy(template())
    fault(made)
    assert made != template(), "nothing was planted"
    return made


def put(path: str, value: Any) -> Callable[[Json], None]:
    """Sets what a path of names and numbers leads to, as ``Cluster/Properties/Version``; ~ is a slash."""

    def plant(made: Json) -> None:
        where, last = _to(made, path)
        where[last] = value

    return plant


def cut(path: str) -> Callable[[Json], None]:
    """Takes away what a path leads to."""

    def plant(made: Json) -> None:
        where, last = _to(made, path)
        del where[last]

    return plant


def more(path: str, value: Any) -> Callable[[Json], None]:
    """Adds to the list that a path leads to; what is no list becomes one."""

    def plant(made: Json) -> None:
        where, last = _to(made, path)
        there = where[last]
        where[last] = [*(there if isinstance(there, list) else [there]), value]

    return plant


def resource(name: str, kind: str, **properties: Any) -> Callable[[Json], None]:
    """Adds a resource."""

    def plant(made: Json) -> None:
        made["Resources"][name] = {"Type": kind, "Properties": properties}

    return plant


def parameter(name: str, **fields: Any) -> Callable[[Json], None]:
    """Changes a parameter."""

    def plant(made: Json) -> None:
        made["Parameters"][name].update(fields)

    return plant


def _to(made: Json, path: str) -> tuple[Any, Any]:
    where: Any = made["Resources"]
    *way, last = (step.replace("~", "/") for step in path.split("/"))
    for step in way:
        where = where[int(step)] if isinstance(where, list) else where[step]
    return where, int(last) if isinstance(where, list) else last
