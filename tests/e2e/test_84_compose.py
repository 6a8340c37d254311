"""``pdshub-compose``: a hub on this machine without Kubernetes, from a file: people sign in, start servers, read the
archive, find their homes again.

The engine is the one that runs the cluster's node: with podman its service speaks Docker's API to the hub, and
podman-compose starts the file; with Docker these are Docker's own. Everything is of one project, and taken away by id.
The archive's sources are the NAS's directories on this machine's disk.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from pdshub.archive import catalog
from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.hubclient import Person, SignInRefused

pytestmark = [pytest.mark.long, pytest.mark.alone]

NAME = "e2e84"
PROJECT = f"pdshub-{NAME}"
SECRET = "a password of the workshop"
SOCKET_GROUP = 2375
NETWORK = "10.197.0.0/16"
GIB = 1 << 30
LOOK = """
from pathlib import Path
top = Path("/archive/sbn")
files = [path for path in sorted(top.rglob("*")) if path.is_file()]
print(sorted(path.name for path in top.iterdir()), len(files) > 0, any(path.read_bytes() for path in files[:50]))
"""


@dataclass
class Hub:
    """The hub that runs on this machine."""

    cluster: Cluster
    folder: Path
    address: str
    compose: tuple[str, ...]
    socket: str

    def pdshub(self, *words: str, timeout: float = 300) -> str:
        """``pdshub-compose`` on this machine."""
        return self.cluster.run(sys.executable, "-m", "pdshub.compose.main", *words, timeout=timeout)

    def engine(self, *words: str) -> str:
        return self.cluster.engine(*words)

    def inspect(self, name: str) -> dict[str, Any]:
        """What the engine knows of a container."""
        found: dict[str, Any] = json.loads(self.engine("container", "inspect", name))[0]
        return found

    def containers(self) -> dict[str, str]:
        """Containers of the project and of its users: id by name."""
        lines = self.engine("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}").splitlines()
        pairs = (line.split() for line in lines)
        return {name: ident for ident, name, *_ in pairs if name == PROJECT or name.startswith(f"{PROJECT}-")}

    def person(self, name: str, password: str = SECRET) -> Person:
        return Person(self.address, name, password).sign_in()

    def logs(self) -> str:
        said = []
        for name, ident in self.containers().items():
            done = subprocess.run(
                [self.cluster.facts["ENGINE"], "logs", "--tail", "60", ident],
                env=self.cluster.environ, capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip
            said.append(f"--- {name}\n{done.stdout[-6000:]}{done.stderr[-6000:]}")
        return "\n".join(said)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def images(cluster: Cluster, stack: ExitStack) -> dict[str, str]:
    """The project's images as ``hack/up`` has built them, in the engine; those that were not there go at the end."""
    from devcluster import app_images
    from devcluster.settings import Paths

    made = {}
    for name in ("hub", "proxy", "user"):
        archive = app_images.built(Paths.from_environment(), name)
        assert archive, f"the {name} image of this checkout is not built: hack/up"
        ref = (archive.parent / "ref").read_text()
        try:
            cluster.engine("image", "inspect", ref)
        except CommandFailed:
            cluster.engine("load", "-i", str(archive), timeout=900)
            stack.callback(cluster.engine, "rmi", ref)
        made[name] = ref
    return made


PEOPLE = ("ada", "bela")


def manifests(cluster: Cluster, people: tuple[str, ...] = PEOPLE) -> str:
    """A hub for a workshop, and a view of the NAS's directories on this machine."""
    sources = [{"name": each, "local": {"path": str(cluster.nas_data / f"pds-{each}")}} for each in ("main", "mission")]
    tree = [
        {"path": "pds4", "layers": [{"source": "main", "path": "pds4"}]},
        {"path": "orex", "layers": [{"source": "mission", "path": "orex"}, {"source": "main", "path": "orex"}]},
    ]
    form = "catalog" if shutil.which(catalog.mkfs()[0]) else "live"
    view = {
        "apiVersion": "pdshub.dev/v1alpha1", "kind": "ArchiveView", "metadata": {"name": "workshop"},
        "spec": {"folder": "sbn", "sources": sources, "tree": tree, "form": form, "authority": {"settleSeconds": 0}},
    }  # fmt: skip
    hub = {
        "apiVersion": "pdshub.dev/v1alpha1", "kind": "PDSHub", "metadata": {"name": NAME, "namespace": "workshop"},
        "spec": {
            "title": "Workshop", "signIn": {"development": {}},
            "users": {"allowed": list(people), "admins": ["root-admin"]},
            "archive": {"viewRef": "workshop"},
            "server": {"startTimeoutSeconds": 300,
                       "resources": {"memory": {"limit": "1Gi"}, "cpu": {"limit": "1"}}},
        },
    }  # fmt: skip
    return yaml.safe_dump_all([hub, view])


