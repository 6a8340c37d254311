"""The container engine: docker if its daemon answers, else podman, which is installed where missing."""

from __future__ import annotations

import ipaddress
import json
import os
import resource
import shutil
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .machine import install_packages
from .run import StepFailed, output, run, succeeds
from .settings import CLUSTER, Paths

NETWORK = "kind"
LABEL = "pdshub.dev/made-by=hack"

# Debian's podman only recommends some of these, and takes crun where runc is meant
PODMAN_PACKAGES = ("podman", "runc", "conmon", "netavark", "aardvark-dns", "iptables", "catatonit", "buildah")


def containers_conf(hard_nofile: int, hard_nproc: int) -> str:
    """Settings of podman for this project, used through CONTAINERS_CONF; the user's own stay as they are.

    A container's limits can't be above those podman itself runs under. The node container's number of processes
    is not limited (podman's own default is 2048, for all pods together): each pod's is, by the kubelet.
    """

    def at_most(wanted: int, hard: int) -> int:
        return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)

    nofile, nproc = at_most(20000, hard_nofile), at_most(32768, hard_nproc)
    return f"""[containers]
default_ulimits = ["nofile={nofile}:{nofile}", "nproc={nproc}:{nproc}"]
pids_limit = 0
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
"""


@dataclass(frozen=True)
class Engine:
    """How to call docker or podman."""

    name: str
    env: dict[str, str] = field(default_factory=dict)

    def run(self, *args: str | Path, stdin: str | None = None, timeout: float | None = None) -> None:
        run([self.name, *args], env=self.env, stdin=stdin, timeout=timeout)

    def output(self, *args: str | Path, timeout: float | None = 120) -> str:
        return output([self.name, *args], env=self.env, timeout=timeout)

    def ok(self, *args: str | Path, timeout: float = 60) -> bool:
        return succeeds([self.name, *args], env=self.env, timeout=timeout)

    def inspect(self, container: str) -> dict[str, Any] | None:
        """What the engine believes about ``container``; None when it knows none of that name."""
        try:
            found = json.loads(self.output("container", "inspect", container))
        except StepFailed:
            return None
        return dict(found[0]) if found else None

    def remove(self, container: str, timeout: float = 60) -> bool:
        """Kill and remove ``container`` with its unnamed volumes."""
        # docker's rm kills at once and knows no -t
        return self.ok("rm", "-f", "-v", *(("-t", "0") if self.name == "podman" else ()), container, timeout=timeout)

    def settings(self) -> str:
        """Text of the project's own settings for the engine; they count when a container is created."""
        conf = self.env.get("CONTAINERS_CONF")
        return Path(conf).read_text() if conf else ""

    def has_image(self, ref: str) -> bool:
        return self.ok("image", "inspect", ref)


def find(paths: Paths) -> Engine:
    """The engine to use, installed if need be. Raises StepFailed when there can be none."""
    if shutil.which("docker") and succeeds(["docker", "info"], timeout=20):
        return Engine("docker")
    missing = [p for p in ("podman", "runc") if not shutil.which(p)]
    if missing:
        install_packages(PODMAN_PACKAGES)
    conf = paths.cache / "engine" / "containers.conf"
    text = containers_conf(resource.getrlimit(resource.RLIMIT_NOFILE)[1], resource.getrlimit(resource.RLIMIT_NPROC)[1])
    conf.parent.mkdir(parents=True, exist_ok=True)
    if not conf.exists() or conf.read_text() != text:
        conf.write_text(text)
    Path("/lib/modules").mkdir(exist_ok=True)  # kind mounts it into the node
    engine = Engine("podman", {"CONTAINERS_CONF": str(conf), "KIND_EXPERIMENTAL_PROVIDER": "podman"})
    try:
        engine.output("info", "--format", "{{.Version.Version}}", timeout=60)
    except StepFailed as e:
        raise StepFailed(f"podman is installed but does not run: {e}") from None
    os.environ.update(engine.env)
    return engine


def network(engine: Engine) -> ipaddress.IPv4Network:
    """IPv4 range of the network that kind uses, which is created if it is not there.

    It is made here and not by kind so that its range is one that the user chose: docker gives fixed
    addresses only in such networks.
    """
    if not engine.ok("network", "inspect", NETWORK):
        routes = output(["ip", "-4", "-o", "route"])
        wanted = free_range(routes)
        engine.run("network", "create", "--label", LABEL, "--subnet", str(wanted), NETWORK)
    found = json.loads(engine.output("network", "inspect", NETWORK))
    for subnet in subnets(found[0]):
        if subnet.version == 4:
            return ipaddress.IPv4Network(str(subnet))
    raise StepFailed(f"the network {NETWORK} has no IPv4 range: remove it ({engine.name} network rm {NETWORK})")


def subnets(description: dict[str, Any]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Ranges in the answer of ``network inspect``, of podman or docker."""
    ranges = description.get("subnets") or (description.get("IPAM") or {}).get("Config") or []
    return [ipaddress.ip_network(r.get("subnet") or r["Subnet"]) for r in ranges]


def free_range(routes: str) -> ipaddress.IPv4Network:
    """The first of 10.89.0.0/24, 10.89.1.0/24, … that no route of this machine touches.

    ``routes`` is what ``ip -4 -o route`` prints.
    """
    used = []
    for word in routes.split():
        try:
            net = ipaddress.IPv4Network(word, strict=False)
        except ValueError:
            continue
        if "/" in word:
            used.append(net)
    for third in range(256):
        net = ipaddress.IPv4Network(f"10.89.{third}.0/24")
        if not any(net.overlaps(u) for u in used):
            return net
    raise StepFailed("no free range in 10.89.0.0/16 for the containers' network")


def nas_address(net: ipaddress.IPv4Network, cluster_name: str = CLUSTER) -> str:
    """The fixed address of a cluster's NAS: high up, so that the addresses given out from below don't meet it.

    Other clusters than the usual one have one of a hundred others, by their name.
    """
    below = 0 if cluster_name == CLUSTER else 1 + zlib.crc32(cluster_name.encode()) % 100
    return str(net.broadcast_address - 5 - below)
