"""The overlays are the same hub on another ground: what differs is a table, and no code asks which ground it is."""

from __future__ import annotations

import ast
import copy
import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from aws import checks_overlay
from aws.addresses import SERVICES, VPC
from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Installation, refusal
from pdshub.render import network, routes
from pdshub.render.chart import choose
from pdshub.render.names import Names
from pdshub.render.values import values
from tests.unit.aws import kubernetes_models
from tests.unit.aws.planted import ROOT, template
from tests.unit.render.test_values import problems

Json = dict[str, Any]
MANIFESTS = ROOT / "manifests"
OVERLAYS = ("premises", "eks")
CHART_SCHEMA = ROOT / "charts" / "pdshub" / "values.schema.json"
NAMES = Names("hub", "sbn")


def documents(path: Path) -> list[Json]:
    """The objects of a file."""
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def merged(below: Any, over: Any) -> Any:
    """A JSON merge patch (RFC 7386), as kustomize takes it for a resource whose schema it does not know."""
    if not isinstance(over, dict):
        return over
    found = dict(below) if isinstance(below, dict) else {}
    for key, value in over.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


@functools.cache
def overlay(name: str) -> list[Json]:
    """All objects of an overlay, as ``kubectl kustomize`` prints them."""
    (base,) = documents(MANIFESTS / "base/hub.yaml")
    folder = MANIFESTS / "overlays" / name
    wanted = yaml.safe_load((folder / "kustomization.yaml").read_text())
    (patch,) = documents(folder / "hub.yaml")
    more = [one for file in wanted["resources"] if file.endswith(".yaml") for one in documents(folder / file)]
    hub = merged(base, patch)
    hub["metadata"]["namespace"] = "hub"
    return [hub, *more]


def hub(name: str) -> PDSHubSpec:
    """The hub of an overlay."""
    return PDSHubSpec.model_validate(overlay(name)[0]["spec"])


def installed(name: str) -> Installation:
    """What the operator reads where the chart was installed with an overlay's values."""
    given = yaml.safe_load((MANIFESTS / "overlays" / name / "values.yaml").read_text())
    found = Installation.model_validate({key: given[key] for key in ("archive", "network", "defaults") if key in given})
    return found.model_copy(update={"network": found.network.found_families("10.0.0.9")})


def rendered(name: str) -> Json:
    """Values of the hub's chart, network policies, and what is asked of a controller, by name."""
    spec, installation = hub(name), installed(name)
    chart = choose(spec.chart, installation.defaults.chart, "", "", "")
    where = installation.network.api_server
    api = network.ApiServer((("192.0.2.1/32", 6443),)) if isinstance(where, str) else network.ApiServer.of(where)
    policies = network.policies(spec, NAMES, "uid", installation, api)
    asked = routes.objects(spec, NAMES, "uid")
    return {
        "values": values(spec, installation.defaults, chart, NAMES, NAMES.own_view, "sbn"),
        "policies": {one["metadata"]["name"]: one["spec"] for one in policies},
        "asked": {one["kind"]: one["metadata"].get("annotations") for one in asked},
    }


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Paths at which two documents differ, as deep as both have them."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from differences(one.get(key), other.get(key), f"{path}.{key}".lstrip("."))
    elif one != other:
        yield path


API = f"{SERVICES.rpartition('.')[0]}.1/32"


def beside(policy: Json, address: str) -> list[Json]:
    """The rules of a policy that do not let pods to an address. There is one that does."""
    rules = [rule for rule in policy["egress"] if {"ipBlock": {"cidr": address}} not in rule.get("to", [])]
    assert len(rules) < len(policy["egress"])
    return rules


def test_both_overlays_are_one_hub_and_this_is_the_difference() -> None:
    there, here = rendered("eks"), rendered("premises")
    assert set(differences(here["values"], there["values"])) == {
        "hub.db.pvc.storageClassName",
        "proxy.chp.extraEnv.PROXY_HSTS",
        "proxy.chp.extraEnv.PROXY_TRUSTED",
        "proxy.service.nodePorts",
        "proxy.service.type",
        "scheduling.corePods",
        "scheduling.userPods",
        "singleuser.startTimeout",
        "singleuser.storage.dynamic.storageClass",
    }
    asks = {"sbn-network-autohttps.egress", "sbn-network-hub.egress"}
    assert set(differences(here["policies"], there["policies"])) == asks, "the API server alone"
    for name in (each.partition(".")[0] for each in asks):
        assert beside(here["policies"][name], "192.0.2.1/32") == beside(there["policies"][name], API)
    assert here["asked"] == {} and set(there["asked"]) == {"Ingress"}
    annotations = there["asked"]["Ingress"]
    assert annotations["alb.ingress.kubernetes.io/load-balancer-attributes"] == "idle_timeout.timeout_seconds=3600"
    assert set(differences(overlay("premises")[0], overlay("eks")[0])) == {
        "spec.archive.inline.sources",
        "spec.server.home.storageClassName",
        "spec.server.startTimeoutSeconds",
        "spec.service.nodePort",
        "spec.service.type",
        "spec.tls.alb",
        "spec.tls.offload",
        "spec.values",
    }


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_valid(name: str) -> None:
    given = yaml.safe_load((MANIFESTS / "overlays" / name / "values.yaml").read_text())
    jsonschema.validate({"image": "r/o:1", **given}, json.loads(CHART_SCHEMA.read_text()))
    assert problems(rendered(name)["values"]) == []
    spec, installation = hub(name), installed(name)
    assert spec.archive and spec.archive.inline
    assert [refusal(source, installation.archive) for source in spec.archive.inline.sources] == ["", ""]


