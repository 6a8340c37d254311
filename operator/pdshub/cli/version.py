"""``kubectl pdshub --version``: the plugin, the operator, its chart and Kubernetes, and where they do not fit."""

from __future__ import annotations

import argparse
import json
import re
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pdshub import ports
from pdshub.archive.findings import printable
from pdshub.cli.archive import Said
from pdshub.cli.hub_choice import HUBS, is_object_name
from pdshub.cli.kubectl import Kubectl
from pdshub.cli.tried import SYSTEM, Reader

Json = dict[str, Any]
OPERATOR = "pdshub-operator"
SELECTOR = "app.kubernetes.io/name=pdshub,app.kubernetes.io/component=operator"
_CHART = re.compile(r"pdshub-(\d[0-9A-Za-z.+_-]{0,60})")
_INFO = re.compile(r'^pdshub_operator_info\{version="([^"\n]{1,80})"\} 1', re.MULTILINE)
_SOURCE = "0+source"


def client() -> str:
    """The version of this plugin; 0+source where it is not installed."""
    try:
        return version("pdshub")
    except PackageNotFoundError:
        return _SOURCE


def chart_of(deployment: Json | None) -> str:
    """The version of the chart that made the operator; "" where its label does not say."""
    labels = ((deployment or {}).get("metadata") or {}).get("labels") or {}
    found = _CHART.fullmatch(str(labels.get("helm.sh/chart") or ""))
    return found[1].replace("_", "+") if found else ""


def operator_of(metrics: str) -> str:
    """The version that the operator says of itself in its metrics; "" where it says none."""
    found = _INFO.search(metrics)
    return found[1] if found else ""


def differences(known: Json) -> list[str]:
    """What does not fit, in words, with what to do; parts that are not known differ from nothing."""
    plugin, operator, chart = (known[key] for key in ("client", "operator", "chart"))
    said = []
    if operator and chart and operator != chart:
        said.append(
            f"the operator is {operator} and its chart {chart}: an upgrade was done by half, or the image is "
            "another's; run helm upgrade with the values of the image (docs/install.md)"
        )
    if operator and plugin not in (operator, _SOURCE):
        said.append(f"the plugin is {plugin} and the operator {operator}: install the plugin of {operator}")
    if known["installed"] and not known["resources"]:
        said.append(f"the cluster has no {HUBS}: kubectl apply -f crds/, then helm upgrade")
    return said


def look(kubectl: Kubectl, system: str) -> tuple[Json, list[str]]:
    """What there is, with the same keys always; None for what is not known. And what could not be read."""
    read = Reader(kubectl)
    deployment = read.one("the operator", "deployment", OPERATOR, "-n", system)
    pods = read.items("the operator's pod", "pods", "-n", system, "-l", SELECTOR) if deployment else []
    metrics = ""
    for pod in pods:
        name = pod["metadata"]["name"]
        if (pod.get("status") or {}).get("phase") == "Running" and is_object_name(name):
            path = f"/api/v1/namespaces/{system}/pods/{name}:{ports.OPERATOR_HEALTH}/proxy/metrics"
            metrics = read.text("the operator's version", "get", "--raw", path, seconds=15.0) or ""
            break
    known = read.one("the resource definition", "customresourcedefinition", HUBS)
    versions = [str(each.get("name")) for each in ((known or {}).get("spec") or {}).get("versions") or []]
    return {
        "client": client(),
        "operator": operator_of(metrics) or None,
        "chart": chart_of(deployment) or None,
        "image": _image(deployment) or None,
        "resources": versions,
        "kubernetes": _kubernetes(read) or None,
        "installed": deployment is not None,
    }, read.notes


def _image(deployment: Json | None) -> str:
    spec = (((deployment or {}).get("spec") or {}).get("template") or {}).get("spec") or {}
    return next((str(one.get("image") or "") for one in spec.get("containers") or []), "")


def _kubernetes(read: Reader) -> str:
    try:
        found = json.loads(read.text("Kubernetes' version", "version", "-o", "json", seconds=15.0) or "{}")
        return str((found.get("serverVersion") or {}).get("gitVersion") or "")
    except (ValueError, RecursionError, AttributeError):
        return ""


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Answers ``--version``. Code 0 whatever differs: it is no check."""
    known, notes = look(kubectl, args.namespace or SYSTEM)
    said = differences(known)
    absent = f"none in namespace {args.namespace or SYSTEM}: -n says where PDSHub is"
    rows = [
        ("kubectl-pdshub", known["client"]),
        ("operator", known["operator"] or ("not known" if known["installed"] else absent)),
        ("chart", known["chart"] or ("not known" if known["installed"] else absent)),
        ("image", known["image"] or "-"),
        ("resources", ", ".join(known["resources"]) or "none"),
        ("Kubernetes", known["kubernetes"] or "not known"),
    ]
    lines = [f"{name + ':':<16}{value}" for name, value in rows]
    lines += [f"DIFFERS: {line}" for line in said] or ["nothing differs" if known["operator"] else "nothing compared"]
    lines += [f"note: {note}" for note in notes]
    return {**known, "differences": said, "notes": notes}, "\n".join(map(printable, lines)), 0


def arguments(top: Any, common: argparse.ArgumentParser) -> None:
    """The command line of ``version``, which ``--version`` stands for."""
    text = "versions of the plugin, the operator, its chart and Kubernetes; what differs (also: --version)"
    sub: argparse.ArgumentParser = top.add_parser("version", parents=[common], help=text, description=text)
    sub.set_defaults(run=run)
