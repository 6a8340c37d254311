"""Why a hub's way of ending TLS is refused, beside what its spec alone tells. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_tls import HAS_DOOR, mode_of
from pdshub.installation import Defaults
from pdshub.render.names import Names
from pdshub.render.public_names import has_subdomains
from pdshub.render.trust import proxy_env

REFUSED = "TlsRefused"
"""Reason of a hub whose spec.tls is not installed."""


def tls_refusal(
    spec: PDSHubSpec, names: Names, defaults: Defaults, values: Mapping[str, Any], development: bool
) -> str:
    """What is wrong with ``spec.tls`` and what to do; empty when nothing is.

    ``values`` are what Helm would get, ``development`` whether the namespace is labelled for it.
    """
    mode = mode_of(spec.tls)
    if spec.tls is None:
        return ""
    if mode == "None" and not development:
        return (
            f"spec.tls.none is for development alone: choose offload, acme, secret, ingress, gateway or alb, or label "
            f"the namespace (kubectl label namespace {names.namespace} pdshub.dev/environment=development)"
        )
    if spec.tls.acme and has_subdomains(spec) and spec.tls.acme.challenge.dns01 is None:
        return (
            f"spec.tls.acme.challenge: with isolation Subdomain the certificate is for *.{spec.hostname} too, and CAs "
            f"give wildcards for dns01 alone: set challenge.dns01, or spec.isolation: Path"
        )
    if mode in HAS_DOOR and not defaults.images.door:
        return (
            f"spec.tls.{mode.lower()} needs the image of the hub's door, and this installation names none: set "
            f"defaults.images.door of the pdshub chart (./hack/images builds it), or choose offload"
        )
    if not defaults.images.proxy:
        return (
            "spec.tls needs PDSHub's image of the proxy, which judges X-Forwarded-* headers: set defaults.images.proxy "
            "of the pdshub chart (./hack/images builds it)"
        )
    return _values_refusal(spec, names, values)


def _at(values: Mapping[str, Any], *path: str) -> Any:
    found: Any = values
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _values_refusal(spec: PDSHubSpec, names: Names, values: Mapping[str, Any]) -> str:
    """Which value of the spec would end TLS somewhere else, or let others say who clients are."""
    if _at(values, "proxy", "https", "enabled"):
        return "spec.values.proxy.https is refused: spec.tls says who ends TLS: leave it out"
    env = _at(values, "proxy", "chp", "extraEnv")
    for name, value in proxy_env(spec, names).items():
        if not isinstance(env, Mapping) or env.get(name) != value:
            return (
                f"spec.values.proxy.chp.extraEnv is refused: it takes away or changes {name}, by which the proxy knows "
                f"whom to believe about clients: leave it out, and name addresses in spec.tls"
            )
    return ""
