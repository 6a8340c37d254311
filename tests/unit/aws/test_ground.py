"""hack/generate writes the template anew when anything changed that it comes from."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from devcluster import ground

from aws import checks, offers
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
def test_the_table_of_instance_types_has_a_source_and_every_region(region: str) -> None:
    table = json.loads(checks.TYPES.read_text())
    assert table["of"].replace(" ", "==") in (SOURCE / "requirements.in").read_text() and table["source"]
    kinds = table["regions"][region]
    assert len(kinds) == len(set(kinds)) >= 10


CFN_LINT = os.environ.get("PDSHUB_CFN_LINT", "")


@pytest.mark.skipif(not CFN_LINT, reason="needs cfn-lint (PDSHUB_CFN_LINT; ./hack/test brings it)")
def test_the_table_of_instance_types_is_that_of_cfn_lint() -> None:
    python = Path(CFN_LINT).with_name("python")
    environ = {"PYTHONPATH": str(SOURCE.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([python, "-m", "aws.offers"], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == checks.TYPES.read_text()


def test_a_table_has_what_nodes_may_be() -> None:
    offered = {region: {"enum": ["m6i.large", "m6g.large", "t2.micro", "m6id.large"]} for region in offers.REGIONS}
    made = offers.table(offered, "1")
    assert made["of"] == "cfn-lint 1" and set(map(tuple, made["regions"].values())) == {("m6i.large",)}
    assert json.loads(offers.text(made)) == made


def test_what_writes_the_template_is_pinned() -> None:
    lines = (SOURCE / "requirements.in").read_text().splitlines()
    pins = [line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins) and len(pins) == 4
    locked = (SOURCE / "requirements.txt").read_text()
    assert all(pin in locked for pin in pins)
