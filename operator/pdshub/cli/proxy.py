"""The commands of ``kubectl pdshub proxy``: files for a machine in front of the cluster, and a look at a live one."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pdshub.cli import hub_choice, proxy_check, terminal
from pdshub.cli.archive import CliError, Said
from pdshub.cli.hub_choice import HUBS, UseError, key
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.front_door import apache
from pdshub.front_door.layout import File
from pdshub.front_door.site import Certificates, HubSite, Machine, OtherSite, SiteError, Upstream

Json = dict[str, Any]
SERVICE = "proxy-public"
USERS = 50
"""How many people at a time a hub is rendered for that says nothing of it."""


def arguments(areas: Any, common: Callable[[], argparse.ArgumentParser]) -> None:
    """The command lines of ``proxy``."""
    commands = areas.add_parser("proxy", help="a machine in front of the cluster that ends TLS").add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    text = "write the files of a proxy machine: hubs, and other sites on the same address"
    sub = commands.add_parser("render", parents=[common()], help=text, description=text, conflict_handler="resolve")
    sub.add_argument("server", choices=("apache",), help="Apache httpd 2.4.47 or newer")
    sub.add_argument(
        "--hub", type=hub_choice.named, action="append", default=[], metavar="NAMESPACE/NAME",
        help="a hub; may be repeated (default: the only one)",
    )  # fmt: skip
    sub.add_argument(
        "--upstream", action="append", default=[], metavar="NAMESPACE/NAME=HOST:PORT",
        help="where that hub's proxy answers (default: its Service, type NodePort or LoadBalancer)",
    )  # fmt: skip
    sub.add_argument(
        "--site", action="append", default=[], metavar="NAME=/FOLDER|NAME=http://HOST:PORT",
        help="another site on the same address; may be repeated",
    )  # fmt: skip
    sub.add_argument(
        "--users", type=int, default=0, metavar="N",
        help=f"people at a time, of each hub (default: spec.quota.servers, or {USERS})",
    )  # fmt: skip
    sub.add_argument("--sockets", type=int, default=6, metavar="N", help="websockets of each of them (default 6)")
    sub.add_argument(
        "--certificates", choices=[str(one) for one in Certificates], default=str(Certificates.CERTBOT),
        help="who gets certificates: certbot, mod_md, or nobody here (files; default certbot)",
    )  # fmt: skip
    sub.add_argument("--email", default="", help="whom the certificate authority writes to")
    sub.add_argument("--directory", default="", metavar="URL", help="ACME directory (default: Let's Encrypt)")
    sub.add_argument("--dns-server", default="", metavar="HOST", help="name server for wildcards' proofs (RFC 2136)")
    sub.add_argument(
        "--behind", action="append", default=[], metavar="CIDR",
        help="a load balancer before this machine, whose X-Forwarded-For is believed",
    )  # fmt: skip
    sub.add_argument("-o", "--output", dest="folder", default="", metavar="DIR", help="default: all to standard output")
    sub.set_defaults(run=render, output="text")
    text = "try a live front door from outside, as browsers do"
    sub = commands.add_parser("check", parents=[common()], help=text, description=text)
    proxy_check.arguments(sub)
    sub.set_defaults(run=proxy_check.check)


def render(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Writes the files of a proxy machine: below DIR/root as they lie on it, or one after the other as text."""
    machine = machine_of(kubectl, args)
    files = apache.files(machine)
    manifest = apache.manifest(machine, files)
    if not args.folder:
        return manifest, "\n".join(f"# ===== {file.path} (mode {file.mode:04o})\n{file.text}" for file in files), 0
    folder = Path(args.folder)
    try:
        for file in files:
            _place(folder / "root", file)
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    except OSError as error:
        raise CliError(f"{error.filename}: {error.strerror}") from error
    lines = [f"{folder}/root{file.path}" for file in files]
    return manifest, "\n".join([*lines, f"{folder}/manifest.json: packages, modules, sites to enable"]), 0


