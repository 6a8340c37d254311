"""Every request to the API server: plain dicts in and out, over the asyncio client of package ``kubernetes``.

Generated model classes are not used: an unknown field of a newer server must survive a read and a write.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio import client as aio_client
from kubernetes.aio import config as aio_config

from pdshub import tenant
from pdshub.wellknown import API_VERSION

Object = dict[str, Any]
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
_TIMEOUT = 30.0
"""Seconds for one request; the API server answers in milliseconds or not at all."""
_PAGE = 500
"""Objects in one answer: a list of all pods of a large cluster would be one of megabytes."""
METADATA = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
"""Asks for metadata alone, of one object or of a List. Source: Kubernetes API Concepts, Metadata-only fetches."""


class KubeError(Exception):
    """The API server refused a request. ``status`` is the HTTP status, 0 when it did not answer at all."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def missing(self) -> bool:
        """Whether the object, or the kind, is not there (404)."""
        return self.status == 404

    @property
    def conflict(self) -> bool:
        """Whether it was written by somebody else meanwhile, or is there already (409)."""
        return self.status == 409


@dataclass(frozen=True)
class Resource:
    """A kind as the API server addresses it."""

    api: str
    """``v1``, or group and version."""
    plural: str
    kind: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """The URL's path of the collection or, with a name, of one object; an empty namespace means all of them."""
        root = f"/api/{self.api}" if "/" not in self.api else f"/apis/{self.api}"
        scope = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        leaf = f"/{quote(name, safe='')}" if name else ""
        return f"{root}{scope}/{self.plural}{leaf}{f'/{subresource}' if subresource else ''}"


PDSHUB = Resource(API_VERSION, "pdshubs", "PDSHub")
ARCHIVE_VIEW = Resource(API_VERSION, "archiveviews", "ArchiveView", namespaced=False)
HUB_BACKUP = Resource(API_VERSION, "hubbackups", "HubBackup")
HUB_RESTORE = Resource(API_VERSION, "hubrestores", "HubRestore")
SECRET = Resource("v1", "secrets", "Secret")
CONFIG_MAP = Resource("v1", "configmaps", "ConfigMap")
SERVICE = Resource("v1", "services", "Service")
POD = Resource("v1", "pods", "Pod")
EVENT = Resource("v1", "events", "Event")
RESOURCE_QUOTA = Resource("v1", "resourcequotas", "ResourceQuota")
LIMIT_RANGE = Resource("v1", "limitranges", "LimitRange")
CLAIM = Resource("v1", "persistentvolumeclaims", "PersistentVolumeClaim")
VOLUME = Resource("v1", "persistentvolumes", "PersistentVolume", namespaced=False)
NAMESPACE = Resource("v1", "namespaces", "Namespace", namespaced=False)
NODE = Resource("v1", "nodes", "Node", namespaced=False)
DEPLOYMENT = Resource("apps/v1", "deployments", "Deployment")
JOB = Resource("batch/v1", "jobs", "Job")
ROLE_BINDING = Resource("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding")
NETWORK_POLICY = Resource("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy")
STORAGE_CLASS = Resource("storage.k8s.io/v1", "storageclasses", "StorageClass", namespaced=False)


def _reason(body: str, fallback: str) -> str:
    try:
        return str(json.loads(body).get("message") or fallback)
    except (ValueError, AttributeError):
        return body.strip()[:500] or fallback


@contextmanager
def unanswered(what: str) -> Iterator[None]:
    """Errors of the connection, and answers that are none, as KubeError."""
    try:
        yield
    except aio_client.ApiException as error:
        raise KubeError(int(error.status or 0), _reason(str(error.body or ""), str(error.reason))) from error
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
        raise KubeError(0, f"{what}: {error or type(error).__name__}") from error


def selecting(labels: str, fields: str = "") -> dict[str, str]:
    """Selectors as parameters of a query; empty ones are none."""
    return {k: v for k, v in (("labelSelector", labels), ("fieldSelector", fields)) if v}


