"""Whom the hub's proxy believes about clients, and what the hub takes for its own address: Helm values.

configurable-http-proxy passes on X-Forwarded-* of anybody and adds its own peer behind them; JupyterHub takes the
leftmost protocol, and Tornado the headers X-Real-Ip and X-Scheme. So the headers are judged where people come in, by
``images/proxy/forwarded.cjs``, which these variables switch on.
Source: configurable-http-proxy 5 (--no-x-forward), Tornado 6 (httputil, _apply_xheaders), JupyterHub 5 (public_url).
"""

from __future__ import annotations

from typing import Any

from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_tls import HAS_DOOR, mode_of
from pdshub.render.names import Names

TRUSTED_ENV, DOOR_ENV, HSTS_ENV = "PROXY_TRUSTED", "PROXY_DOOR_TOKEN", "PROXY_HSTS"
DOOR_TOKEN_KEY = "token"  # noqa: S105 - the name of a key
HSTS_SECONDS = 31536000
"""For how long browsers use HTTPS alone: a year (RFC 6797, section 6.1.1)."""


def proxy_env(spec: PDSHubSpec, names: Names) -> dict[str, Any]:
    """Variables of the proxy's container; none for a hub that says nothing of TLS."""
    mode = mode_of(spec.tls)
    if spec.tls is None:
        return {}
    found: dict[str, Any] = {TRUSTED_ENV: ",".join(spec.tls.trusted)}
    if mode in HAS_DOOR:
        found[DOOR_ENV] = {"valueFrom": {"secretKeyRef": {"name": names.door, "key": DOOR_TOKEN_KEY}}}
    if mode in ("Ingress", "Alb"):
        # a Gateway and the hub's own door set it themselves, and so does what stands before the cluster
        found[HSTS_ENV] = str(HSTS_SECONDS)
    return found


def render(spec: PDSHubSpec, names: Names) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values below ``hub`` and below ``proxy``.

    With its public address the hub marks its cookies Secure and names https in what it sends people to, whatever
    headers come in.
    """
    env, mode = proxy_env(spec, names), mode_of(spec.tls)
    hub: dict[str, Any] = {}
    if spec.hostname and mode not in ("", "None"):
        # the cookie _xsrf goes by these options alone, and so do the cookies of users' servers
        cookies = {"cookie_options": {"secure": True}}
        hub = {"config": {"JupyterHub": {"public_url": f"https://{spec.hostname}/", "tornado_settings": cookies}}}
    return hub, {"chp": {"extraEnv": env}} if env else {}