def machine_of(kubectl: Kubectl, args: argparse.Namespace) -> Machine:
    """The proxy machine that the command line describes. Raises UseError."""
    try:
        return Machine(
            hubs=tuple(_hub(kubectl, args, hub) for hub in _hubs(kubectl, args)),
            others=tuple(OtherSite.parse(text) for text in args.site),
            certificates=Certificates(args.certificates),
            email=args.email,
            directory=args.directory,
            dns_server=args.dns_server,
            behind=tuple(args.behind),
            sockets_per_user=_positive(args.sockets, "--sockets"),
        )
    except SiteError as error:
        raise UseError(str(error)) from None


def _positive(number: int, flag: str) -> int:
    if number < 1:
        raise UseError(f"{flag} {number}: at least 1")
    return number


def _place(root: Path, file: File) -> None:
    path = root / file.path.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(file.text)
    os.chmod(path, file.mode)  # noqa: PTH101 - a mode as it is rendered, whatever the umask


def _hubs(kubectl: Kubectl, args: argparse.Namespace) -> list[Json]:
    if not args.hub:
        return [hub_choice.one(kubectl, args)]
    return [kubectl.get(HUBS, name, "-n", namespace) for namespace, name in args.hub]


def _hub(kubectl: Kubectl, args: argparse.Namespace, hub: Json) -> HubSite:
    """A site from a hub's spec. Raises UseError, SiteError."""
    namespace, name = key(hub)
    spec = hub.get("spec") or {}
    of = f"{namespace}/{name}"
    hostname = spec.get("hostname")
    if not isinstance(hostname, str) or not hostname:
        raise UseError(f"hub {of} has no spec.hostname: set the name that people go to")
    quota = (spec.get("quota") or {}).get("servers")
    users = args.users or (quota if isinstance(quota, int) and quota > 0 else USERS)
    if not (args.users or quota):
        terminal.write(sys.stderr, f"note: hub {of} is rendered for {USERS} people at a time: say how many by --users")
    return HubSite(
        name=hostname,
        upstream=_upstream(kubectl, args, of, namespace),
        key=of,
        subdomains=spec.get("isolation") == "Subdomain",
        users=users,
        title=_words(spec.get("title")),
        contact=_words(spec.get("contact")),
    )


def _words(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _upstream(kubectl: Kubectl, args: argparse.Namespace, of: str, namespace: str) -> Upstream:
    """Where the hub's proxy answers from outside of the cluster. Raises UseError."""
    said = dict(text.partition("=")[::2] for text in args.upstream)
    if of in said:
        return Upstream.parse(said[of])
    service = kubectl.get("service", SERVICE, "-n", namespace)
    try:
        nodes = kubectl.items("nodes")
        pods = kubectl.items("pods", "-n", namespace, "-l", "app=jupyterhub,component=proxy")
    except KubectlError:
        nodes, pods = [], []
    found = upstream_of(service, nodes, pods)
    if found is None:
        raise UseError(
            f"Service {namespace}/{SERVICE} can not be reached from outside of the cluster: "
            f"set spec.service.type to NodePort or LoadBalancer, or write --upstream {of}=HOST:PORT"
        )
    return found


def upstream_of(service: Json, nodes: list[Json], pods: Sequence[Json] = ()) -> Upstream | None:
    """A node's port, or the load balancer's address; None where there is neither. Raises SiteError.

    ``pods``: the proxy's. Their node comes first: it alone answers where the Service keeps clients' addresses.
    """
    at = {(pod.get("spec") or {}).get("nodeName") for pod in pods if "deletionTimestamp" not in pod["metadata"]}
    spec = service.get("spec") or {}
    ports = [port for port in spec.get("ports") or [] if port.get("name") in ("http", None)]
    port = ports[0] if ports else {}
    if spec.get("type") == "NodePort" and isinstance(port.get("nodePort"), int):
        for node in sorted(nodes, key=lambda one: (one["metadata"]["name"] not in at, str(one["metadata"]["name"]))):
            for address in (node.get("status") or {}).get("addresses") or []:
                if address.get("type") == "InternalIP":
                    return Upstream.parse(f"{_bracketed(str(address.get('address')))}:{port['nodePort']}")
    if spec.get("type") == "LoadBalancer" and isinstance(port.get("port"), int):
        for ingress in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []:
            if where := ingress.get("ip") or ingress.get("hostname"):
                return Upstream.parse(f"{_bracketed(str(where))}:{port['port']}")
    return None


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
