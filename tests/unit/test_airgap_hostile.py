"""charts/jupyterhub-airgap with a document hidden in each value: none of them becomes an object.

Strings and keys of maps, wherever the chart's schema lets one be. What the chart makes is also judged as the operator
judges it, and is well.
"""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pdshub.reconcile.hub.manifest.documents import ManifestError, documents
from pdshub.reconcile.hub.manifest.kinds import ONCE_APPLIED
from pdshub.reconcile.hub.manifest.rules import judge, judge_rendered
from pdshub.render.names import Names
from tests.unit.test_airgap_chart import CHART, LEAST, helm, merged

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
EVIL = "x\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: evil, namespace: pdshub-system}\n"
NAMES = Names("ns", "demo")
Path = tuple[str | int, ...]
ON: dict[str, Any] = {
    "ingress": {"enabled": True, "hosts": ["a.example.org"]},
    "singleuser": {"extraFiles": {"f": {"mountPath": "/f", "stringData": "x"}}},
    "hub": {"services": {"s": {}}, "existingSecret": "e"},
    "imagePullSecrets": [{"name": "a"}],
}
"""So that every part of the chart is rendered."""


def places(schema: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Where a string, or an object of strings, may be by a schema, and what is put there."""
    if "$ref" in schema:
        yield from places(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], path)
        return
    kinds = schema.get("type") or []
    kinds = [kinds] if isinstance(kinds, str) else kinds
    for key, below in (schema.get("properties") or {}).items():
        yield from places(below, (*path, key))
    if "string" in kinds or ("enum" not in schema and not kinds):
        yield path, f"/{EVIL}" if schema.get("pattern") == "^/" else EVIL
    if "array" in kinds:
        for item in (EVIL, {EVIL: EVIL}, {"name": EVIL}):
            yield path, [item]
    if "object" in kinds and "properties" not in schema:
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping) and more.get("properties"):
            for key in more["properties"]:
                yield path, {"f": {"mountPath": "/f", key: EVIL}}
        for name in ("f", f"F{EVIL}"):
            for value in (EVIL, {"name": EVIL}, {"apiToken": EVIL}, {"mountPath": "/f", "stringData": EVIL}):
                yield path, {name: value}


PLACES = list(places(SCHEMA))


def put(path: Path, value: Any) -> dict[str, Any]:
    values = merged(copy.deepcopy(LEAST), ON)
    inside: Any = values
    for key in path[:-1]:
        inside = inside.setdefault(key, {})
    inside[path[-1]] = value
    return values


def rendered(values: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    command = [helm(), "template", "demo", str(CHART), "--namespace", "ns", "--kube-version", "1.34.0", "--values", "-"]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)


def hidden(path: Path, value: Any) -> str:
    """What is wrong with the chart where a value holds a document; empty when it is refused or stays a value."""
    values = put(path, value)
    done = rendered(values)
    if done.returncode:
        return ""
    try:
        made = [each.title for each in documents(done.stdout)]
    except ManifestError as error:
        return f"{path}: {error}"
    # the chart's policies are off in hubs: here they are on, so that values in them are tried as well
    found = judge(done.stdout, (), NAMES, values, ONCE_APPLIED)
    return f"{path}: {made} {found}" if "ConfigMap evil" in made or found else ""


def troubles(chosen: list[tuple[Path, Any]]) -> list[str]:
    with ThreadPoolExecutor(2) as pool:
        return [found for found in pool.map(lambda place: hidden(*place), chosen) if found]


FEW = [("proxy", "service", "loadBalancerIP"), ("hub", "image", "name"), ("hub", "image", "tag"), ("hub", "baseUrl")]


def test_places_are_those_of_the_schema() -> None:
    found = {path for path, _ in PLACES}
    assert set(FEW) <= found and ("singleuser", "cloudMetadata", "ip") in found and len(found) > 60


def test_a_document_in_a_value_of_the_charts_own_text_stays_a_value() -> None:
    """Where charts are known to print without quotes; all places are tried with --long."""
    assert troubles([(path, value) for path, value in PLACES if path in FEW]) == []
    assert troubles([(("singleuser", "cloudMetadata", "ip"), EVIL), (("ingress", "pathType"), EVIL)]) == []


@pytest.mark.long
def test_no_value_of_the_schema_becomes_an_object() -> None:
    assert troubles(PLACES) == []


def test_a_chart_that_does_not_quote_is_seen_through() -> None:
    """The attack as it was on the cluster, with what zero-to-jupyterhub prints for this value."""
    text = f"# Source: jupyterhub/templates/proxy/service.yaml\nkind: Service\nspec:\n  loadBalancerIP: {EVIL}"
    found = judge_rendered(text, NAMES, {})
    assert found is not None
    (last,) = [each for each in documents(text) if each.name == "evil"]
    assert last.metadata["namespace"] == "pdshub-system"
    for namespace in ("pdshub-system", "ns"):
        alone = last.text.replace("pdshub-system", namespace)
        judged = judge_rendered(alone, NAMES, {})
        assert (judged is None) is (namespace == "ns"), "what a tenant may do anyway is theirs to do"