def docker(cluster: Cluster, folder: Path, stack: ExitStack) -> tuple[str, tuple[str, ...]]:
    """The socket of Docker's API, and what starts Compose files."""
    if cluster.facts["ENGINE"] != "podman":
        return "/var/run/docker.sock", ("docker", "compose")
    path = folder / "docker.sock"
    service = subprocess.Popen(
        ["podman", "system", "service", "--time=0", f"unix://{path}"], env=cluster.environ,
        stdout=subprocess.DEVNULL, stderr=(folder / "service.log").open("wb"),
    )  # fmt: skip

    def end() -> None:
        service.terminate()
        try:
            service.wait(30)
        except subprocess.TimeoutExpired:
            service.kill()
            service.wait()

    stack.callback(end)
    eventually(path.exists, bool, within=60, what="podman's service listens")
    os.chown(path, 0, SOCKET_GROUP)
    path.chmod(0o660)
    return str(path), (sys.executable, "-m", "podman_compose", "--in-pod", "false")


def removed(cluster: Cluster, hub: Hub) -> None:
    """Takes all of the project away, by id."""
    for ident in hub.containers().values():
        cluster.engine("rm", "-f", ident)
    for kind in ("volume", "network"):
        for name in cluster.engine(kind, "ls", "--format", "{{.Name}}").split():
            if name.startswith(f"{PROJECT}-"):
                cluster.engine(kind, "rm", name)


