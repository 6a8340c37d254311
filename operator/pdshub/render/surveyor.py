"""Objects of a view's surveyor: one pod that reads the sources as users do, keeps generations and serves them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pdshub import ports, restricted
from pdshub.api.view import ArchiveViewSpec, Source
from pdshub.installation import Surveyor
from pdshub.render.archive import static_claim, static_volume
from pdshub.render.names import VIEW_LABEL, short
from pdshub.s3.bucket import ACCESS_KEY, CA, SECRET_KEY
from pdshub.wellknown import API_VERSION, GROUP, MANAGER, UID

RENDERED = f"{GROUP}/rendered"
"""Annotation with the digest of what was applied: equal means nothing to do."""
S3_LABEL = f"{GROUP}/s3"
"""Of pods that list buckets: the network policy lets these reach S3 services, and no others."""
IDENTITY = "pdshub-surveyor"
"""Service account of pods that list a bucket with an identity of their own (EKS Pod Identity)."""
KEYS = "/etc/pdshub/s3"
"""Where a surveyor has the keys of its sources in S3, each below its name."""
SOURCES = "sources"
"""volumeAttributes.content of the volume that shows every source by its name."""


@dataclass(frozen=True)
class SurveyorNames:
    """Every derived name of the surveyor of ``view`` in the ``namespace`` of surveyors."""

    namespace: str
    view: str

    @property
    def name(self) -> str:
        """Deployment, Service and the claim of its store: a DNS label, which the name of a view need not be."""
        plain = self.view.replace(".", "-")
        if plain == self.view:
            return short("survey", self.view)
        digest = hashlib.sha256(self.view.encode()).hexdigest()[:10]
        return f"{short('survey', plain, limit=52)}-{digest}"

    @property
    def certificate(self) -> str:
        """Secret with its certificate, which names the view."""
        return short(self.name, "tls")

    @property
    def sources(self) -> str:
        """Claim through which the surveyor reads."""
        return short(self.name, "sources")

    @property
    def volume(self) -> str:
        """PersistentVolume behind ``sources``, and its handle: another namespace has another volume."""
        return f"{self.namespace}.{self.sources}"

    @property
    def labels(self) -> dict[str, str]:
        """Labels of everything that the operator makes for this surveyor."""
        return {
            "app.kubernetes.io/name": "pdshub",
            "app.kubernetes.io/component": "surveyor",
            "app.kubernetes.io/managed-by": MANAGER,
            VIEW_LABEL: short(self.view),
        }

    @property
    def selector(self) -> dict[str, str]:
        """Labels of its pod."""
        return {"app.kubernetes.io/component": "surveyor", VIEW_LABEL: short(self.view)}


def owner(name: str, uid: str) -> list[dict[str, Any]]:
    """The view as owner: cluster-scoped, so that Kubernetes collects what is left even without the operator."""
    return [{"apiVersion": API_VERSION, "kind": "ArchiveView", "name": name, "uid": uid}]


def _stamped(body: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    meta = {**body["metadata"], "annotations": {RENDERED: hashlib.sha256(text.encode()).hexdigest()[:16]}}
    return {**body, "metadata": meta}


def _meta(names: SurveyorNames, name: str, uid: str, *, namespaced: bool = True, owned: bool = True) -> dict[str, Any]:
    return {
        "name": name,
        **({"namespace": names.namespace} if namespaced else {}),
        "labels": names.labels,
        **({"ownerReferences": owner(names.view, uid)} if owned else {}),
    }


def store(names: SurveyorNames, spec: ArchiveViewSpec) -> dict[str, Any]:
    """The claim of the store. No owner: whether it goes with the view is the operator's to decide."""
    chosen = spec.survey.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _meta(names, names.name, "", owned=False),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            **({"storageClassName": chosen} if chosen else {}),
            "resources": {"requests": {"storage": spec.survey.storage}},
        },
    }


def sources_volume(names: SurveyorNames, uid: str) -> dict[str, Any]:
    """The PersistentVolume that shows each source whole, as /<name of the source>."""
    metadata = _meta(names, names.volume, uid, namespaced=False)
    attributes = {"view": names.view, "content": SOURCES}
    return static_volume(metadata, names.namespace, names.sources, names.volume, attributes)


def sources_claim(names: SurveyorNames, uid: str) -> dict[str, Any]:
    """The claim that binds ``sources_volume`` and nothing else."""
    return static_claim(_meta(names, names.sources, uid), names.volume)


