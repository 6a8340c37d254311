"""The objects of a hub's door in the cluster, in the modes ``acme`` and ``secret``: pure.

One pod, since the ACME account, certificates and challenges are one program's, and its volume is one node's.
"""

from __future__ import annotations

from typing import Any

from pdshub import ports, restricted
from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_tls import HAS_DOOR, mode_of
from pdshub.installation import Defaults
from pdshub.render import door_config as config
from pdshub.render.names import Names
from pdshub.render.trust import DOOR_TOKEN_KEY
from pdshub.wellknown import API_VERSION

DOOR = "door"
"""The label ``component`` of the door's pods."""
STORAGE = "64Mi"
_ACCESS_KEYS = {"AWS_ACCESS_KEY_ID": "access-key-id", "AWS_SECRET_ACCESS_KEY": "secret-access-key"}
Object = dict[str, Any]


def owner(names: Names, uid: str) -> Object:
    """The PDSHub as the owner of what is made for it: Kubernetes removes it with the hub."""
    return {"apiVersion": API_VERSION, "kind": "PDSHub", "name": names.name, "uid": uid}


def _meta(names: Names, uid: str, *, owned: bool = True) -> Object:
    return {
        "name": names.door,
        "namespace": names.namespace,
        "labels": {**names.labels, "component": DOOR},
        **({"ownerReferences": [owner(names, uid)]} if owned else {}),
    }


def has_door(spec: PDSHubSpec) -> bool:
    """Whether the hub has a door of its own."""
    return mode_of(spec.tls) in HAS_DOOR


def _env(spec: PDSHubSpec, names: Names) -> list[Object]:
    def secret(variable: str, name: str, key: str) -> Object:
        return {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}

    found = [secret(config.TOKEN_ENV, names.door, DOOR_TOKEN_KEY), {"name": "XDG_CONFIG_HOME", "value": config.DATA}]
    dns = spec.tls.acme.challenge.dns01 if spec.tls and spec.tls.acme else None
    if dns and dns.rfc2136:
        found.append(secret(config.TSIG_ENV, dns.rfc2136.secret_ref.name, dns.rfc2136.secret_ref.key))
    if dns and dns.route53 and dns.route53.secret_ref:
        found += [secret(variable, dns.route53.secret_ref, key) for variable, key in _ACCESS_KEYS.items()]
    return found


def _volumes(spec: PDSHubSpec, names: Names) -> list[tuple[str, str, Object]]:
    """Name, where it is mounted, and source. All but the data are read-only."""
    found: list[tuple[str, str, Object]] = [("config", config.CONFIG, {"configMap": {"name": names.door}})]
    assert spec.tls is not None  # noqa: S101 - has_door asks
    if spec.tls.secret:
        # nothing of ACME is kept, and what Caddy writes beside it is worth nothing
        found.append(("data", config.DATA, {"emptyDir": {"sizeLimit": STORAGE}}))
        found.append(("tls", config.TLS, {"secret": {"secretName": spec.tls.secret.name}}))
        return found
    found.append(("data", config.DATA, {"persistentVolumeClaim": {"claimName": names.door}}))
    bundle = spec.tls.acme.ca_bundle if spec.tls.acme else None
    file = config.CA_FILE.rpartition("/")[2]
    if bundle and bundle.config_map:
        where, items = bundle.config_map, [{"key": bundle.config_map.key, "path": file}]
        found.append(("ca", config.CA, {"configMap": {"name": where.name, "items": items}}))
    if bundle and bundle.secret:
        items = [{"key": bundle.secret.key, "path": file}]
        found.append(("ca", config.CA, {"secret": {"secretName": bundle.secret.name, "items": items}}))
    return found


def _container(spec: PDSHubSpec, names: Names, defaults: Defaults) -> Object:
    mounts = [
        {"name": name, "mountPath": path, **({} if name == "data" else {"readOnly": True})}
        for name, path, _ in _volumes(spec, names)
    ]
    probe = {"tcpSocket": {"port": "https"}, "timeoutSeconds": 3}
    return {
        "name": DOOR,
        "image": defaults.images.door,
        "imagePullPolicy": defaults.image_pull_policy,
        # the file is watched: another configuration is taken up without an end of this process
        "args": ["run", "--watch", "--config", f"{config.CONFIG}/{config.CONFIG_FILE}"],
        "env": _env(spec, names),
        "ports": [
            {"name": "http", "containerPort": ports.DOOR_HTTP},
            {"name": "https", "containerPort": ports.DOOR_HTTPS},
        ],
        "resources": {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": {**probe, "periodSeconds": 2},
        "livenessProbe": {**probe, "periodSeconds": 10, "failureThreshold": 6},
        "securityContext": restricted.container(),
        "volumeMounts": mounts,
    }


def deployment(spec: PDSHubSpec, names: Names, uid: str, defaults: Defaults) -> Object:
    """The door's Deployment. It meets the ``restricted`` Pod Security Standard."""
    labels = {**names.labels, "component": DOOR}
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # open websockets end with their door: it waits for requests, not for them
        "terminationGracePeriodSeconds": 40,
        "securityContext": restricted.pod(1000, volumes=1000),
        "containers": [_container(spec, names, defaults)],
        "volumes": [{"name": name, **source} for name, _, source in _volumes(spec, names)],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(names, uid),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def service(spec: PDSHubSpec, names: Names, uid: str) -> Object:
    """The door's Service: it has the type and the port that ``spec.service`` names."""
    ports: list[Object] = [
        {"name": "https", "port": 443, "targetPort": "https", "protocol": "TCP"},
        {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"},
    ]
    if spec.service.node_port:
        ports[0]["nodePort"] = spec.service.node_port
    body: Object = {
        "type": spec.service.type,
        "selector": {**names.labels, "component": DOOR},
        "ports": ports,
    }
    if spec.service.type == "LoadBalancer":
        # else nodes pass connections on under their own addresses, and every client has one of these
        body["externalTrafficPolicy"] = "Local"
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(names, uid), "spec": body}


def claim(names: Names) -> Object:
    """The volume of the ACME account and the certificates. It has no owner: a CA gives few of either a week."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _meta(names, "", owned=False),
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": STORAGE}}},
    }


def config_map(spec: PDSHubSpec, names: Names, uid: str) -> Object:
    """The ConfigMap with the door's configuration. No secret is in it."""
    data = {config.CONFIG_FILE: config.text(config.config(spec))}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(names, uid), "data": data}


def objects(spec: PDSHubSpec, names: Names, uid: str, defaults: Defaults) -> list[Object]:
    """Everything of the door but its Secret, in the order in which it is made."""
    kept = [claim(names)] if mode_of(spec.tls) == "Acme" else []
    return [
        *kept,
        config_map(spec, names, uid),
        deployment(spec, names, uid, defaults),
        service(spec, names, uid),
    ]
