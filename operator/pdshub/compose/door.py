"""What ends TLS on the machine: Caddy's configuration, or Apache's files. Pure.

Both are what PDSHub has elsewhere: the configuration of a hub's door, and the files of a proxy machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pdshub.api.hub_acme import LETS_ENCRYPT
from pdshub.api.hub_tls import is_public_name
from pdshub.compose.machine import Front, Machine
from pdshub.compose.source import Hub
from pdshub.compose.text import ExportError
from pdshub.front_door import apache
from pdshub.front_door.layout import File
from pdshub.front_door.site import Certificates, HubSite, SiteError, Upstream
from pdshub.front_door.site import Machine as Door
from pdshub.render import door_config

USERS = 50
"""People at a time, where the spec says nothing of it."""


def check(hub: Hub, machine: Machine) -> None:
    """Raises ExportError where this front can not be before this hub."""
    spec = hub.spec
    if machine.front is Front.NONE:
        return
    if not is_public_name(spec.hostname or ""):
        raise ExportError(f"--front {machine.front} needs spec.hostname, a public name, as hub.example.org")
    if machine.front is Front.CADDY:
        if not (spec.tls and (spec.tls.acme or spec.tls.secret)):
            raise ExportError(
                "--front caddy needs spec.tls.acme or spec.tls.secret, which say where certificates are from"
            )
        dns = spec.tls.acme.challenge.dns01 if spec.tls.acme else None
        if dns and dns.route53:
            raise ExportError(
                "spec.tls.acme.challenge.dns01.route53 has its credentials from a cluster: write rfc2136 or http01, or"
                " take --front apache"
            )


def caddy(hub: Hub, machine: Machine) -> dict[str, str]:
    """Caddy's configuration; nothing where it is not there."""
    if machine.front is not Front.CADDY:
        return {}
    made = door_config.config(hub.spec, "door-proxy:8000")
    _known_by_network(made)
    return {"caddy/caddy.json": json.dumps(made, indent=1, sort_keys=True) + "\n"}


def _known_by_network(made: Mapping[str, Any]) -> None:
    """In a cluster a secret says that the door asks; here it has a network to itself with the proxy."""
    for route in made["apps"]["http"]["servers"]["https"]["routes"]:
        for handler in route["handle"]:
            handler.get("headers", {}).get("request", {}).get("set", {}).pop("X-Pdshub-Door", None)


def apache_files(hub: Hub, machine: Machine) -> tuple[list[File], dict[str, Any]]:
    """Apache's files as they lie on the machine, and what else it needs; empty where it is not there."""
    if machine.front is not Front.APACHE:
        return [], {}
    spec = hub.spec
    acme = spec.tls.acme if spec.tls else None
    directory = acme.directory if acme and acme.directory != LETS_ENCRYPT else ""
    try:
        door = Door(
            hubs=(
                HubSite(
                    name=spec.hostname or "",
                    upstream=Upstream.parse(machine.publish),
                    key=f"{hub.namespace}/{hub.name}",
                    subdomains=spec.isolation == "Subdomain",
                    users=(spec.quota.servers if spec.quota else None) or USERS,
                    title=spec.title,
                    contact=spec.contact,
                ),
            ),
            certificates=Certificates.FILES if spec.tls and spec.tls.secret else Certificates.CERTBOT,
            email=acme.email if acme else "",
            directory=directory,
        )
    except SiteError as error:
        raise ExportError(str(error)) from None
    placed = apache.files(door)
    return placed, apache.manifest(door, placed)