def certificate(names: SurveyorNames, uid: str) -> dict[str, Any]:
    """The Secret of its certificate, still without one: keys are made where they are written."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _meta(names, names.certificate, uid)}


def service(names: SurveyorNames, uid: str) -> dict[str, Any]:
    """Where nodes and the operator reach it."""
    return _stamped(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _meta(names, names.name, uid),
            "spec": {
                "selector": names.selector,
                "ports": [{"name": "https", "port": ports.SURVEYOR, "targetPort": "https", "protocol": "TCP"}],
            },
        }
    )


def _keys(source: Source) -> list[dict[str, Any]]:
    """What a source's keys are read from. All of it may be missing: the survey says so, and others go on."""
    assert source.s3 is not None  # noqa: S101 - asked for sources in S3 alone
    found: list[dict[str, Any]] = []
    if source.s3.secret_ref:
        items = [{"key": key, "path": key} for key in (ACCESS_KEY, SECRET_KEY)]
        found.append({"secret": {"name": source.s3.secret_ref, "items": items, "optional": True}})
    if bundle := source.s3.ca_bundle:
        kind, place = ("secret", bundle.secret) if bundle.secret else ("configMap", bundle.config_map)
        if place is not None:
            items = [{"key": place.key, "path": CA}]
            found.append({kind: {"name": place.name, "items": items, "optional": True}})
    return found


def _container(settings: Surveyor, in_s3: Sequence[str] = ()) -> dict[str, Any]:
    def probe(period: int, failures: int) -> dict[str, Any]:
        return {
            "httpGet": {"path": "/healthz", "port": "metrics"},
            "periodSeconds": period,
            "timeoutSeconds": 5,
            "failureThreshold": failures,
        }

    return {
        "name": "surveyor",
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["tini", "--", "pdshub-surveyor"],
        "args": [
            "serve",
            "--sources=/sources",
            "--store=/store",
            "--tls=/etc/pdshub/tls",
            *([f"--keys={KEYS}"] if in_s3 else []),
            f"--port={ports.SURVEYOR}",
            f"--metrics-port={ports.SURVEYOR_METRICS}",
        ],
        "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 - a volume of the pod's own
        "ports": [
            {"name": "https", "containerPort": ports.SURVEYOR, "protocol": "TCP"},
            {"name": "metrics", "containerPort": ports.SURVEYOR_METRICS, "protocol": "TCP"},
        ],
        "startupProbe": probe(2, 60),
        "livenessProbe": probe(20, 6),
        "readinessProbe": probe(5, 3),
        "resources": settings.resources,
        "securityContext": restricted.container(),
        "volumeMounts": [
            # a source that comes back appears in the running pod
            {"name": "sources", "mountPath": "/sources", "readOnly": True, "mountPropagation": "HostToContainer"},
            {"name": "store", "mountPath": "/store"},
            {"name": "tls", "mountPath": "/etc/pdshub/tls", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            *(
                {"name": f"keys-{number}", "mountPath": f"{KEYS}/{name}", "readOnly": True}
                for number, name in enumerate(in_s3)
            ),
        ],
    }


def deployment(names: SurveyorNames, settings: Surveyor, uid: str, sources: Sequence[Source] = ()) -> dict[str, Any]:
    """The pod: ``restricted`` by the Pod Security Standards, without a token of the API server.

    ``sources``: those of the view. Of one in S3 the pod has the keys, as files in memory, and may reach the service.
    """
    in_s3 = {source.name: source for source in sources if source.s3}
    keys = {name: found for name, source in in_s3.items() if (found := _keys(source))}
    identity = any(source.s3 and not source.s3.secret_ref for source in in_s3.values())
    labels = {**names.labels, **({S3_LABEL: "true"} if in_s3 else {})}
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        **({"imagePullSecrets": settings.image_pull_secrets} if settings.image_pull_secrets else {}),
        **({"nodeSelector": settings.node_selector} if settings.node_selector else {}),
        **({"tolerations": settings.tolerations} if settings.tolerations else {}),
        **({"affinity": settings.affinity} if settings.affinity else {}),
        **({"serviceAccountName": IDENTITY} if identity else {}),
        "securityContext": restricted.pod(UID, volumes=UID),
        "containers": [_container(settings, tuple(keys))],
        "volumes": [
            # readOnly on the claim too, or the kubelet takes the volume for its own to chown and relabel
            {"name": "sources", "persistentVolumeClaim": {"claimName": names.sources, "readOnly": True}},
            {"name": "store", "persistentVolumeClaim": {"claimName": names.name}},
            {"name": "tls", "secret": {"secretName": names.certificate, "defaultMode": 0o440}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}},
            *(
                {"name": f"keys-{number}", "projected": {"defaultMode": 0o440, "sources": found}}
                for number, found in enumerate(keys.values())
            ),
        ],
    }
    return _stamped(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": _meta(names, names.name, uid),
            "spec": {
                # two writers of one store would undo each other
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "revisionHistoryLimit": 1,
                "selector": {"matchLabels": names.selector},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }
    )
