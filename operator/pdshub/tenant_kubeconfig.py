"""Kubeconfigs with which a program acts as the account of a hub's namespace.

Inside a cluster they name the files of the pod's service account, and hold no secret; outside they repeat the login of
the kubeconfig that is there.
Source: Kubernetes, Organizing cluster access using kubeconfig files (Config v1); User impersonation (``as``).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pdshub import tenant

ACCOUNT_FILES = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet keeps token and authority of a pod's service account."""
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
"""Fields that name files, in a kubeconfig relative to it."""

Login = tuple[Mapping[str, Any], Mapping[str, Any]]
"""``cluster`` and ``user`` of a kubeconfig."""


def api_server(environ: Mapping[str, str]) -> str:
    """The API server's URL by its address, which needs no DNS. Raises KeyError outside a cluster.

    Source: Kubernetes, Accessing the API from within a Pod (the certificate names the address, too).
    """
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def of_pod(environ: Mapping[str, str]) -> Login:
    """The login of the pod's service account. Raises KeyError outside a cluster."""
    cluster = {"server": api_server(environ), "certificate-authority": str(ACCOUNT_FILES / "ca.crt")}
    return cluster, {"tokenFile": str(ACCOUNT_FILES / "token")}


def of_file(path: Path) -> Login:
    """The login of a kubeconfig's current context. Raises OSError, and ValueError when it has none."""
    found = yaml.safe_load(path.read_text()) or {}
    try:
        context = _named(found, "contexts", found["current-context"])["context"]
        cluster = _named(found, "clusters", context["cluster"])["cluster"]
        account = _named(found, "users", context["user"])["user"]
    except (KeyError, TypeError, StopIteration) as error:
        raise ValueError(f"{path} has no current context with a cluster and a user") from error
    made = [{k: str(path.parent / v) if k in _FILES else v for k, v in part.items()} for part in (cluster, account)]
    return made[0], made[1]


def _named(config: Mapping[str, Any], kind: str, name: str) -> Any:
    return next(item for item in config[kind] if item["name"] == name)


def login(environ: Mapping[str, str]) -> Login:
    """The login of this process: its pod's, else that of KUBECONFIG. Raises OSError and ValueError."""
    if "KUBERNETES_SERVICE_HOST" in environ:
        return of_pod(environ)
    first = environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return of_file(Path(first) if first else Path.home() / ".kube" / "config")


def document(found: Login, namespace: str) -> dict[str, Any]:
    """The kubeconfig of a namespace's account."""
    cluster, account = found
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": dict(cluster)}],
        "users": [{"name": "tenant", "user": {**account, "as": tenant.user(namespace)}}],
        "contexts": [{"name": "tenant", "context": {"cluster": "cluster", "user": "tenant", "namespace": namespace}}],
        "current-context": "tenant",
    }


class Kubeconfigs:
    """One file for each namespace, in a directory of this process that nobody else reads and that ends with it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._folder = tempfile.TemporaryDirectory(prefix="pdshub-")

    def path(self, namespace: str) -> Path:
        """The kubeconfig of a namespace's account, written anew. Raises OSError and ValueError."""
        made = Path(self._folder.name, namespace)
        made.touch(mode=0o600)
        made.write_text(yaml.safe_dump(document(login(self._environ), namespace)))
        return made
