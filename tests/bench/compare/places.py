"""The three that are compared, each really started: Compose, the Littlest JupyterHub's components, a PDSHub.

Each is the same to whoever measures: people sign in by a form, start servers by the hub's API, and run cells there.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from tests.bench.compare import parts
from tests.bench.compare.littlest import Littlest
from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import SURVEYORS, SYSTEM, demo, namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person

if TYPE_CHECKING:
    from tests.e2e.site_machine import Machine
    from tests.e2e.test_84_compose import Hub as ComposeHub

SPACE, HUB = "bench-compare", "compare"
MACHINE = "pdshub-bench-littlest"
PASSWORD = "of the comparison"
LISTENER = 18110
"""Where a service of a machine listens that is nobody's business but the machine's."""
NFS, PROXY_API, TRAEFIK_API, KUBELET = 2049, 8001, 8099, 10250
Targets = dict[str, tuple[str, int]]


class Way:
    """One of them, while it runs."""

    name = ""
    home_bytes = 1 << 30
    """What a home is said to have, where it is said."""
    versions: dict[str, str]

    def person(self, name: str) -> Person:
        """Somebody who signed in."""
        raise NotImplementedError

    def parts(self) -> parts.Part:
        """What each process belongs to, by the containers, units or pods that there are now."""
        raise NotImplementedError

    def targets(self) -> Targets:
        """Addresses that a server has no business with."""
        raise NotImplementedError

    def run(self, *argv: str) -> str:
        """A command as whoever runs the machine. Raises an error where it fails."""
        raise NotImplementedError

    def reaches(self, host: str, port: int) -> bool:
        """Whether somebody answers there at all, for whoever runs the machine."""
        try:
            self.run("timeout", "10", "bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}")
        except Exception:  # engines and clusters each have their own
            return False
        return True

    def add(self, name: str) -> None:
        """Let somebody in, by hand as its pages say; they may sign in a while later."""
        raise NotImplementedError


class Compose(Way):
    """The export for one machine (docs/compose.md)."""

    name = "Compose"

    def __init__(self, cluster: Cluster, hub: ComposeHub, project: str) -> None:
        self.cluster, self.hub, self.project = cluster, hub, project
        engine = cluster.facts["ENGINE"]
        self.versions = {engine: cluster.engine("--version").split()[-1]}

    def person(self, name: str) -> Person:
        return self.hub.person(name)

    def parts(self) -> parts.Part:
        return parts.of_containers(self.hub.containers(), self.project)

    def targets(self) -> Targets:
        # of its networks the one that servers are in
        network = self.hub.inspect(f"{self.project}-proxy")["NetworkSettings"]["Networks"][f"{self.project}-servers"]
        return {
            "proxy": (network["IPAddress"], PROXY_API), "machine": (network["Gateway"], LISTENER),
            "nas": (self.cluster.facts["NAS_IP"], NFS),
        }  # fmt: skip

    def run(self, *argv: str) -> str:
        return self.cluster.run(*argv)

    def add(self, name: str) -> None:
        folder = self.hub.folder
        with (folder / "people/allowed.txt").open("a") as file:
            file.write(f"{name}\n")
        self.hub.pdshub("people", str(folder))


class OnMachine(Way):
    """The Littlest JupyterHub's components, on a Debian that is a container with systemd."""

    name = "TLJH"

    def __init__(self, cluster: Cluster, machine: Machine, people: tuple[str, ...]) -> None:
        self.cluster, self.machine = cluster, machine
        self.address = f"http://{machine.address}"
        self.littlest = Littlest(lambda text: self.run("bash", "-euo", "pipefail", "-c", text), self.put)
        self.versions = self.littlest.install(people)
        listener = ("python3", "-m", "http.server", "--bind", "127.0.0.1", str(LISTENER))
        self.run("systemd-run", "--unit=pdshub-bench-listener", "--working-directory=/srv", *listener)

    def put(self, path: str, text: str, mode: int) -> None:
        coded = base64.b64encode(text.encode()).decode()
        self.run("bash", "-euc", f"umask 077; echo {coded} | base64 -d >{path}; chmod {mode:o} {path}")

    def person(self, name: str) -> Person:
        return Person(self.address, name, PASSWORD).sign_in()

    def parts(self) -> parts.Part:
        state = json.loads(self.cluster.engine("container", "inspect", MACHINE))[0]
        return parts.of_machine(state["Id"])

    def targets(self) -> Targets:
        return {
            "proxy": ("127.0.0.1", TRAEFIK_API), "machine": ("127.0.0.1", LISTENER),
            "nas": (self.cluster.facts["NAS_IP"], NFS),
        }  # fmt: skip

    def run(self, *argv: str) -> str:
        return self.machine.run(*argv, timeout=1800)

    def add(self, name: str) -> None:
        self.littlest.add(name)


