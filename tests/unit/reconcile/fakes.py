"""An API server and a Helm in memory: enough of both to run reconcile() from end to end."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from pdshub.helm import HelmError, HelmRelease, explain
from pdshub.kube import CLAIM, DEPLOYMENT, EVENT, SECRET, SERVICE, VOLUME, KubeError, Object, Resource
from pdshub.render.chart import ChartRef

Key = tuple[str, str, str]


def merged(below: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    out = dict(below) if isinstance(below, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


def matches(item: Object, labels: str) -> bool:
    """Whether an object's labels satisfy a selector: ``a``, ``a=b`` and ``a in (b,c)``, joined by commas."""
    have = item["metadata"].get("labels") or {}
    for term in filter(None, re.split(r",(?![^(]*\))", labels)):
        if some := re.fullmatch(r"(\S+) in \((.*)\)", term):
            if have.get(some[1]) not in some[2].split(","):
                return False
            continue
        key, equals, value = term.partition("=")
        if key not in have or (equals and have[key] != value):
            return False
    return True


def violates_pod_security(namespace: Object, pod: Object) -> str:
    """What Pod Security Admission says of a privileged pod where ``baseline`` or more is enforced; empty: nothing."""
    enforced = (namespace["metadata"].get("labels") or {}).get("pod-security.kubernetes.io/enforce")
    privileged = any(c["securityContext"].get("privileged") for c in pod["spec"]["containers"])
    return f'violates PodSecurity "{enforced}:latest": privileged' if privileged and enforced else ""


class FakeKube:
    """Objects by resource, namespace and name; finalizers and resource versions as the API server has them."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.writes: list[str] = []
        self.in_cluster, self.own = False, ("pdshub-system", "pdshub-surveyors", "default")
        self.healthy = True
        self.counter = 0
        self.tried: list[Object] = []
        self.refuses_all: KubeError | None = None

    def _key(self, resource: Resource, name: str, namespace: str | None) -> Key:
        return resource.plural, (namespace or "") if resource.namespaced else "", name

    def put(self, resource: Resource, body: Object) -> Object:
        """Put an object as somebody else would: not counted as the operator's write."""
        self.counter += 1
        meta = body.setdefault("metadata", {})
        meta.setdefault("uid", f"uid-{self.counter}")
        meta["resourceVersion"] = str(self.counter)
        stored = {**body, "apiVersion": resource.api, "kind": resource.kind}
        for key, text in (stored.pop("stringData", None) or {}).items():
            stored.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()
        self.objects[self._key(resource, meta["name"], meta.get("namespace"))] = stored
        return stored

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        return copy.deepcopy(self.objects.get(self._key(resource, name, namespace)))

    @property
    def live(self) -> FakeKube:
        """It keeps no caches."""
        return self

    async def get_metadata(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        found = await self.get(resource, name, namespace)
        return found and {"metadata": found["metadata"]}

    async def items(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> list[Object]:
        return [
            copy.deepcopy(item)
            for (plural, where, _), item in self.objects.items()
            if plural == resource.plural and (not namespace or where == namespace) and matches(item, labels)
        ]

    async def metadata(self, resource: Resource, namespace: str, *, labels: str) -> list[Object]:
        return await self.items(resource, namespace, labels=labels)

    def _wrote(self, verb: str, resource: Resource, name: str) -> None:
        self.writes.append(f"{verb} {resource.plural}/{name}")

    async def create(self, resource: Resource, body: Object) -> bool:
        meta = body["metadata"]
        name = meta.get("name") or f"{meta['generateName']}{self.counter}"
        self._wrote("create", resource, name)
        if self._key(resource, name, meta.get("namespace")) in self.objects:
            return False
        self.put(resource, {**copy.deepcopy(body), "metadata": {**meta, "name": name}})
        return True

    async def dry_run(self, resource: Resource, body: Object) -> None:
        """As Pod Security Admission decides: by the label of the namespace."""
        self.tried.append(body)
        if self.refuses_all is not None:
            raise self.refuses_all
        where = self.objects.get(("namespaces", "", body["metadata"]["namespace"]), {"metadata": {}})
        if refused := violates_pod_security(where, body):
            raise KubeError(403, refused)

    async def apply(self, resource: Resource, body: Object, manager: str) -> Object:
        meta = body["metadata"]
        self._wrote("apply", resource, meta["name"])
        old = self.objects.get(self._key(resource, meta["name"], meta.get("namespace")), {})
        return self.put(resource, merged(old, copy.deepcopy(body)))

    async def patch(
        self, resource: Resource, name: str, body: Object, namespace: str | None = None, subresource: str = ""
    ) -> Object | None:
        self._wrote(f"patch {subresource}".strip(), resource, name)
        key = self._key(resource, name, namespace)
        if key not in self.objects:
            return None
        wanted = (body.get("metadata") or {}).get("resourceVersion")
        if wanted and wanted != self.objects[key]["metadata"]["resourceVersion"]:
            raise KubeError(409, "conflict")
        changed = self.put(resource, merged(self.objects[key], copy.deepcopy(body)))
        if changed["metadata"].get("deletionTimestamp") and not changed["metadata"].get("finalizers"):
            del self.objects[key]
        return changed

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, grace: int | None = None
    ) -> bool:
        self._wrote("delete", resource, name)
        return self.objects.pop(self._key(resource, name, namespace), None) is not None

    async def raw(self, method: str, path: str, *args: Any, **kwargs: Any) -> str:
        if not self.healthy:
            raise KubeError(503, "no endpoints available")
        return ""

    def events(self) -> list[str]:
        return [item["reason"] for (plural, _, _), item in self.objects.items() if plural == EVENT.plural]


def owned(release: str, namespace: str) -> Object:
    """What Helm writes into the metadata of everything that it makes."""
    annotations = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace}
    return {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": annotations}


def made_by_chart(release: str, namespace: str, name: str, component: str) -> Object:
    """Metadata of a part of a hub: Helm's marks, and the label that the chart gives it."""
    marks = owned(release, namespace)
    labels = {**marks["labels"], "component": component}
    return {"name": name, "namespace": namespace, **marks, "labels": labels}


_MADE: list[Object] = [
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "hub"}, "spec": {"replicas": 1}},
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "proxy"}, "spec": {"replicas": 1}},
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "proxy-public"}, "spec": {"type": "ClusterIP"}},
]
MANIFEST = "".join(f"---\n# Source: jupyterhub/templates/x.yaml\n{yaml.safe_dump(body)}" for body in _MADE)
"""What a hub chart makes, as a release document has it."""


