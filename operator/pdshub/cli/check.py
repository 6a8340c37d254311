"""``kubectl pdshub check``: whether PDSHub can be installed here, a line for each point with what to do."""

from __future__ import annotations

import argparse
import json
from typing import Any

import yaml

from pdshub.archive.findings import printable
from pdshub.cli import archive, check_buckets, check_points
from pdshub.cli.archive import FAILED, Said
from pdshub.cli.check_points import Point
from pdshub.cli.hub_choice import is_object_name
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.cli.tried import LONGEST, SYSTEM, Reader
from pdshub.wellknown import DRIVER

Json = dict[str, Any]
MOST_TOLD, MOST_SECRETS = 2000, 50
NAMES = "go-template={{range $key, $value := .data}}{{$key}} {{end}}"
RIGHTS: tuple[tuple[str, str, str, bool], ...] = (
    ("create", "apiextensions.k8s.io", "customresourcedefinitions", False),
    ("create", "rbac.authorization.k8s.io", "clusterroles", False),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles", False),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", False),
    ("create", "", "namespaces", False),
    ("create", "storage.k8s.io", "csidrivers", False),
    ("create", "scheduling.k8s.io", "priorityclasses", False),
    ("create", "admissionregistration.k8s.io", "validatingadmissionpolicies", False),
    ("create", "apps", "daemonsets", True),
    ("create", "apps", "deployments", True),
    ("create", "apps", "statefulsets", True),
    ("create", "", "configmaps", True),
    ("create", "", "secrets", True),
    ("create", "", "serviceaccounts", True),
    ("create", "", "persistentvolumeclaims", True),
    ("create", "networking.k8s.io", "networkpolicies", True),
    ("create", "rbac.authorization.k8s.io", "roles", True),
)
"""(verb, group, resource, whether in the installation's namespace) of what the chart makes. ``escalate``: its accounts
have rights that whoever installs it may lack."""


def arguments(top: Any, common: argparse.ArgumentParser) -> None:
    """The command line of ``check``."""
    text = "before an install or an upgrade: API versions, your rights, storage, network policies, kernels, NFS, S3"
    sub: argparse.ArgumentParser = top.add_parser("check", parents=[common], help=text, description=text)
    sub.set_defaults(run=run)


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Looks, changes nothing. Code 1 where a point failed."""
    points, notes = look(kubectl, args.namespace or SYSTEM)
    counts = {mark: sum(point.mark == mark for point in points) for mark in ("ok", "warning", "failed")}
    lines = [point.line for point in points]
    lines += [f"note: {note}" for note in notes]
    lines.append(", ".join(f"{number} {mark}" for mark, number in counts.items()))
    answer: Json = {"points": [point.wire() for point in points], **counts, "notes": notes}
    return answer, "\n".join(map(printable, lines)), FAILED if counts["failed"] else 0


def look(kubectl: Kubectl, system: str) -> tuple[list[Point], list[str]]:
    """Every point, and what could not be read. Raises KubectlError where the API server does not answer at all."""
    told = json.loads(kubectl.run("version", "-o", "json", seconds=15.0))
    server = told.get("serverVersion") if isinstance(told, dict) else None
    read = Reader(kubectl)
    text = read.text("API versions", "api-versions")
    served = None if text is None else [line.strip() for line in text.splitlines()[:MOST_TOLD]]
    points = [
        check_points.kubernetes(str((server or {}).get("gitVersion") or "")),
        *check_points.apis(served),
        *check_points.rights([(_said(right, system), _asked(kubectl, right, system)) for right in RIGHTS]),
        check_points.privileged(read.one("the namespace", "namespace", system), system),
        *check_points.storage(read.known("StorageClasses", "storageclasses")),
        check_points.network(read.known("DaemonSets", "daemonsets.apps", "--all-namespaces")),
        *check_points.nodes(read.known("nodes", "nodes")),
    ]
    driver = read.one("the CSI driver", "csidriver", DRIVER)
    if installed := check_points.drivers([driver] if driver else [], system):
        points.append(installed)
    views = read.known("views", archive.VIEWS) if installed else []
    settings = _settings(read, system) if installed else {}
    allowed = [str(one.get("server")) for one in _listed(settings, "allowed")]
    buckets, namespace = _listed(settings, "buckets"), _surveyors(settings)
    points += check_points.nfs(views, allowed)
    points += check_buckets.points(views, buckets, _held(read, buckets, namespace), namespace)
    return points, read.notes


def _said(right: tuple[str, str, str, bool], system: str) -> str:
    verb, group, resource, inside = right
    where = f" -n {system}" if inside else ""
    return f"{verb} {resource}{'.' + group if group else ''}{where}"


def _asked(kubectl: Kubectl, right: tuple[str, str, str, bool], system: str) -> bool | None:
    """The API server's own answer (SelfSubjectAccessReview); None where it gives none."""
    verb, group, resource, inside = right
    attributes = {"verb": verb, "group": group, "resource": resource, **({"namespace": system} if inside else {})}
    body = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }  # fmt: skip
    try:
        found = json.loads(kubectl.run("create", "-f", "-", "-o", "json", stdin=json.dumps(body)))
        allowed = found["status"]["allowed"]
    except (KubectlError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return allowed if isinstance(allowed, bool) else None


def _settings(read: Reader, system: str) -> Json:
    """The installation's settings; nothing where they cannot be read."""
    found = read.one("the installation", "configmap", "pdshub-installation", "-n", system) or {}
    try:
        settings = yaml.safe_load(str((found.get("data") or {}).get("installation.yaml") or ""))
    except (yaml.YAMLError, RecursionError):
        return {}
    return settings if isinstance(settings, dict) else {}


def _listed(settings: Json, what: str) -> list[Json]:
    """What the installation allows."""
    archive_of = settings.get("archive")
    found = archive_of.get(what) if isinstance(archive_of, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _surveyors(settings: Json) -> str:
    found = settings.get("surveyor")
    return str((found.get("namespace") if isinstance(found, dict) else "") or "pdshub-surveyors")


def _held(read: Reader, buckets: list[Json], namespace: str) -> dict[str, frozenset[str] | None]:
    """Names of the keys of the Secrets that rules name: kubectl prints no value of one."""
    names = dict.fromkeys(str(name) for rule in buckets for name in rule.get("secrets") or [])
    found: dict[str, frozenset[str] | None] = {}
    for name in [name for name in names if is_object_name(name)][:MOST_SECRETS]:
        try:
            text = read.kubectl.run("get", "secret", name, "-n", namespace, "-o", NAMES)
            found[name] = frozenset(text.split())
        except KubectlError as error:
            if "not found" in str(error).lower():
                found[name] = None
            else:
                read.notes.append(f"Secret {name}: not read: {str(error)[:LONGEST]}")
    return found
