"""hack/generate writes the template anew when anything changed that it comes from."""

from __future__ import annotations

import ast
import json
import re

import pytest
from devcluster import ground

from aws import checks
from tests.unit.aws.planted import ROOT, TEMPLATE

SOURCE = ROOT / "deploy" / "aws"


def imported(name: str) -> set[str]:
    """Modules of deploy/aws that a module of it imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((SOURCE / f"{name}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "aws":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aws."):
            found.add(str(node.module).removeprefix("aws."))
    return found


def whole(name: str) -> set[str]:
    """A module, and all that it takes."""
    found, waiting = {name}, {name}
    while waiting:
        waiting = imported(waiting.pop()) - found | waiting
        found |= waiting
    return found


def test_everything_that_the_template_comes_from_is_compared() -> None:
    assert whole("app") == set(ground.WRITERS)


def test_checks_run_without_the_cdk() -> None:
    for name in whole("checks") | whole("checks_overlay"):
        assert "aws_cdk" not in (SOURCE / f"{name}.py").read_text(), name


def test_cfn_lint_is_asked_for_every_region_of_the_checks() -> None:
    assert ground.REGIONS == checks.REGIONS and ground.TEMPLATES / ground.NAME == TEMPLATE


@pytest.mark.parametrize("region", checks.REGIONS)
def test_the_table_of_instance_types_has_a_date_and_every_region(region: str) -> None:
    table = json.loads(checks.TYPES.read_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", table["date"]) and table["source"]
    kinds = table["regions"][region]
    assert len(kinds) == len(set(kinds)) >= 10


def test_what_writes_the_template_is_pinned() -> None:
    lines = (SOURCE / "requirements.in").read_text().splitlines()
    pins = [line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins) and len(pins) == 4
    locked = (SOURCE / "requirements.txt").read_text()
    assert all(pin in locked for pin in pins)