def test_the_overlay_fits_the_ground() -> None:
    parameters = template()["Parameters"]
    assert parameters["VpcCidr"]["Default"] == VPC
    assert installed("eks").network.api_server == [API]
    labels = [p["Properties"]["Labels"] for p in template()["Resources"].values() if p["Type"] == "AWS::EKS::Nodegroup"]
    pools = {label["pdshub.dev/pool"]: label["hub.jupyter.org/node-purpose"] for label in labels}
    assert pools == {"core": "core", "users": "user"}
    given = yaml.safe_load((MANIFESTS / "overlays/eks/values.yaml").read_text())
    assert given["operator"]["nodeSelector"] == given["surveyor"]["nodeSelector"] == {"pdshub.dev/pool": "core"}
    classes = {one["metadata"]["name"] for one in overlay("eks") if one["kind"] == "StorageClass"}
    assert {"homes", given["operator"]["audit"]["storageClassName"]} == classes


def change(kind: str, path: str, value: Any, number: int = 0) -> Callable[[list[Json]], None]:
    """Sets a value of an object; None takes it away."""

    def plant(found: list[Json]) -> None:
        where: Any = [one for one in found if one["kind"] == kind][number]
        *way, last = path.split("/")
        for step in way:
            where = where[step]
        if value is None:
            del where[last]
        else:
            where[last] = value

    return plant


def gone(kind: str) -> Callable[[list[Json]], None]:
    """Takes every object of a kind away."""

    def plant(found: list[Json]) -> None:
        found[:] = [one for one in found if one["kind"] != kind]

    return plant


FAULTS: list[tuple[str, str, Callable[[list[Json]], None]]] = [
    ("idle kernels cut after a minute", "A06", change("PDSHub", "spec/tls/alb/idleTimeoutSeconds", 60)),
    ("every client is the load balancer", "A06", change("PDSHub", "spec/tls/alb/trusted", None)),
    ("homes in any zone", "A18", change("StorageClass", "allowedTopologies", None)),
    ("a zone before there is a node", "A18", change("StorageClass", "volumeBindingMode", "Immediate", 1)),
    ("volumes in the clear", "A18", change("StorageClass", "parameters/encrypted", "false")),
    ("homes gone with their claim", "A18", change("StorageClass", "reclaimPolicy", "Delete")),
    ("homes on EFS", "A18", change("StorageClass", "provisioner", "efs.csi.aws.com")),
    ("homes on a class that is none", "A18", change("PDSHub", "spec/server/home/storageClassName", "gp2")),
    ("no policy for the cluster's parts", "A19", gone("NetworkPolicy")),
    ("a policy elsewhere", "A19", change("NetworkPolicy", "metadata/namespace", "default")),
    ("servers on nodes of hubs", "A20", change("PDSHub", "spec/values/scheduling/userPods", None)),
    ("starts that end too soon", "A20", change("PDSHub", "spec/server/startTimeoutSeconds", 300)),
    ("upgrades that end notebooks", "A20", gone("PodDisruptionBudget")),
]