@pytest.fixture(scope="module")
def hub(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    pytest.importorskip("podman_compose" if cluster.facts["ENGINE"] == "podman" else "requests")
    with running(cluster, tmp_path_factory.mktemp("compose")) as found:
        yield found


@contextmanager
def running(cluster: Cluster, root: Path, people: tuple[str, ...] = PEOPLE) -> Iterator[Hub]:
    """The hub, from a file to its first page; everything of it goes at the end."""
    folder, port = root / NAME, free_port()
    with ExitStack() as stack:
        named = images(cluster, stack)
        where, compose = docker(cluster, root, stack)
        found = Hub(cluster, folder, f"http://127.0.0.1:{port}", compose, where)
        removed(cluster, found)  # of a run that was killed
        stack.callback(removed, cluster, found)
        (root / "hub.yaml").write_text(manifests(cluster, people))
        flags = [f"--{name}-image={ref}" for name, ref in named.items()]
        found.pdshub(
            *("render", "-f", str(root / "hub.yaml"), "--to", str(folder), "--folder", str(folder), *flags),
            *("--publish", f"127.0.0.1:{port}", "--network", NETWORK),
        )
        with pytest.raises(CommandFailed, match="secrets/password"):
            found.pdshub("prepare", str(folder), "--socket", where)
        (folder / "secrets/password").write_text(f"{SECRET}\n")
        found.pdshub("prepare", str(folder), "--socket", where)
        found.pdshub("archive", "mount", str(folder))
        stack.callback(found.pdshub, "archive", "unmount", str(folder))
        if "form: catalog" in (folder / "archive/view.yaml").read_text():
            found.pdshub("archive", "survey", str(folder), "--now")
            assert "catalog" in found.pdshub("archive", "mount", str(folder))
        started(found, "up", "-d")
        try:
            eventually(lambda: answers(found), bool, within=180, what="the hub answers")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{found.logs()}") from None
        yield found


def started(hub: Hub, *words: str) -> None:
    """A command of Compose in the folder of the export."""
    done = subprocess.run(
        [*hub.compose, *words], cwd=hub.folder, env=hub.cluster.environ, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{hub.logs()}"


def answers(hub: Hub) -> bool:
    try:
        page = requests.get(f"{hub.address}/hub/login", timeout=10)
    except requests.RequestException:
        return False
    return page.status_code == 200 and "Workshop" in page.text


@pytest.fixture(scope="module")
def ada(hub: Hub) -> Person:
    """Somebody at work."""
    found = hub.person("ada")
    try:
        found.start(within=400)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{hub.logs()}") from None
    return found


@pytest.mark.parametrize(("name", "password"), [("eve", SECRET), ("ada", "another"), ("ada", "")])
def test_who_is_on_no_list_or_has_no_password_stays_out(hub: Hub, name: str, password: str) -> None:
    with pytest.raises(SignInRefused):
        hub.person(name, password)


def test_the_archive_is_there_and_read_only(hub: Hub, ada: Person) -> None:
    with ada.kernel() as kernel:
        assert kernel.run(LOOK).ok() == "['orex', 'pds4'] True True"
        refused = kernel.run("open('/archive/sbn/new', 'w')")
        assert "Read-only file system" in refused.error
        assert kernel.run("import os; print(os.environ['PDSHUB_ARCHIVE'], os.getuid())").ok() == "/archive/sbn 1000"


def test_a_server_has_its_limits_and_no_rights(hub: Hub, ada: Person) -> None:
    config = hub.inspect(f"{PROJECT}-server-ada")["HostConfig"]
    assert config["Memory"] == GIB
    assert config["CpuQuota"] == config["CpuPeriod"] or config.get("NanoCpus") == 10**9
    assert not config["Privileged"] and "docker.sock" not in json.dumps(config["Binds"])
    with ada.kernel() as kernel:
        status = kernel.run("print(open('/proc/self/status').read())").ok()
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(lines["CapBnd"], 16) == 0 and lines["NoNewPrivs"] == "1"


def test_a_home_is_its_owners_and_survives(hub: Hub, ada: Person) -> None:
    with ada.kernel() as kernel:
        kernel.run("open('/home/jovyan/mine.txt', 'w').write('kept')").ok()
    ada.stop()
    eventually(
        lambda: f"{PROJECT}-server-ada" in hub.containers(), lambda there: not there, within=60, what="it is gone"
    )
    ada.start(within=400)
    with ada.kernel() as kernel:
        assert kernel.run("print(open('/home/jovyan/mine.txt').read())").ok() == "kept"
    volumes = hub.engine("volume", "ls", "--format", "{{.Name}}").split()
    assert f"{PROJECT}-home-ada" in volumes and f"{PROJECT}-home-bela" not in volumes


def test_the_hub_restarts_under_a_server_that_runs(hub: Hub, ada: Person) -> None:
    with ada.kernel() as kernel:
        kernel.run("here = 42").ok()
        hub.engine("restart", f"{PROJECT}-hub")
        eventually(lambda: answers(hub), bool, within=180, what="the hub is back")
        kernel.connect()  # nobody answered the server's pings meanwhile, after which it closes
        assert kernel.run("print(here)").ok() == "42"
        eventually(
            lambda: ada.model().get("servers", {}).get("", {}).get("ready"), bool, within=120, what="it is known"
        )


def test_what_somebody_adds_to_the_sources_is_seen_by_a_server_that_runs(hub: Hub, ada: Person) -> None:
    new = hub.cluster.nas_data / "pds-main" / "pds4" / "e2e84.txt"
    new.write_text("new here\n")
    try:
        if "form: catalog" in (hub.folder / "archive/view.yaml").read_text():
            hub.pdshub("archive", "survey", str(hub.folder), "--now")
        hub.pdshub("archive", "mount", str(hub.folder))
        with ada.kernel() as kernel:
            assert kernel.run("print(open('/archive/sbn/pds4/e2e84.txt').read())").ok() == "new here"
    finally:
        new.unlink()


def test_who_is_taken_off_the_list_is_out_at_once(hub: Hub) -> None:
    bela = hub.person("bela")
    (hub.folder / "people/allowed.txt").write_text("ada\n")
    hub.pdshub("people", str(hub.folder))
    eventually(lambda: bela.call("GET", "/hub/api/user").status_code, lambda code: code in (401, 403), within=30,
               what="bela is out")  # fmt: skip
    with pytest.raises(SignInRefused):
        hub.person("bela")


def test_secrets_are_in_no_container_and_no_file_that_others_read(hub: Hub) -> None:
    secrets = [path.read_text().strip() for path in (hub.folder / "secrets").iterdir()]
    assert SECRET in secrets and len(secrets) == 3
    said = json.dumps([hub.inspect(ident) for ident in hub.containers().values()])
    said += "".join(p.read_text() for p in hub.folder.iterdir() if p.is_file())
    assert not any(secret in said for secret in secrets)


def test_stop_leaves_homes(hub: Hub, ada: Person) -> None:
    """As the last one: Compose takes its own away; servers go by id; volumes stay until somebody removes them."""
    ada.stop()
    started(hub, "down")
    eventually(lambda: not hub.containers(), bool, within=60, what="nothing runs")
    assert f"{PROJECT}-home-ada" in hub.engine("volume", "ls", "--format", "{{.Name}}").split()
