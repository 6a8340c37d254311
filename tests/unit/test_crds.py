"""CRDs are what the models say, where they are kept and where the chart ships them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub.api import crd

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("folder", ["crds", "charts/pdshub/files/crds"])
@pytest.mark.parametrize("name", crd.documents())
def test_no_drift(folder: str, name: str) -> None:
    kept = yaml.safe_load((ROOT / folder / name).read_text())
    assert kept == crd.documents()[name], "run: PYTHONPATH=operator python -m pdshub.api.crd crds/"


def nodes(tree: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = [(path, tree)] if isinstance(tree, dict) else []
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else []:
        found += nodes(value, f"{path}/{key}")
    return found


@pytest.mark.parametrize("name", crd.documents())
def test_schemas_are_structural(name: str) -> None:
    schema = crd.documents()[name]["spec"]["versions"][0]["schema"]
    for path, node in nodes(schema):
        assert not {"$ref", "anyOf", "oneOf", "allOf"} & node.keys(), path
        # of a map: a schema of its values, and no properties beside it
        assert "additionalProperties" not in node or (
            isinstance(node["additionalProperties"], dict) and "properties" not in node
        ), path
        if not path.endswith("/properties"):
            assert "null" not in json.dumps(node.get("default", "")), path


@pytest.mark.parametrize("name", crd.documents())
def test_every_field_of_a_spec_is_described(name: str) -> None:
    spec = crd.documents()[name]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    bare = [
        f"{path}/{field}"
        for path, node in nodes(spec)
        if path.endswith("/properties")
        for field, value in node.items()
        if isinstance(value, dict) and not value.get("description")
    ]
    assert bare == []
