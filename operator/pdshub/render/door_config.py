"""The configuration of a hub's door: Caddy's JSON, from the spec, purely.

Certificates come in without another configuration: ACME renews them inside of the running program, and those of a
Secret are read from the mounted files (hack/tools/caddy/mounted.go). So a renewal ends no connection. A new
configuration, for another host name, ends none either for a day (``stream_close_delay``).
Source: Caddy 2.11, JSON Config Structure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pdshub import ports
from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_acme import Acme, Dns01
from pdshub.render.public_names import has_subdomains, public_names
from pdshub.render.trust import HSTS_SECONDS

DATA, CONFIG, TLS, CA = "/data", "/etc/caddy", "/tls", "/acme-ca"
CA_FILE = f"{CA}/ca.crt"
CONFIG_FILE = "caddy.json"
TOKEN_ENV, TSIG_ENV = "PDSHUB_DOOR_TOKEN", "PDSHUB_TSIG_KEY"
PROXY = "proxy-public:80"
"""Where the hub's proxy is, in the same namespace."""
_MAX_HEADERS = 64 << 10
"""Bytes of a request's headers: a hub's cookies have some kilobytes."""
_HEADERS_SECONDS, _IDLE_SECONDS = "30s", "5m"
"""For sending the headers of a request (slowloris), and for a connection that waits for the next one."""
_STREAMS_GO_ON = "24h"
_STRIPPED = ("Forwarded", "X-Real-Ip", "X-Scheme", "X-Client-Ip", "True-Client-Ip", "X-Forwarded-Server")
"""Headers by which servers behind the door might be told a client that is none; X-Forwarded-For, -Proto and -Host are
set by Caddy, which believes nobody before it."""


def _provider(dns: Dns01) -> dict[str, Any]:
    if dns.rfc2136:
        found = dns.rfc2136
        return {
            "name": "rfc2136",
            "server": with_port(found.server),
            **({"zone": found.zone} if found.zone else {}),
            "key_name": found.key_name,
            "algorithm": found.algorithm,
            "key": f"{{env.{TSIG_ENV}}}",
        }
    assert dns.route53 is not None  # noqa: S101 - Dns01 refuses such a spec
    return {
        "name": "route53",
        **({"region": dns.route53.region} if dns.route53.region else {}),
        **({"hosted_zone_id": dns.route53.hosted_zone_id} if dns.route53.hosted_zone_id else {}),
    }


def with_port(server: str) -> str:
    """A name server as HOST:PORT; port 53 unless it names one."""
    bare = server.rpartition("]")[2] if server.startswith("[") else server
    return server if ":" in bare else f"{server}:53"


def _challenges(acme: Acme) -> dict[str, Any]:
    off = {"disabled": True}
    if acme.challenge.dns01 is None:
        return {"http": {"alternate_port": ports.DOOR_HTTP}, "tls-alpn": off}
    dns: dict[str, Any] = {"provider": _provider(acme.challenge.dns01)}
    if acme.challenge.dns01.rfc2136:
        # the server that is updated knows the zone and sees the record first
        dns["resolvers"] = [dns["provider"]["server"]]
    return {"http": off, "tls-alpn": off, "dns": dns}


def _issuer(acme: Acme) -> dict[str, Any]:
    return {
        "module": "acme",
        "ca": acme.directory,
        "email": acme.email,
        "challenges": _challenges(acme),
        **({"trusted_roots_pem_files": [CA_FILE]} if acme.ca_bundle else {}),
    }


def _tls(spec: PDSHubSpec) -> dict[str, Any]:
    """How certificates are had."""
    names = list(public_names(spec))
    if spec.tls and spec.tls.acme:
        policy = {"subjects": names, "issuers": [_issuer(spec.tls.acme)]}
        return {"certificates": {"automate": names}, "automation": {"policies": [policy]}}
    mounted = {"via": "mounted", "certificate": f"{TLS}/tls.crt", "key": f"{TLS}/tls.key"}
    return {"automation": {"policies": [{"get_certificate": [mounted]}]}}


def _hsts(spec: PDSHubSpec) -> str:
    return f"max-age={HSTS_SECONDS}" + ("; includeSubDomains" if has_subdomains(spec) else "")


def _proxy(spec: PDSHubSpec, upstream: str) -> dict[str, Any]:
    request = {
        "delete": list(_STRIPPED),
        "set": {"X-Forwarded-Port": ["443"], "X-Pdshub-Door": [f"{{env.{TOKEN_ENV}}}"]},
    }
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": upstream}],
        "headers": {"request": request, "response": {"set": {"Strict-Transport-Security": [_hsts(spec)]}}},
        "transport": {"protocol": "http", "dial_timeout": "5s"},
        "stream_close_delay": _STREAMS_GO_ON,
    }


def _server(port: int, routes: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "listen": [f":{port}"],
        "routes": routes,
        "automatic_https": {"disable": True},
        "protocols": ["h1", "h2"],
        "read_header_timeout": _HEADERS_SECONDS,
        "idle_timeout": _IDLE_SECONDS,
        "max_header_bytes": _MAX_HEADERS,
        **more,
    }


def config(spec: PDSHubSpec, upstream: str = PROXY) -> dict[str, Any]:
    """The whole configuration of the door of a hub with ``tls.acme`` or ``tls.secret``; ``upstream``: HOST:PORT."""
    ours = [{"host": list(public_names(spec))}]
    location = {"Location": ["https://{http.request.host}{http.request.uri}"]}
    redirect = {"handler": "static_response", "status_code": 308, "headers": location}
    # a name that is not the hub's is not asked for on this connection (RFC 9110, section 15.5.20)
    elsewhere = {"handle": [{"handler": "static_response", "status_code": 421}]}
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "storage": {"module": "file_system", "root": DATA},
        "logging": {"logs": {"default": {"encoder": {"format": "json"}}}},
        "apps": {
            "http": {
                "http_port": ports.DOOR_HTTP,
                "https_port": ports.DOOR_HTTPS,
                "grace_period": "30s",
                "servers": {
                    "http": _server(
                        ports.DOOR_HTTP, [{"match": ours, "handle": [redirect], "terminal": True}, elsewhere]
                    ),
                    "https": _server(
                        ports.DOOR_HTTPS,
                        [{"match": ours, "handle": [_proxy(spec, upstream)], "terminal": True}, elsewhere],
                        tls_connection_policies=[{}],
                    ),
                },
            },
            "tls": _tls(spec),
        },
    }


def text(document: Mapping[str, Any]) -> str:
    """The configuration as the file says it: the same spec gives the same bytes."""
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
