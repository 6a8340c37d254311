"""NetworkPolicies of a hub: nothing reaches its pods and they reach nothing, but for what each role needs.

Policies add up: the first denies everything to every pod of the namespace, each other one allows a role what it needs.
They take the place of the chart's own, which the values switch off.
Source: Kubernetes, Network Policies; zero-to-jupyterhub 4.4, templates/*/netpol.yaml (who talks to whom, labels).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from pdshub import network_rules, ports
from pdshub.api.backup_repository import Repository
from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Installation
from pdshub.render import backup_repository, door, door_config
from pdshub.render.names import BACKUP_LABELS, RECOVERY_LABELS, Names, short
from pdshub.wellknown import API_VERSION

HUB, PROXY, SERVER, AUTOHTTPS = "hub", "proxy", "singleuser-server", "autohttps"
"""The label ``component`` of hub charts' pods. By it alone pods are selected: values cannot change it."""
HUB_PORT, PROXY_PORT, PROXY_TLS_PORT, PROXY_API_PORT, SERVER_PORT = 8081, 8000, 8443, 8001, 8888
_API_SERVER_PORTS = (443, 6443)
"""Ports of API servers, where only their addresses are known."""
Rule = dict[str, Any]
Allowed = tuple[str, list[Rule], list[Rule]]
"""The component of a role, and what may come in and go out."""


@dataclass(frozen=True)
class ApiServer:
    """Where pods reach the API server: addresses with their ports, or these ports at any address."""

    addresses: tuple[tuple[str, int], ...] = ()
    any_address: bool = False

    @classmethod
    def of(cls, ranges: Iterable[str]) -> ApiServer:
        """In these ranges, at the ports that API servers have."""
        return cls(tuple((cidr, port) for cidr in ranges for port in _API_SERVER_PORTS))


def _of_families(rules: Iterable[Rule], versions: frozenset[int]) -> list[Rule]:
    """Rules without addresses of a family that pods do not have. One that has nothing else is left out: a rule without
    peers would allow everybody."""
    found = []
    for rule in rules:
        side = next((key for key in ("from", "to") if key in rule), "")
        peers = [peer for peer in rule.get(side, ()) if _version(peer) in (0, *versions)]
        if peers or not side:
            found.append({**rule, side: peers} if side else rule)
    return found


def _version(peer: Rule) -> int:
    """4 or 6 for addresses, 0 for what is chosen by labels."""
    return ip_network(peer["ipBlock"]["cidr"]).version if "ipBlock" in peer else 0


def _tcp(*ports: int) -> list[Rule]:
    return [{"port": port, "protocol": "TCP"} for port in ports]


def _pods(*components: str) -> list[Rule]:
    return [{"podSelector": {"matchLabels": {"component": name}}} for name in components]


def _ip_blocks(blocks: Iterable[network_rules.Block]) -> list[Rule]:
    return [{"ipBlock": {key: value for key, value in block.items() if value}} for block in blocks]


def _to(component: str, *ports: int) -> Rule:
    return {"to": _pods(component), "ports": _tcp(*ports)}


def _from(components: Iterable[str], *ports: int) -> Rule:
    return {"from": _pods(*components), "ports": _tcp(*ports)}


def _name_service(installation: Installation) -> list[Rule]:
    dns = installation.network.dns
    ports = [{"port": port, "protocol": protocol} for port in dns.ports for protocol in ("UDP", "TCP")]
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": dns.namespace}}
    pods = [{"namespaceSelector": namespace, "podSelector": {"matchLabels": dict(dns.labels)}}]
    found = [{"to": pods, "ports": ports}]
    if dns.addresses:
        standard = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
        found.append({"to": _ip_blocks({"cidr": cidr} for cidr in dns.addresses), "ports": standard})
    return found