def service_type(values: Any) -> str:
    """The type of the proxy's Service that values ask for."""
    service = (values.get("proxy") or {}).get("service") or {}
    return str(service.get("type") or "ClusterIP")


def release_secret(name: str, namespace: str, document: Object) -> Object:
    """A release document in the Secret where Helm keeps it."""
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(document).encode(), mtime=0))).decode()
    revision, status = document["version"], document["info"]["status"]
    labels = {"owner": "helm", "name": name, "version": str(revision), "status": status}
    meta = {"name": f"sh.helm.release.v1.{name}.v{revision}", "namespace": namespace, "labels": labels}
    return {"metadata": meta, "type": "helm.sh/release.v1", "data": {"release": packed}}


class FakeHelm:
    """Releases as Secrets, with the Deployments that a hub chart makes, at once available."""

    def __init__(self, kube: FakeKube) -> None:
        self.kube = kube
        self.runs: list[str] = []
        self.error: HelmError | None = None
        self.dies = False
        self.previews = 0
        self.preview_error: HelmError | None = None
        self.render_error: HelmError | None = None
        self.renders: list[Any] = []
        self.more: Any = lambda values: ""
        """What the chart makes of values beside the hub: text that is put behind its manifest."""
        self.hooks: list[dict[str, Any]] = []

    def manifest(self, values: Any) -> str:
        """What the chart makes of values."""
        return MANIFEST.replace("type: ClusterIP", f"type: {service_type(values)}") + str(self.more(values))

    def _store(
        self, name: str, namespace: str, revision: int, status: str, chart: ChartRef, values: Any, **more: Any
    ) -> None:
        document = {
            "name": name,
            "namespace": namespace,
            "version": revision,
            "info": {"status": status},
            "chart": {"metadata": {"name": "jupyterhub", "version": chart.version}},
            "config": json.loads(json.dumps(values)),
            "manifest": self.manifest(values),
            "hooks": self.hooks,
            **more,
        }
        self.kube.put(SECRET, release_secret(name, namespace, document))

    async def _supersede(self, name: str, namespace: str) -> None:
        """Helm writes the record of what was deployed before anew, without anybody's annotations."""
        for item in await self.kube.items(SECRET, namespace, labels=f"owner=helm,name={name},status=deployed"):
            document = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(item["data"]["release"]))))
            document["info"]["status"] = "superseded"
            self.kube.put(SECRET, release_secret(name, namespace, document))

    async def preview(self, release: str, namespace: str, chart: ChartRef, values: Mapping[str, Any]) -> HelmRelease:
        self.previews += 1
        if self.preview_error:
            raise self.preview_error
        return HelmRelease(0, self.manifest(values), tuple(self.hooks), values)

    async def render(self, release: str, namespace: str, chart: ChartRef, values: Mapping[str, Any]) -> str:
        self.renders.append(values)
        if self.render_error:
            raise self.render_error
        return self.manifest(values)

    async def install_or_upgrade(
        self, release: str, namespace: str, chart: ChartRef, values: Mapping[str, Any]
    ) -> HelmRelease:
        self.runs.append("upgrade")
        if self.error:
            raise self.error
        await self._check_ownership(release, namespace, chart)
        revision = 1 + len(await self.kube.items(SECRET, namespace, labels=f"owner=helm,name={release}"))
        if self.dies:
            self._store(release, namespace, revision, "pending-upgrade", chart, values)
            raise RuntimeError("killed")
        await self._supersede(release, namespace)
        self._store(release, namespace, revision, "deployed", chart, values)
        for name in ("hub", "proxy"):
            meta = {**made_by_chart(release, namespace, name, name), "generation": revision}
            count = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
            status = {"observedGeneration": revision, **count}
            self.kube.put(DEPLOYMENT, {"metadata": meta, "spec": {"replicas": 1}, "status": status})
        service = {"type": service_type(values), "ports": [{"name": "http", "port": 80}]}
        meta = made_by_chart(release, namespace, "proxy-public", "proxy-public")
        self.kube.put(SERVICE, {"metadata": meta, "spec": service})
        if await self.kube.get(CLAIM, "hub-db-dir", namespace) is None:
            claim = made_by_chart(release, namespace, "hub-db-dir", "hub")
            made = self.kube.put(CLAIM, {"metadata": claim, "spec": {"volumeName": "pv-db"}})
            ref = {"namespace": namespace, "name": "hub-db-dir", "uid": made["metadata"]["uid"]}
            spec = {"persistentVolumeReclaimPolicy": "Delete", "claimRef": ref}
            self.kube.put(VOLUME, {"metadata": {"name": "pv-db"}, "spec": spec})
        written = json.loads(json.dumps(values))
        return HelmRelease(revision, self.manifest(values), tuple(self.hooks), written)

    async def _check_ownership(self, release: str, namespace: str, chart: ChartRef) -> None:
        """Helm takes over no object that does not carry its marks.

        Source: Helm 3, pkg/action/validate.go (checkOwnership).
        """
        claim = await self.kube.get(CLAIM, "hub-db-dir", namespace)
        if claim is None:
            return
        wanted, have = owned(release, namespace), claim["metadata"]
        if any(not wanted[where].items() <= (have.get(where) or {}).items() for where in wanted):
            said = 'PersistentVolumeClaim "hub-db-dir" exists and cannot be imported: invalid ownership metadata'
            raise explain(f"Error: INSTALLATION FAILED: Unable to continue with install: {said}", chart)

    async def uninstall(self, release: str, namespace: str) -> None:
        """Reads every revision first, as Helm does: what cannot be read costs memory or more."""
        self.runs.append("uninstall")
        found = await self.kube.items(SECRET, namespace, labels=f"owner=helm,name={release}")
        for item in found:
            json.loads(gzip.decompress(base64.b64decode(base64.b64decode(item["data"]["release"]))))
        for item in found:
            self.kube.objects.pop(("secrets", namespace, item["metadata"]["name"]))
        for plural, name in (("deployments", "hub"), ("deployments", "proxy"), ("services", "proxy-public")):
            self.kube.objects.pop((plural, namespace, name), None)
