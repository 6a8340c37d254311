"""Fixtures of the end-to-end suite: one cluster, hubs that are really installed.

Files run side by side with pytest-xdist: ``-n 3 --dist loadfile``. Those that share a fixture of the session run in
the same process (:data:`GROUPS`), in a namespace of that process. Tests marked ``alone`` restart or look at what all
share (the node, the kubelet, the plugin, the operator, the NAS): side by side they are left out.
"""

from __future__ import annotations

import base64
import copy
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.hubclient import Person
from tests.pictures import PROGRAM, Browser, browser

if TYPE_CHECKING:
    from tests.e2e.releases import Release

ROOT = Path(__file__).parents[2]
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
"""Which of the processes that run side by side this is; "" when there is one only."""
NAMESPACE = f"e2e-{WORKER}" if WORKER else "e2e"
SYSTEM = "pdshub-system"
SURVEYORS = "pdshub-surveyors"
HOMES_CLASS = "pdshub-homes"
"""The StorageClass of charts/pdshub that hack/up asks for."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """--chart: run every hub of the suite from this chart instead of the installation's default."""
    parser.addoption("--chart", default="", help="packaged Helm chart (.tgz) to install hubs from")
    parser.addoption("--long", action="store_true", help="also what is too long for every change")
    parser.addoption("--record", action="store_true", help="write day and commit into each runbook that was executed")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the suite's markers."""
    config.addinivalue_line("markers", "long: too long for every change; runs with --long")
    config.addinivalue_line("markers", "alone: restarts or looks at what all share; never side by side with others")


GROUPS = {
    "provider": ("test_62_google.py", "test_69_apache.py"),
    "release": ("test_25_generations.py", "test_29_proof.py"),
    "hub": (
        "test_10_apply.py",
        "test_20_archive.py",
        "test_30_homes.py",
        "test_40_bad_input.py",
        "test_96_network.py",
        "test_97_secrets.py",
        "test_98_escape.py",
    ),
}
"""Fixtures of the session that are worth making once, with the files that use them side by side."""
FIRST = ("test_60_namespace.py", *GROUPS)
"""What takes longest, so that none of it is begun last."""