def _api_server(where: ApiServer) -> list[Rule]:
    if where.any_address:
        return [{"ports": _tcp(*_API_SERVER_PORTS)}]
    by_port: dict[int, list[network_rules.Block]] = {}
    for cidr, port in sorted(where.addresses):
        by_port.setdefault(port, []).append({"cidr": cidr})
    return [{"to": _ip_blocks(blocks), "ports": _tcp(port)} for port, blocks in sorted(by_port.items())]


def _internet(installation: Installation, *ports: int) -> list[Rule]:
    blocks = _ip_blocks(network_rules.internet(installation.private_ranges))
    return [{"to": blocks, **({"ports": _tcp(*ports)} if ports else {})}] if blocks else []


def _sign_in_service(installation: Installation) -> list[Rule]:
    """Google at its public addresses; a service of the installation's also at its ranges."""
    provider = installation.sign_in.google
    closed = [{"to": _ip_blocks({"cidr": cidr} for cidr in provider.ranges), "ports": _tcp(*provider.ports)}]
    return [*_internet(installation, *provider.ports), *(closed if provider.ranges else [])]


def _of_door(spec: PDSHubSpec, installation: Installation) -> list[Rule]:
    """Where a door gets certificates: its ACME directory, and the name server that it updates or looks at.

    Both at public addresses, and at those that the installation opens to doors.
    """
    acme = spec.tls.acme if spec.tls else None
    if acme is None:
        return []
    ports = [{"port": urlsplit(acme.directory).port or 443, "protocol": "TCP"}]
    if dns := acme.challenge.dns01:
        server = door_config.with_port(dns.rfc2136.server) if dns.rfc2136 else ":53"
        names = {53, int(server.rpartition(":")[2])}
        ports += [{"port": port, "protocol": protocol} for port in sorted(names) for protocol in ("TCP", "UDP")]
    if dns and dns.route53:
        ports.append({"port": 443, "protocol": "TCP"})
    unique = [port for number, port in enumerate(ports) if port not in ports[:number]]
    opened = [{"to": _ip_blocks({"cidr": cidr} for cidr in installation.network.acme_ranges), "ports": unique}]
    public = [{**rule, "ports": unique} for rule in _internet(installation)]
    return [*public, *(opened if installation.network.acme_ranges else [])]


def _of_repository(repository: Repository | None, installation: Installation) -> list[Rule]:
    """Where backups are kept, at its port alone; nothing for what is mounted.

    An address is that one. A name is none for a policy: public addresses, and those that the installation opens.
    """
    host, port = backup_repository.endpoint(repository) if repository else ("", 0)
    if not host:
        return []
    ranges = installation.backup.ranges
    if cidr := backup_repository.literal(host):
        shut = network_rules.closed_by(cidr, installation.private_ranges, ranges)
        return [] if shut else [{"to": _ip_blocks([{"cidr": cidr}]), "ports": _tcp(port)}]
    opened = [{"to": _ip_blocks({"cidr": cidr} for cidr in ranges), "ports": _tcp(port)}]
    return [*_internet(installation, port), *(opened if ranges else []), *_name_service(installation)]


def _egress(spec: PDSHubSpec, installation: Installation) -> list[Rule]:
    """What ``spec.network`` adds for servers. Ranges are judged before (installation.egress_refusal)."""
    if spec.network.egress == "internet":
        return _internet(installation)
    return [{"to": _ip_blocks({"cidr": cidr} for cidr in sorted(spec.network.cidrs))}] if spec.network.cidrs else []


