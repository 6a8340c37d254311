"""A PDSHub that says a lot, and exports of variants of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from pdshub.compose import export, place, source
from pdshub.compose.export import Exported
from pdshub.compose.machine import Front, Images, Machine, front_of
from pdshub.compose.source import Hub

IMAGES = Images(
    hub="example.org/hub:1", proxy="example.org/proxy:1", user="example.org/user:1", door="example.org/door:1"
)
NFS = {"server": "nas.example.org", "export": "/pds-main"}
ACME = {"acme": {"email": "hub@example.org", "agreeToTerms": True, "challenge": {"http01": {}}}}
OFFLOAD = {"offload": {"trusted": ["192.0.2.7/32"]}}
FULL: dict[str, Any] = {
    "hostname": "hub.example.org",
    "title": "Small Bodies Node",
    "contact": "help@example.org",
    "message": "Closed on Monday",
    "signIn": {"google": {
        "clientId": "1234.apps.googleusercontent.com", "hostedDomains": ["example.org"],
        "clientSecretRef": {"name": "google-oauth", "key": "client-secret"},
    }},
    "users": {"allowed": ["ada@example.org", "Bela.B@example.org"], "admins": ["root@example.org"],
              "suspended": ["out@example.org"], "domains": ["example.edu"]},
    "archive": {"inline": {
        "folder": "sbn",
        "sources": [{"name": "main", "nfs": NFS}, {"name": "mission", "nfs": {**NFS, "export": "/pds-mission"}}],
        "tree": [{"path": "pds4", "layers": [{"source": "main", "path": "pds4"}]},
                 {"path": "orex", "layers": [{"source": "mission", "path": "orex"},
                                             {"source": "main", "path": "orex"}]}],
    }},
    "server": {"home": {"size": "20Gi"}, "startTimeoutSeconds": 120,
               "resources": {"memory": {"limit": "4Gi", "guarantee": "256Mi"}, "cpu": {"limit": "1500m"}}},
    "quota": {"servers": 40},
    "culling": {"idleSeconds": 1800, "maxAgeSeconds": 86400},
}  # fmt: skip


def manifest(**changes: Any) -> dict[str, Any]:
    """The PDSHub with fields replaced; None removes one. ``metadata`` replaces name and namespace."""
    spec, meta = copy.deepcopy(FULL), {"name": "sbn", "namespace": "hub", **changes.pop("metadata", {})}
    for key, value in changes.items():
        spec.pop(key, None) if value is None else spec.__setitem__(key, value)
    return {"apiVersion": "pdshub.dev/v1alpha1", "kind": "PDSHub", "metadata": meta, "spec": spec}


def hub(*more: dict[str, Any], **changes: Any) -> Hub:
    """The same, read as a file of manifests is. ``more``: other objects of that file."""
    text = yaml.safe_dump_all([manifest(**changes), *more])
    return source.hub(source.documents(text))


def machine(found: Hub, **said: Any) -> Machine:
    """Its machine."""
    front = Front(said.pop("front")) if "front" in said else front_of(found.spec)
    return Machine(name=found.name, images=said.pop("images", IMAGES), front=front, **said)


def exported(*more: dict[str, Any], machine_: dict[str, Any] | None = None, **changes: Any) -> Exported:
    """An export of a variant."""
    found = hub(*more, **changes)
    return export.make(found, machine(found, **(machine_ or {})))


def text(found: Exported, name: str) -> str:
    """A file of an export."""
    return found.files[name][0]


def compose(found: Exported) -> Any:
    """The Compose file, as YAML says it."""
    return yaml.safe_load(text(found, "docker-compose.yml"))


def written(folder: Path, found: Exported) -> Path:
    """An export on the disk."""
    place.write(folder, found.files)
    return folder
