"""``docker-compose.yml``: hub, proxy, and Caddy where it ends TLS. Pure.

Source: Compose specification. Names of networks and volumes are fixed, as the spawner makes containers beside it.
"""

from __future__ import annotations

from typing import Any

from pdshub import ports
from pdshub.compose import hub_config
from pdshub.compose.machine import Front, Machine, gateway, trusted
from pdshub.compose.source import Hub
from pdshub.compose.text import Variable, comment, compose_yaml
from pdshub.render import isolation, notice, signin

TSIG_KEY = "tsig-key"
_HARD = {"restart": "unless-stopped", "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
_UID = 1000


def secrets(hub: Hub, machine: Machine) -> dict[str, bool]:
    """Names of files in ``secrets``: whether they can be made, or an administrator has to bring them."""
    found = {hub_config.PROXY_TOKEN: True, hub_config.CRYPT_KEY: True, hub_config.sign_in_secret(hub.spec): False}
    acme = hub.spec.tls.acme if hub.spec.tls else None
    if machine.front is Front.CADDY and acme and acme.challenge.dns01 and acme.challenge.dns01.rfc2136:
        found[TSIG_KEY] = False
    return found


def document(hub: Hub, machine: Machine) -> dict[str, Any]:
    """The Compose file. Raises ExportError."""
    services = {"hub": _hub(hub, machine), "proxy": _proxy(hub, machine)}
    networks = {
        "core": _network(f"{machine.project}-core", machine.core_range),
        "servers": _network(
            machine.servers_network, machine.servers_range, internal=hub.spec.network.egress != "internet"
        ),
    }
    if machine.front is Front.CADDY:
        networks["front"] = _network(f"{machine.project}-front", machine.front_range)
        services["door"] = _door(hub, machine)
    return {
        "name": machine.project,
        "services": services,
        "networks": networks,
        "volumes": {"hub-data": {"name": f"{machine.project}-data"}},
        "secrets": {name: {"file": f"./secrets/{name}"} for name in secrets(hub, machine)},
    }


def render(hub: Hub, machine: Machine, head: list[str]) -> str:
    """The file's text. ``head``: what people should know before they start it."""
    return f"{comment(head)}\n{compose_yaml(document(hub, machine))}"


def _network(name: str, subnet: str, internal: bool = False) -> dict[str, Any]:
    made = {"name": name, "driver": "bridge", "ipam": {"config": [{"subnet": subnet, "gateway": gateway(subnet)}]}}
    return {**made, **({"internal": True} if internal else {})}


def _hub(hub: Hub, machine: Machine) -> dict[str, Any]:
    return {
        "image": machine.images.of("hub"),
        "container_name": f"{machine.project}-hub",
        **_HARD,
        "user": f"{_UID}:{_UID}",
        # whom the socket belongs to: pdshub-compose prepare writes it into .env
        "group_add": [Variable("${DOCKER_GID:?run pdshub-compose prepare}")],
        "networks": {"core": {}, "servers": {}},
        "secrets": [hub_config.PROXY_TOKEN, hub_config.CRYPT_KEY, hub_config.sign_in_secret(hub.spec)],
        "volumes": [
            "./jupyterhub_config.py:/usr/local/etc/jupyterhub/jupyterhub_config.py:ro",
            f"./people/list:{signin.PEOPLE_DIRECTORY}:ro",
            f"./notice:{notice.DIRECTORY}:ro",
            "hub-data:/srv/jupyterhub",
            Variable("${DOCKER_SOCKET:-/var/run/docker.sock}:/var/run/docker.sock"),
        ],
        "depends_on": ["proxy"],
    }


def _proxy(hub: Hub, machine: Machine) -> dict[str, Any]:
    flags = ["--ip=0.0.0.0", "--port=8000", "--api-ip=0.0.0.0", "--api-port=8001"]
    flags += ["--error-target=http://hub:8081/hub/error"]
    flags += [isolation.FLAG] if hub.spec.isolation == "Subdomain" else []
    token = f"{hub_config.SECRETS}/{hub_config.PROXY_TOKEN}"
    # a variable of the container would be in docker inspect
    program = f'CONFIGPROXY_AUTH_TOKEN="$(cat {token})" && export CONFIGPROXY_AUTH_TOKEN && exec '
    networks: dict[str, Any] = {"core": {}, "servers": {}}
    if machine.front is Front.CADDY:
        networks["front"] = {"aliases": ["door-proxy"]}
    made: dict[str, Any] = {
        "image": machine.images.of("proxy"),
        "container_name": f"{machine.project}-proxy",
        **_HARD,
        "command": ["sh", "-c", f"{program}configurable-http-proxy {' '.join(flags)}"],
        "environment": {"PROXY_TRUSTED": trusted(hub.spec, machine)},
        "networks": networks,
        "secrets": [hub_config.PROXY_TOKEN],
    }
    if machine.front is not Front.CADDY:
        made["ports"] = [f"{machine.publish}:8000"]
    return made


def _door(hub: Hub, machine: Machine) -> dict[str, Any]:
    program = "exec caddy run --config /etc/caddy/caddy.json"
    needs = [TSIG_KEY] if TSIG_KEY in secrets(hub, machine) else []
    if needs:
        program = f'PDSHUB_TSIG_KEY="$(cat {hub_config.SECRETS}/{TSIG_KEY})" && export PDSHUB_TSIG_KEY && {program}'
    acme = hub.spec.tls.acme if hub.spec.tls else None
    volumes = ["./caddy:/etc/caddy:ro", "./door-data:/data"]
    volumes += ["./acme-ca:/acme-ca:ro"] if acme and acme.ca_bundle else []
    volumes += [] if acme else ["./tls:/tls:ro"]
    return {
        "image": machine.images.of("door"),
        "container_name": f"{machine.project}-door",
        **_HARD,
        "entrypoint": ["sh", "-c", program],
        "ports": [f"80:{ports.DOOR_HTTP}", f"443:{ports.DOOR_HTTPS}"],
        "networks": {"front": {}},
        "volumes": volumes,
        **({"secrets": needs} if needs else {}),
        "depends_on": ["proxy"],
    }