def group(nodeid: str) -> str:
    """What a test shares with others that run in the same process: a fixture of the session, else its file."""
    file = Path(nodeid.partition("::")[0]).name
    return next((fixture for fixture, files in GROUPS.items() if file in files), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A group goes to one process, in the order of collection."""
    from xdist.scheduler import LoadFileScheduling

    class ByGroup(LoadFileScheduling):  # type: ignore[misc, unused-ignore]
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    config.option.loadscopereorder = False
    return ByGroup(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out long tests unless they were asked for; side by side those that want to be alone, and sort the groups.

    Raises pytest.UsageError when a file uses a fixture of another group side by side.
    """
    kept, left = [], []
    for item in items:
        is_long = item.get_closest_marker("long") and not config.getoption("--long")
        is_alone = WORKER and item.get_closest_marker("alone")
        (left if is_long or is_alone else kept).append(item)
        used = GROUPS.keys() & set(getattr(item, "fixturenames", ()))
        if used - {group(item.nodeid)} and not item.get_closest_marker("alone"):
            raise pytest.UsageError(f"{item.nodeid} uses {', '.join(used)}: add its file to GROUPS of conftest.py")
    if left:
        config.hook.pytest_deselected(items=left)
    if WORKER:
        turn = {name: number for number, name in enumerate(FIRST)}
        kept.sort(key=lambda item: turn.get(group(item.nodeid), len(turn)))
    items[:] = kept


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The running cluster. Hubs that were dismissed go side by side; at the end each is waited for."""
    found = Cluster.load()
    yield found
    found.see_off()


@pytest.fixture(scope="session")
def manifest(cluster: Cluster) -> dict[str, Any]:
    """What the archive generator wrote: every file of both exports, and facts about some."""
    found: dict[str, Any] = json.loads((cluster.nas_data / "manifest.json").read_text())
    return found


@pytest.fixture(scope="session")
def provider(cluster: Cluster) -> Iterator[str]:
    """Google's stand-in, whose address the installation has; gives its address on this machine."""
    from tests.e2e import google_hub

    with google_hub.provider(cluster) as address:
        yield address


RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


UNPRIVILEGED = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What the ``restricted`` standard asks of a container."""


def namespace(cluster: Cluster, name: str, *, development: bool = True, guarded: bool = True) -> str:
    """Make a namespace for a test; unless told otherwise a development one, which enforces Pod Security."""
    labels = {
        "pdshub.dev/hubs": "allowed",
        **({"pdshub.dev/environment": "development"} if development else {}),
        **(RESTRICTED if guarded else {}),
    }
    when = "jsonpath={.metadata.deletionTimestamp}"
    if cluster.kubectl("get", "namespace", name, "--ignore-not-found", "-o", when).strip():
        # the last run has just left it
        cluster.kubectl("wait", "--for=delete", f"namespace/{name}", "--timeout=180s", timeout=190)
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    return name


@pytest.fixture(scope="session")
def chart(
    cluster: Cluster, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """spec.chart of every hub: empty, or a chart repository in the cluster that serves --chart."""
    archive = request.config.getoption("--chart")
    if not archive:
        yield {}
        return
    made = tmp_path_factory.mktemp("repo")
    (made / Path(archive).name).write_bytes(Path(archive).read_bytes())
    cluster.run("helm", "repo", "index", str(made))
    files = {p.name: base64.b64encode(p.read_bytes()).decode() for p in made.iterdir()}
    version = yaml.safe_load((made / "index.yaml").read_text())["entries"]["jupyterhub"][0]["version"]
    name, where = "chart-repository", "e2e-charts"
    labels = {"app": name}
    pod = {
        "containers": [
            {
                "name": "http",
                "image": cluster.facts["IMAGE_OPERATOR"],
                "command": ["python3", "-m", "http.server", "-d", "/repo", "8000"],
                "volumeMounts": [{"name": "repo", "mountPath": "/repo"}],
                "securityContext": UNPRIVILEGED,
            }
        ],
        "volumes": [{"name": "repo", "configMap": {"name": name}}],
    }
    meta = {"name": name, "namespace": where}
    with one_at_a_time(tmp_path_factory):  # the same repository for all: its address is one that hubs may name
        namespace(cluster, where)
        cluster.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "binaryData": files},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, "labels": labels}, "spec": pod},
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": meta,
                "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8000}]},
            },
        )
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "-n", where, "--timeout=120s")
    yield {"source": "Repository", "repository": f"http://{name}.{where}.svc.cluster.local/", "version": version}
    if not WORKER:  # others may still use it, and the run of those that are alone comes after them
        cluster.kubectl("delete", "namespace", where, "--wait=false")


@contextmanager
def one_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No two processes of this run are in here at the same time."""
    base = tmp_path_factory.getbasetemp()
    with ((base.parent if WORKER else base) / "one-at-a-time.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def demo(cluster: Cluster) -> dict[str, Any]:
    """The hub of manifests/samples/demo.yaml, with this cluster's NAS and homes that have their size."""
    text = (ROOT / "manifests/samples/demo.yaml").read_text().replace("nas.example.org", cluster.facts["NAS_IP"])
    found: dict[str, Any] = next(d for d in yaml.safe_load_all(text) if d and d["kind"] == "PDSHub")
    found["spec"]["server"]["home"]["storageClassName"] = HOMES_CLASS  # as hack/up has it: homes with a size
    return found


@pytest.fixture(scope="session")
def sample(cluster: Cluster, chart: dict[str, str], manifest: dict[str, Any]) -> dict[str, Any]:
    """manifests/samples/demo.yaml with this cluster's NAS, its real data where there is some, and any port."""
    hub = demo(cluster)
    hub["metadata"] = {"name": "demo", "namespace": NAMESPACE}
    hub["spec"]["service"] = {"type": "NodePort"}
    hub["spec"]["users"] = {"allowed": ["ada", "bela"], "admins": ["root-admin"]}
    # the plain union by the order of layers; test_25 is about generations
    hub["spec"]["archive"]["inline"]["form"] = "live"
    if any(path.startswith("real/") for path in manifest["exports"]["pds-main"]):
        real = {"path": "real", "layers": [{"source": "main", "path": "real"}]}
        hub["spec"]["archive"]["inline"]["tree"].append(real)
    if chart:
        hub["spec"]["chart"] = chart
    return hub


def variant(sample: dict[str, Any], name: str, where: str, **spec: Any) -> dict[str, Any]:
    """The sample under another name, with fields of its spec replaced (None removes one)."""
    hub = copy.deepcopy(sample)
    hub["metadata"] = {"name": name, "namespace": where}
    for key, value in spec.items():
        if value is None:
            hub["spec"].pop(key, None)
        else:
            hub["spec"][key] = value
    return hub


def wait_ready(cluster: Cluster, name: str, where: str, seconds: int = 300) -> None:
    """Wait as an admin would: until the hub is Ready for the generation that was applied."""
    generation = cluster.get("pdshub", name, where)["metadata"]["generation"]
    eventually(
        lambda: cluster.get("pdshub", name, where).get("status", {}).get("observedGeneration"),
        lambda seen: seen == generation,
        within=seconds,
        what=f"the operator saw generation {generation} of {where}/{name}",
    )
    cluster.kubectl(
        "wait", "--for=condition=Ready", f"pdshub/{name}", "-n", where, f"--timeout={seconds}s", timeout=seconds + 10
    )


def password(cluster: Cluster, name: str, where: str) -> str:
    """The development password that the operator made for a hub."""
    encoded = cluster.get("secret", f"{name}-sign-in", where)["data"]["password"]
    return base64.b64decode(encoded).decode()


def person(cluster: Cluster, user: str, hub: str = "demo", where: str = NAMESPACE) -> Person:
    """A user who signed in to a hub."""
    address = cluster.get("pdshub", hub, where)["status"]["address"]
    return Person(address, user, password(cluster, hub, where)).sign_in()


@pytest.fixture(scope="session")
def hub(cluster: Cluster, sample: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The sample hub, applied and Ready, its archive too."""
    namespace(cluster, NAMESPACE)
    cluster.apply(sample)
    wait_ready(cluster, "demo", NAMESPACE)
    cluster.kubectl(
        "wait", "--for=condition=ArchiveReady", "pdshub/demo", "-n", NAMESPACE, "--timeout=180s", timeout=190
    )
    yield sample
    cluster.dismiss(NAMESPACE, "demo")


@pytest.fixture(scope="session")
def release(cluster: Cluster, sample: dict[str, Any]) -> Iterator[Release]:
    """A view with generations, a hub that shows it, and a person with a server."""
    from tests.e2e.releases import releasing  # which uses this module

    with releasing(cluster, sample) as made:
        yield made


@pytest.fixture(scope="session")
def people() -> dict[str, Person]:
    """Who has signed in so far."""
    return {}


def at_work(cluster: Cluster, people: dict[str, Person], user: str) -> Person:
    """A user with a running server; signed in anew where the hub was replaced meanwhile."""
    known = people.get(user)
    address = cluster.get("pdshub", "demo", NAMESPACE)["status"]["address"]
    if known is None or known.address != address or known.call("GET", f"/hub/api/users/{user}").status_code != 200:
        known = people[user] = person(cluster, user)
    known.start()
    return known


@pytest.fixture
def ada(cluster: Cluster, hub: dict[str, Any], people: dict[str, Person]) -> Person:
    """A user with a running server."""
    return at_work(cluster, people, "ada")


@pytest.fixture
def bela(cluster: Cluster, hub: dict[str, Any], people: dict[str, Person]) -> Person:
    """Another user with a running server."""
    return at_work(cluster, people, "bela")


@pytest.fixture
def eyes() -> Iterator[Browser]:
    """A browser with an empty profile."""
    if not PROGRAM:
        pytest.skip("needs chromium")
    with browser() as made:
        yield made