class Kube:
    """Requests to the API server, each as whom tenant.py says. ``writes`` counts the changing ones, for tests."""

    def __init__(self, client: Any, in_cluster: bool, own: Collection[str] = ()) -> None:
        """``own``: the installation's namespaces, in which the operator acts as itself."""
        self._client = client
        self.in_cluster, self.own = in_cluster, own
        self.writes = 0

    @classmethod
    async def connect(cls, own: Collection[str]) -> Kube:
        """Log in as the pod's service account, or outside a cluster by kubeconfig."""
        # watches keep their connections: a bound for all of them would let requests wait for ever
        configuration = aio_client.Configuration(connection_pool_maxsize=0)
        in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
        if in_cluster:
            aio_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await aio_config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return cls(aio_client.ApiClient(configuration), in_cluster, own)

    @property
    def live(self) -> Kube:
        """The same door with every read asked of the API server, where some are answered from caches."""
        return self

    async def close(self) -> None:
        """End all connections."""
        await self._client.close()

    async def _send(
        self, method: str, path: str, body: Any, query: Mapping[str, str] | None, headers: dict[str, str], limit: Any
    ) -> Any:
        """One request within the time ``limit``; returns the answer, whose body is not read yet."""
        headers.update(tenant.headers(path, self.own))
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._client.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        return await self._client.rest_client.request(method, url, headers=headers, body=body, _request_timeout=limit)

    async def raw(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        kind: str = "",
        accept: str = "application/json",
    ) -> str:
        """One request; returns the answer's text. Raises KubeError."""
        if method != "GET" and "dryRun" not in (query or {}):
            self.writes += 1
        headers: dict[str, str] = {"Accept": accept, "Content-Type": kind or "application/json"}
        with unanswered("the API server did not answer"):
            answer = await self._send(method, path, body, query, headers, _TIMEOUT)
            data: bytes = await answer.read()
        status = int(getattr(answer, "status", 200))
        text = data.decode(errors="replace")
        if status >= 400:
            raise KubeError(status, _reason(text, f"HTTP {status}"))
        return text

    @asynccontextmanager
    async def stream(
        self, path: str, query: Mapping[str, str], accept: str, silence: float
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """The body of a GET that goes on; ``silence``: seconds without a byte after which it is broken.

        Raises KubeError when it is refused.
        """
        limit = aiohttp.ClientTimeout(total=None, sock_connect=_TIMEOUT, sock_read=silence)
        with unanswered("the API server did not answer"):
            answer = (await self._send("GET", path, None, query, {"Accept": accept}, limit)).response
        try:
            if answer.status >= 400:
                raise KubeError(answer.status, _reason(await answer.text(), f"HTTP {answer.status}"))
            yield answer.content
        finally:
            answer.close()  # not released: the rest of a stream is never read

    async def _object(self, *args: Any, **kwargs: Any) -> Object:
        found: Object = json.loads(await self.raw(*args, **kwargs) or "{}")
        return found

    async def _pages(self, path: str, query: Mapping[str, str], **kwargs: Any) -> tuple[list[Object], str]:
        """A list and its resourceVersion, page by page; in one piece when its pages have expired meanwhile (410)."""
        found: list[Object] = []
        more: dict[str, str] = {"limit": str(_PAGE)}
        while True:
            try:
                answer = await self._object("GET", path, query={**query, **more}, **kwargs)
            except KubeError as error:
                if error.status != 410 or "limit" not in more:
                    raise
                found, more = [], {}
                continue
            found += answer.get("items") or []
            meta = answer.get("metadata") or {}
            token = str(meta.get("continue") or "")
            if not token:
                return found, str(meta.get("resourceVersion") or "")
            more = {"limit": str(_PAGE), "continue": token}

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """One object, None when there is none."""
        try:
            return await self._object("GET", resource.path(namespace, name))
        except KubeError as error:
            if error.missing:
                return None
            raise

    async def items(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> list[Object]:
        """All objects of a kind, of one namespace or all of them."""
        found, _ = await self._pages(resource.path(namespace), selecting(labels, fields))
        return [dict(item, apiVersion=resource.api, kind=resource.kind) for item in found]

    async def metadata(self, resource: Resource, namespace: str, *, labels: str) -> list[Object]:
        """Metadata alone of the objects of a kind: release Secrets are large."""
        found, _ = await self.snapshot(resource, namespace, labels=labels, metadata_only=True)
        return found

    async def get_metadata(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """Metadata alone of one object, None when there is none: whether a Secret is there, without its content."""
        try:
            return await self._object("GET", resource.path(namespace, name), accept=METADATA.format(""))
        except KubeError as error:
            if error.missing:
                return None
            raise

    async def snapshot(
        self, resource: Resource, namespace: str, *, labels: str, metadata_only: bool, fields: str = ""
    ) -> tuple[list[Object], str]:
        """All objects of a kind, and the resourceVersion from which a watch goes on."""
        more = {"accept": METADATA.format("List")} if metadata_only else {}
        return await self._pages(resource.path(namespace), selecting(labels, fields), **more)

    async def create(self, resource: Resource, body: Object) -> bool:
        """Create an object; False when one of that name is there already."""
        return await self._post(resource, body) is not None

    async def _post(self, resource: Resource, body: Object) -> Object | None:
        """The object as it was made; None when one of that name is there already."""
        try:
            return await self._object("POST", resource.path(body["metadata"].get("namespace")), body)
        except KubeError as error:
            if error.conflict:
                return None
            raise

    async def dry_run(self, resource: Resource, body: Object) -> None:
        """Ask whether an object would be created; nothing is kept. Raises KubeError with why it would not."""
        await self.raw("POST", resource.path(body["metadata"].get("namespace")), body, query={"dryRun": "All"})

    async def apply(self, resource: Resource, body: Object, manager: str) -> Object:
        """Server-side apply with force: the fields of ``body`` are ours."""
        meta = body["metadata"]
        query = {"fieldManager": manager, "force": "true"}
        path = resource.path(meta.get("namespace"), meta["name"])
        return await self._object("PATCH", path, body, query=query, kind=APPLY)

    async def patch(
        self, resource: Resource, name: str, body: Object, namespace: str | None = None, subresource: str = ""
    ) -> Object | None:
        """Merge patch (lists replace, null deletes); None when the object is gone."""
        try:
            return await self._object("PATCH", resource.path(namespace, name, subresource), body, kind=MERGE)
        except KubeError as error:
            if error.missing:
                return None
            raise

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, grace: int | None = None
    ) -> bool:
        """Delete an object; False when there was none. ``grace`` in seconds, for pods."""
        return await self._remove(resource, name, namespace, grace) is not None

    async def _remove(self, resource: Resource, name: str, namespace: str | None, grace: int | None) -> Object | None:
        """What the API server answers: the object that is going, or a Status; None when there was none."""
        body: Object = {"propagationPolicy": "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            return await self._object("DELETE", resource.path(namespace, name), body)
        except KubeError as error:
            if error.missing:
                return None
            raise
