"""End-to-end files run side by side: none has the namespace of another, which ends with its own tests."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

FILES = sorted((Path(__file__).resolve().parents[1] / "e2e").glob("test_*.py"))
_SPACE = re.compile(r"^(?:\w+, )*?SPACE(?:, \w+)* = (.+)$", re.MULTILINE)


def namespaces(source: str) -> list[str]:
    """The namespaces that a file calls its own: ``SPACE``, also beside other names."""
    found = []
    for match in _SPACE.finditer(source):
        names = match[0].partition(" = ")[0].split(", ")
        values = re.findall(r'"([^"]*)"|(\d+)', match[1])
        found.append(values[names.index("SPACE")][0])
    return found


def test_a_namespace_is_found_beside_other_names() -> None:
    assert namespaces('SPACE, HUB, PORT = "e2e-a", "hub", 18085\n') == ["e2e-a"]
    assert namespaces('VIEW, SPACE, HUB = "e2e-v", "e2e-b", "hub"\nSPACE = "e2e-c"\n') == ["e2e-b", "e2e-c"]


def test_no_two_files_have_one_namespace() -> None:
    found = Counter(space for file in FILES for space in namespaces(file.read_text()))
    assert len(found) > 5 and [space for space, count in found.items() if count > 1] == []