@pytest.mark.parametrize(("code", "fault"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_planted_fault_is_found(code: str, fault: Callable[[list[Json]], None]) -> None:
    made = copy.deepcopy(overlay("eks"))
    fault(made)
    assert code in {finding.code for finding in checks_overlay.check(made)}


def test_the_overlay_has_none() -> None:
    assert list(map(str, checks_overlay.check(overlay("eks")))) == []


@pytest.mark.parametrize(
    ("seconds", "fine"),
    [(3600, True), ("4000", True), (600, True), (599, False), (60, False), ("", False), (-1, False)],
)
def test_idle_seconds_that_kernels_survive(seconds: Any, fine: bool) -> None:
    assert checks_overlay.lives(seconds) is fine


@pytest.mark.parametrize("name", OVERLAYS)
def test_objects_are_what_kubernetes_says_they_are(name: str) -> None:
    found = overlay(name)
    own = [one for one in found if kubernetes_models.model(one["kind"])]
    assert {one["kind"] for one in found} - {one["kind"] for one in own} == {"PDSHub"}, "this one has a schema of ours"
    assert [problem for one in own for problem in kubernetes_models.problems(one)] == []


@pytest.mark.parametrize(
    ("kind", "path", "value", "said"),
    [
        ("StorageClass", "volumeBindingMod", "Immediate", "volumeBindingMod is no field"),
        ("StorageClass", "provisioner", None, "provisioner"),
        ("StorageClass", "allowVolumeExpansion", "yes", "valid boolean"),
        ("StorageClass", "allowedTopologies", {"key": "x"}, "valid list"),
        ("NetworkPolicy", "spec/egres", [{}], "egres is no field"),
        ("NetworkPolicy", "spec/podSelector/matchLabel", {}, "matchLabel is no field"),
        ("PodDisruptionBudget", "spec/selector/matchLabels", ["a"], "valid dictionary"),
        ("PodDisruptionBudget", "spec/minAvailabel", 1, "is no field"),
    ],
)
def test_fields_that_are_none_are_found(kind: str, path: str, value: Any, said: str) -> None:
    made = copy.deepcopy(overlay("eks"))
    change(kind, path, value)(made)
    assert any(said in problem for one in made if one["kind"] == kind for problem in kubernetes_models.problems(one))


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_hub_is_what_the_api_server_takes(name: str) -> None:
    """Against the schema in crds/, with fields that it does not know refused, as kubectl refuses them."""
    (crd,) = documents(ROOT / "crds" / "pdshub.dev_pdshubs.yaml")
    schema = closed(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"])
    spec = overlay(name)[0]["spec"]
    jsonschema.validate(spec, schema)
    with pytest.raises(jsonschema.ValidationError, match="was unexpected"):
        jsonschema.validate({**spec, "server": {**spec["server"], "hoem": {}}}, schema)


def closed(schema: Any) -> Any:
    """A schema whose objects have no other fields than theirs."""
    if not isinstance(schema, dict):
        return [closed(one) for one in schema] if isinstance(schema, list) else schema
    found = {key: closed(value) for key, value in schema.items()}
    open_ = found.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in found
    return found if open_ or not isinstance(found.get("properties"), dict) else {**found, "additionalProperties": False}


KUBECTL = os.environ.get("KUBECTL") or shutil.which("kubectl") or ""


@pytest.mark.skipif(not KUBECTL, reason="needs kubectl (./hack/up)")
@pytest.mark.parametrize("name", OVERLAYS)
def test_kustomize_makes_the_same_of_it(name: str) -> None:
    line = [KUBECTL, "kustomize", str(MANIFESTS / "overlays" / name)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    def by_name(found: list[Json]) -> dict[tuple[str, str], Json]:
        return {(one["kind"], one["metadata"]["name"]): one for one in found}

    assert by_name([one for one in yaml.safe_load_all(done.stdout) if one]) == by_name(overlay(name))


def asks(source: str) -> list[str]:
    """Decisions in a source that name a cloud."""
    found = []
    for node in ast.walk(ast.parse(source)):
        test = node.test if isinstance(node, ast.If | ast.IfExp | ast.While) else node
        if isinstance(test, ast.Compare) or isinstance(node, ast.If | ast.IfExp | ast.While | ast.match_case):
            text = ast.unparse(test) if not isinstance(node, ast.match_case) else ast.unparse(node.pattern)
            if re.search(r"\b(eks|aws|gke|azure)\b", text, re.IGNORECASE):
                found.append(text)
    return found


ABOUT_AWS = ("aws_plan/", "cli/plan_")
"""What speaks of AWS by its purpose, and of no cluster that it runs on."""


def test_no_code_asks_on_which_ground_it_is() -> None:
    source = ROOT / "operator/pdshub"
    files = [file for file in source.rglob("*.py") if "_proto" not in file.parts]
    named = {str(file.relative_to(source)): asks(file.read_text()) for file in files}
    assert {file: found for file, found in named.items() if found and not file.startswith(ABOUT_AWS)} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("if where == 'eks': pass", True),
        ("x = 1 if eks else 2", True),
        ("y = cloud == 'aws'", True),
        ("KNOWN = ('ebs.csi.aws.com',)", False),
        ("if asked == 'weeks': pass", False),
    ],
)
def test_what_counts_as_asking(source: str, found: bool) -> None:
    assert bool(asks(source)) is found