def _roles(spec: PDSHubSpec, installation: Installation, api_server: ApiServer) -> dict[str, Allowed]:
    dns, api = _name_service(installation), _api_server(api_server)
    signs_in_elsewhere = spec.sign_in is not None and spec.sign_in.google is not None
    own_door: dict[str, Allowed] = {
        "door": (
            door.DOOR,
            [{"ports": _tcp(ports.DOOR_HTTP, ports.DOOR_HTTPS)}],
            [_to(PROXY, PROXY_PORT), *dns, *_of_door(spec, installation)],
        )
    }
    backs_up = _of_repository(spec.backup.repository if spec.backup else None, installation)
    recovers = _of_repository(spec.bootstrap.recovery.repository if spec.bootstrap else None, installation)
    return {
        **(own_door if door.has_door(spec) else {}),
        # without it the denial of everything stands: what is mounted needs no network
        **({"backup": (BACKUP_LABELS["component"], [], backs_up)} if backs_up else {}),
        **({"recovery": (RECOVERY_LABELS["component"], [], recovers)} if recovers else {}),
        "server": (
            SERVER,
            [_from((HUB, PROXY), SERVER_PORT)],
            [_to(HUB, HUB_PORT), _to(PROXY, PROXY_PORT), *dns, *_egress(spec, installation)],
        ),
        "hub": (
            HUB,
            [_from((PROXY, SERVER), HUB_PORT)],
            [
                _to(PROXY, PROXY_API_PORT),
                _to(SERVER, SERVER_PORT),
                *dns,
                *api,
                *(_sign_in_service(installation) if signs_in_elsewhere else []),
            ],
        ),
        "proxy": (
            PROXY,
            # people come through whatever stands in front: a node's port, a load balancer, an ingress controller
            [{"ports": _tcp(PROXY_PORT, PROXY_TLS_PORT)}, _from((HUB,), PROXY_API_PORT)],
            [_to(HUB, HUB_PORT), _to(SERVER, SERVER_PORT), *dns],
        ),
        # zero-to-jupyterhub's own TLS, where values ask for it: certificates by ACME, kept in a Secret
        "autohttps": (
            AUTOHTTPS,
            [{"ports": [{"port": name, "protocol": "TCP"} for name in ("http", "https")]}],
            [_to(PROXY, PROXY_PORT), *dns, *api, *_internet(installation, 80, 443)],
        ),
    }


def policies(
    spec: PDSHubSpec, names: Names, uid: str, installation: Installation, api_server: ApiServer
) -> list[dict[str, Any]]:
    """Every NetworkPolicy of a hub. ``uid`` is the PDSHub's: Kubernetes removes them with it."""
    versions = installation.network.versions()
    found = [_policy(names, uid, "deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})]
    for role, (component, ingress, egress) in _roles(spec, installation, api_server).items():
        body = {
            "podSelector": {"matchLabels": {"component": component}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": _of_families(ingress, versions),
            "egress": _of_families(egress, versions),
        }
        found.append(_policy(names, uid, role, body))
    return found


def _policy(names: Names, uid: str, role: str, spec: dict[str, Any]) -> dict[str, Any]:
    owner = {"apiVersion": API_VERSION, "kind": "PDSHub", "name": names.name, "uid": uid}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": short(names.name, "network", role),
            "namespace": names.namespace,
            "labels": names.labels,
            "ownerReferences": [owner],
        },
        "spec": network_rules.normal(spec),
    }


def chart_values(is_public: bool) -> dict[str, Any]:
    """Values that switch the chart's own policies off. ``is_public``: zero-to-jupyterhub, whose proxy has two parts."""
    off = {"networkPolicy": {"enabled": False}}
    traefik = {"traefik": off} if is_public else {}
    return {"hub": off, "proxy": {"chp": off, **traefik}, "singleuser": off}


_POLICY_VALUES = (("hub",), ("proxy", "chp"), ("proxy", "traefik"), ("singleuser",))


def values_trouble(values: dict[str, Any]) -> str:
    """Which of a PDSHub's own values would change a network policy of the chart; empty when none would."""
    for path in _POLICY_VALUES:
        found: Any = values
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, dict) and "networkPolicy" in found:
            field = ".".join(("spec.values", *path, "networkPolicy"))
            return (
                f"{field} is refused: PDSHub makes the network policies of hubs itself: leave it out, say what servers "
                f"reach in spec.network, and add a NetworkPolicy of your own for anything else"
            )
    return ""
