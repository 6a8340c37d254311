"""What is asked of a controller of the cluster that ends TLS: an Ingress, or HTTPRoutes. Pure.

Source: Kubernetes, Ingress v1; Gateway API 1.x, HTTPRoute v1; AWS Load Balancer Controller 2, Ingress annotations;
cert-manager 1, Annotated Ingress resource.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_tls import Alb, Gateway, Ingress, ParentRef
from pdshub.render.door import owner
from pdshub.render.names import Names, short
from pdshub.render.public_names import has_subdomains, public_names
from pdshub.render.trust import HSTS_SECONDS

PROXY, PROXY_PORT = "proxy-public", 80
GATEWAY_API = "gateway.networking.k8s.io/v1"
_ISSUER, _CLUSTER_ISSUER = "cert-manager.io/issuer", "cert-manager.io/cluster-issuer"
_ALB = "alb.ingress.kubernetes.io"
Object = dict[str, Any]


def _meta(names: Names, uid: str, name: str = "", annotations: dict[str, str] | None = None) -> Object:
    return {
        "name": name or names.door,
        "namespace": names.namespace,
        "labels": names.labels,
        **({"annotations": annotations} if annotations else {}),
        "ownerReferences": [owner(names, uid)],
    }


def _ingress(spec: PDSHubSpec, metadata: Object, class_name: str | None, tls: list[Object]) -> Object:
    backend = {"service": {"name": PROXY, "port": {"number": PROXY_PORT}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": {
            **({"ingressClassName": class_name} if class_name else {}),
            "rules": [{"host": name, "http": {"paths": paths}} for name in public_names(spec)],
            **({"tls": tls} if tls else {}),
        },
    }


def ingress(spec: PDSHubSpec, wanted: Ingress, names: Names, uid: str) -> Object:
    """The Ingress of mode ``ingress``."""
    issuer = {_ISSUER: wanted.issuer} if wanted.issuer else {}
    if wanted.cluster_issuer:
        issuer = {_CLUSTER_ISSUER: wanted.cluster_issuer}
    secret = wanted.secret_name or (short(names.name, "tls") if issuer else "")
    tls = [{"hosts": list(public_names(spec)), **({"secretName": secret} if secret else {})}]
    annotations = {**wanted.annotations, **issuer}
    return _ingress(spec, _meta(names, uid, annotations=annotations), wanted.class_name, tls)


def alb(spec: PDSHubSpec, wanted: Alb, names: Names, uid: str) -> Object:
    """The Ingress of mode ``alb``: pods are its targets, HTTP is sent to HTTPS, idle websockets live."""
    annotations = {
        f"{_ALB}/scheme": wanted.scheme,
        f"{_ALB}/target-type": "ip",
        f"{_ALB}/listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]',
        f"{_ALB}/ssl-redirect": "443",
        f"{_ALB}/healthcheck-path": "/_chp_healthz",
        f"{_ALB}/load-balancer-attributes": f"idle_timeout.timeout_seconds={wanted.idle_timeout_seconds}",
        **({f"{_ALB}/certificate-arn": wanted.certificate_arn} if wanted.certificate_arn else {}),
        **wanted.annotations,
    }
    return _ingress(spec, _meta(names, uid, annotations=annotations), wanted.class_name, [])


def _parents(refs: Sequence[ParentRef]) -> list[Object]:
    return [{"group": "gateway.networking.k8s.io", "kind": "Gateway", **ref.wire()} for ref in refs]


def _route(spec: PDSHubSpec, metadata: Object, refs: Sequence[ParentRef], rule: Object) -> Object:
    everything = [{"path": {"type": "PathPrefix", "value": "/"}}]
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": metadata,
        "spec": {
            "parentRefs": _parents(refs),
            "hostnames": list(public_names(spec)),
            "rules": [{"matches": everything, **rule}],
        },
    }


def gateway(spec: PDSHubSpec, wanted: Gateway, names: Names, uid: str) -> list[Object]:
    """The HTTPRoute of mode ``gateway``, and one that sends people from plain HTTP to it where that is asked for."""
    hsts = f"max-age={HSTS_SECONDS}" + ("; includeSubDomains" if has_subdomains(spec) else "")
    header = {"set": [{"name": "Strict-Transport-Security", "value": hsts}]}
    rule = {
        "filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": header}],
        "backendRefs": [{"group": "", "kind": "Service", "name": PROXY, "port": PROXY_PORT, "weight": 1}],
    }
    found = [_route(spec, _meta(names, uid), wanted.parent_refs, rule)]
    if wanted.redirect_from:
        # 308 is no status that every implementation knows (Gateway API, HTTPRequestRedirectFilter)
        to_https = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}
        metadata = _meta(names, uid, redirect_name(names))
        found.append(_route(spec, metadata, wanted.redirect_from, {"filters": [to_https]}))
    return found


def redirect_name(names: Names) -> str:
    """Name of the route that sends people to HTTPS."""
    return short(names.name, "door", "redirect")


def objects(spec: PDSHubSpec, names: Names, uid: str) -> list[Object]:
    """What the mode asks of a controller; nothing in the other modes."""
    if spec.tls is None:
        return []
    if spec.tls.ingress:
        return [ingress(spec, spec.tls.ingress, names, uid)]
    if spec.tls.alb:
        return [alb(spec, spec.tls.alb, names, uid)]
    if spec.tls.gateway:
        return gateway(spec, spec.tls.gateway, names, uid)
    return []