class OnCluster(Way):
    """A PDSHub on the running cluster."""

    name = "PDSHub"

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        version = json.loads(cluster.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
        (release,) = json.loads(cluster.run("helm", "list", "-n", SPACE, "-o", "json"))
        self.versions = {"Kubernetes": version, "chart": release["chart"]}

    def person(self, name: str) -> Person:
        return person(self.cluster, name, HUB, SPACE)

    def parts(self) -> parts.Part:
        node = json.loads(self.cluster.engine("container", "inspect", self.cluster.facts["NODE_CONTAINER"]))[0]
        return parts.of_cluster(node["Id"], self.cluster.items("pods"), SPACE, (SYSTEM, SURVEYORS))

    def targets(self) -> Targets:
        (node, *_) = self.cluster.items("nodes", "default")
        address = next(one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP")
        api = self.cluster.get("service", "kubernetes", "default")["spec"]["clusterIP"]
        return {
            "proxy": (self.cluster.get("service", "proxy-api", SPACE)["spec"]["clusterIP"], PROXY_API),
            "machine": (address, KUBELET), "nas": (self.cluster.facts["NAS_IP"], NFS), "cluster": (api, 443),
        }  # fmt: skip

    def run(self, *argv: str) -> str:
        return self.cluster.node(*argv)

    def add(self, name: str) -> None:
        words = ("users", "add", name, "--hub", f"{SPACE}/{HUB}", "--timeout", "180")
        self.cluster.run("kubectl", "pdshub", *words, timeout=240)


@contextmanager
def compose(cluster: Cluster, root: Path, people: tuple[str, ...]) -> Iterator[Way]:
    """As tests/e2e/test_84_compose.py starts it, with a service of the machine beside it."""
    from tests.e2e import test_84_compose as export

    argv = [sys.executable, "-m", "http.server", "--bind", "0.0.0.0", str(LISTENER)]  # noqa: S104
    empty = root / "listener"
    empty.mkdir(parents=True)
    listener = subprocess.Popen(argv, cwd=empty, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with export.running(cluster, root, people) as hub:
            yield Compose(cluster, hub, export.PROJECT)
    finally:
        listener.kill()
        listener.wait()


@contextmanager
def littlest(cluster: Cluster, root: Path, people: tuple[str, ...]) -> Iterator[Way]:
    """On a bare Debian, which is made when there is none and goes at the end."""
    from devcluster import build_settings
    from devcluster.engine import Engine
    from devcluster.run import log_to, output
    from devcluster.settings import Paths

    from tests.e2e import site_machine

    paths = Paths.from_environment()
    engine = Engine(cluster.facts["ENGINE"], {k: v for k, v in cluster.environ.items() if k == "CONTAINERS_CONF"})
    root.mkdir(parents=True, exist_ok=True)
    (root / "pip.conf").write_text(build_settings.pip_conf(output(["pip", "config", "list"]), cluster.environ))
    mounts = [f"{root}/pip.conf:/etc/pip.conf:ro"]
    if build_settings.CERTIFICATES.is_dir():
        mounts.append(f"{build_settings.CERTIFICATES}:{build_settings.CERTIFICATES}:ro")
    try:
        with log_to(paths.logs / "bench-littlest.log"):
            machine = site_machine.start(paths, engine, MACHINE, *mounts)
        way = OnMachine(cluster, machine, people)
        eventually(lambda: requests.get(f"{way.address}/hub/login", timeout=10).status_code == 200, within=180)
        yield way
    finally:
        site_machine.remove(engine, MACHINE)


@contextmanager
def pdshub(cluster: Cluster, root: Path, people: tuple[str, ...]) -> Iterator[Way]:
    """The demo hub with these people, in a namespace of its own."""
    del root
    users = {"allowed": list(people), "admins": ["admin"]}
    spec = variant(demo(cluster), HUB, SPACE, service={"type": "NodePort"}, users=users, culling={"enabled": False})
    namespace(cluster, SPACE)
    try:
        cluster.apply(spec)
        wait_ready(cluster, HUB, SPACE)
        ready = ("--for=condition=ArchiveReady", f"pdshub/{HUB}", "-n", SPACE, "--timeout=180s")
        cluster.kubectl("wait", *ready, timeout=190)
        yield OnCluster(cluster)
    finally:
        with suppress(CommandFailed):
            cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--ignore-not-found", "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", SPACE, "--ignore-not-found", "--wait=false")


WAYS = {"Compose": compose, "TLJH": littlest, "PDSHub": pdshub}
