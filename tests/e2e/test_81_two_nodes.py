"""Two nodes: homes, the archive, backups and restores on the one that is not the hub's; what is said when it is away.

The second node joins the cluster for these tests and leaves it (hack/lib/devcluster/worker.py). What shall start on one
of them starts while the other is cordoned. Tests go by each other.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from devcluster import engine, worker
from devcluster.settings import Paths

from pdshub import generation_id
from pdshub.server_trouble.trouble import WORDS, Kind
from pdshub.wellknown import HOMES_NODE
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import SYSTEM, person, wait_ready
from tests.e2e.hubclient import Person
from tests.e2e.releases import FOLDER, OTES, SPACE, VIEW, Release
from tests.e2e.s3_service import keys, place, s3_service

# a node comes, is drained, and goes
pytestmark = [pytest.mark.alone, pytest.mark.long]
HUB, PORT = "releases", 18099
API = "pdshub.dev/v1alpha1"
ENDED = ("Completed", "PartiallyCompleted", "Failed")
BUNDLE = f"{FOLDER}/data/{OTES}/bundle_{OTES}.xml"
DIGEST = "import hashlib; print(hashlib.sha256(open({path!r}, 'rb').read()).hexdigest())"
WRITE = """
import hashlib, os
from pathlib import Path
data = os.urandom(300_000)
Path.home().joinpath("two-nodes.bin").write_bytes(data)
print(hashlib.sha256(data).hexdigest())
"""
FOUND = """
import hashlib
from pathlib import Path
for p in sorted(Path.home().rglob("two-nodes.bin")):
    print(p.relative_to(Path.home()), hashlib.sha256(p.read_bytes()).hexdigest())
"""
SOON = 240.0
"""Seconds of a whole run here; a Job that waits for a node is given up after ten minutes."""


@dataclass
class Two:
    """The two nodes, and the hub whose people work on both."""

    cluster: Cluster
    first: str
    second: str
    release: Release
    ada: Person
    bela: Person
    vault: str = ""

    def node_of(self, user: str) -> str:
        found = self.cluster.get("pod", f"jupyter-{user}", SPACE)["spec"].get("nodeName")
        return str(found or "")

    def inside(self, *argv: str) -> str:
        """A command on the second node."""
        return self.cluster.engine("exec", self.second, *argv)


@contextmanager
def only(cluster: Cluster, node: str, other: str) -> Iterator[None]:
    """What starts meanwhile starts on this node."""
    cluster.kubectl("uncordon", node)
    cluster.kubectl("cordon", other)
    try:
        yield
    finally:
        cluster.kubectl("uncordon", other)


@contextmanager
def second_node(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Names of both nodes; the second one runs the parts that each node has, and is cordoned."""
    paths = Paths.from_environment()
    found = engine.find(paths)
    worker.leave(paths, found)  # of a run that was killed
    (first,) = (node["metadata"]["name"] for node in cluster.items("nodes"))
    cluster.kubectl("uncordon", first)
    try:
        second = worker.join(paths, found)
        cluster.kubectl("cordon", second)
        eventually(
            lambda: [one["metadata"]["name"] for one in cluster.items("daemonsets", SYSTEM) if not runs_on_two(one)],
            lambda waiting: waiting == [],
            within=300,
            what="every DaemonSet runs on both nodes",
        )
        yield first, second
    finally:
        worker.leave(paths, found)


def runs_on_two(daemon_set: dict[str, Any]) -> bool:
    """Whether it is ready on both nodes: kubectl knows no rollout of one that is left alone by upgrades (OnDelete)."""
    status = daemon_set["status"]
    return bool(status["desiredNumberScheduled"] == status.get("numberReady", 0) == 2)


def volume_of(cluster: Cluster, claim: str) -> dict[str, Any]:
    return cluster.get("pv", cluster.get("pvc", claim, SPACE)["spec"]["volumeName"])


def give_up(two: Two) -> None:
    """The home on the second node goes with its data, while there is who can remove it."""
    cluster = two.cluster
    cluster.kubectl("uncordon", two.second)
    if not cluster.kubectl("get", "pvc", "claim-bela", "-n", SPACE, "--ignore-not-found", "-o", "name"):
        return
    two.bela.stop()
    volume = volume_of(cluster, "claim-bela")["metadata"]["name"]
    cluster.kubectl("delete", "pvc", "claim-bela", "-n", SPACE, "--timeout=120s", timeout=130)
    cluster.give_up(volume)


def backed_up_to(cluster: Cluster, repository: dict[str, Any] | None) -> None:
    """spec.backup of the hub; each test asks for its runs."""
    wanted = {"schedule": "@daily-random", "suspend": True, "repository": repository} if repository else None
    cluster.kubectl("patch", "pdshub", HUB, "-n", SPACE, "--type=json", "-p", _replaced(cluster, wanted))
    wait_ready(cluster, HUB, SPACE)


def _replaced(cluster: Cluster, backup: dict[str, Any] | None) -> str:
    """A JSON patch: a merge would leave what the former repository said."""
    there = "backup" in cluster.get("pdshub", HUB, SPACE)["spec"]
    if backup is None:
        return json.dumps([{"op": "remove", "path": "/spec/backup"}] if there else [])
    return json.dumps([{"op": "add", "path": "/spec/backup", "value": backup}])


@pytest.fixture(scope="module")
def two(
    cluster: Cluster, release: Release, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Two, dict[str, Any]]]:
    """Both nodes, ada's server on the first, bela's on the second, and a repository by S3 that both reach."""
    release.person.start()
    with (
        second_node(cluster) as (first, second),
        s3_service(cluster, tmp_path_factory.mktemp("s3"), PORT) as service,
    ):
        made = Two(cluster, first, second, release, release.person, person(cluster, "bela", HUB, SPACE))
        cluster.apply(keys(SPACE))
        cluster.kubectl("delete", "hubbackups,hubrestores", "--all", "-n", SPACE)  # of a run that was killed
        repository = place(service, "two-nodes")
        backed_up_to(cluster, repository)
        try:
            with only(cluster, second, first):
                made.bela.start()
            yield made, repository
        finally:
            try:
                backed_up_to(cluster, None)
            finally:
                give_up(made)


def ask(cluster: Cluster, kind: str, name: str, **spec: Any) -> None:
    """Make a HubBackup or a HubRestore."""
    meta = {"name": name, "namespace": SPACE}
    cluster.apply({"apiVersion": API, "kind": kind, "metadata": meta, "spec": {"hub": HUB, **spec}})


def ended(cluster: Cluster, kind: str, name: str, within: float = SOON) -> dict[str, Any]:
    found: dict[str, Any] = eventually(
        lambda: cluster.get(kind, name, SPACE).get("status", {}),
        lambda status: status.get("phase") in ENDED,
        within=within,
        what=f"{kind} {name} ends",
    )
    return found


def saved(cluster: Cluster, name: str, **spec: Any) -> dict[str, dict[str, Any]]:
    """A run; its items by their names, and under "" its status."""
    ask(cluster, "HubBackup", name, **spec)
    status = ended(cluster, "hubbackup", name)
    return {"": status, **{item["item"]: item for item in status["items"]}}


def backed_up(cluster: Cluster, status: str, run: str) -> dict[str, Any]:
    """Condition BackedUp, once it speaks of a run."""
    found: dict[str, Any] = eventually(
        lambda: cluster.condition("pdshub", HUB, "BackedUp", SPACE),
        lambda said: said.get("status") == status and run in said.get("message", ""),
        within=60,
        what=f"BackedUp is {status} by {run}",
    )
    return found


Both = tuple[Two, dict[str, Any]]


def test_a_home_lies_on_the_node_where_its_owner_works(two: Both) -> None:
    made, _ = two
    assert (made.node_of("ada"), made.node_of("bela")) == (made.first, made.second)
    terms = volume_of(made.cluster, "claim-bela")["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert terms == [{"matchExpressions": [{"key": HOMES_NODE, "operator": "In", "values": [made.second]}]}]
    with made.bela.kernel() as kernel:  # the hub and its proxy are on the other node
        digest = kernel.run(WRITE).ok()
        assert digest in kernel.run(FOUND).ok()


def test_the_archive_is_the_same_there_to_the_byte(two: Both) -> None:
    made, _ = two
    wanted = hashlib.sha256((made.release.mission / OTES / f"bundle_{OTES}.xml").read_bytes()).hexdigest()
    for someone in (made.ada, made.bela):
        with someone.kernel() as kernel:
            # a volume waits for no NAS, and the second node mounts its first
            eventually(
                lambda: kernel.run(DIGEST.format(path=BUNDLE)).text.strip(),
                lambda found: found == wanted,
                within=180,
                what=f"{someone.name} reads the bytes of the NAS",
            )
            refused = kernel.run(f"open({BUNDLE!r}, 'ab')")
            assert "Error" in refused.error


def test_its_plugin_fetches_what_is_released(two: Both) -> None:
    """A generation that is made now comes over TLS from the surveyor, which is on the other node, into its store."""
    made, _ = two
    before = made.release.released()
    source = made.cluster.nas_data / "pds-mission/orex/orex.ola"
    shutil.copytree(source, made.release.mission / "orex.ola")  # goes with the view
    made.release.plugin("archive", "refresh", VIEW, "--wait")
    name = made.release.released(before)
    shown = {row["name"]: row["generation"] for row in made.release.status["nodes"]}
    assert shown == {made.first: name, made.second: name}
    kept = made.inside("find", "/var/lib/kubelet/plugins", "-maxdepth", "3", "-name", generation_id.digits(name))
    assert kept.strip().endswith(generation_id.digits(name))
    with made.bela.kernel() as kernel:
        seen = "import json; print(json.load(open('/archive/.pdshub/generation.json'))['generation'])"
        eventually(lambda: kernel.run(seen).ok(), lambda found: found == name, what="bela sees it")


def test_homes_of_both_nodes_are_saved_each_where_it_lies(two: Both) -> None:
    made, _ = two
    cluster = made.cluster
    ask(cluster, "HubBackup", "both", users=["ada", "bela"])
    nodes: dict[str, str] = {}
    deadline = time.monotonic() + SOON
    while cluster.get("hubbackup", "both", SPACE).get("status", {}).get("phase") not in ENDED:
        assert time.monotonic() < deadline, cluster.get("hubbackup", "both", SPACE)["status"]
        for pod in cluster.items("pods", SPACE, "component=backup"):
            job = pod["metadata"]["labels"].get("batch.kubernetes.io/job-name", "")
            nodes[job] = pod["spec"].get("nodeName") or nodes.get(job, "")
    status = ended(cluster, "hubbackup", "both")
    assert status["phase"] == "Completed", status
    assert {item["how"] for item in status["items"]} == {"Snapshot"}, "each node's driver has checkpoints"
    assert (nodes.get("both-i0"), nodes.get("both-i1")) == (made.first, made.second)


def test_a_file_comes_back_on_the_second_node(two: Both) -> None:
    made, _ = two
    with made.bela.kernel() as kernel:
        digest = kernel.run(FOUND).ok().split()[-1]
        kernel.run("from pathlib import Path; Path.home().joinpath('two-nodes.bin').unlink()").ok()
    ask(made.cluster, "HubRestore", "there", user="bela", path="two-nodes.bin")
    restored = ended(made.cluster, "hubrestore", "there")
    assert restored["phase"] == "Completed", restored
    with made.bela.kernel() as kernel:  # her server ran all the while
        assert digest in kernel.run(FOUND).ok()


def test_a_repository_on_one_node_takes_no_home_of_another_and_says_so(two: Both) -> None:
    """A claim on the first node's disk: bela's home is named at once, and everything else is saved."""
    made, repository = two
    cluster = made.cluster
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": "vault", "namespace": SPACE}
    cluster.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": claim})
    backed_up_to(cluster, {"claim": {"name": "vault"}})
    try:
        with only(cluster, made.first, made.second):
            assert saved(cluster, "vault-made", users=["ada"])[""]["phase"] == "Completed"
        items = saved(cluster, "apart")
        assert items[""]["phase"] == "PartiallyCompleted", items
        assert items["home/ada"]["phase"] == items["keys"]["phase"] == items["database"]["phase"] == "Completed"
        said = items["home/bela"]
        assert said["phase"] == "Failed" and said["message"].startswith("Apart: ")
        assert all(word in said["message"] for word in ("vault", "claim-bela", made.first, made.second))
        assert "Apart" in backed_up(cluster, "False", "apart")["message"]
        ask(cluster, "HubRestore", "apart", user="bela", path="two-nodes.bin")
        assert ended(cluster, "hubrestore", "apart", 60)["message"].startswith("Apart: ")
    finally:
        backed_up_to(cluster, repository)


def test_a_node_that_does_not_answer_is_named(two: Both) -> None:
    """Its kubelet is gone, and with it whoever could run a Job there. What was saved is there for whoever needs it."""
    made, _ = two
    cluster = made.cluster
    made.inside("systemctl", "stop", "kubelet")
    try:
        cluster.kubectl("wait", "--for=condition=Ready=Unknown", f"node/{made.second}", "--timeout=180s", timeout=190)
        items = saved(cluster, "silent", users=["ada", "bela"])
        assert items["home/ada"]["phase"] == "Completed"
        assert items["home/bela"]["message"].startswith("NodeAway: ") and "not ready" in items["home/bela"]["message"]
    finally:
        made.inside("systemctl", "start", "kubelet")
        cluster.kubectl("wait", "--for=condition=Ready", f"node/{made.second}", "--timeout=180s", timeout=190)
    assert saved(cluster, "answers-again", users=["bela"])[""]["phase"] == "Completed"


def drained(made: Two) -> None:
    """As who mends a node does."""
    words = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=180s")
    made.cluster.kubectl("drain", made.second, *words, timeout=200)


def told_while_starting(someone: Person, word: str) -> str:
    """What the page of a server that starts says, until it says this word."""
    path = f"/hub/api/users/{someone.slug}/server/progress"
    said: list[str] = []
    with someone.call("GET", path, stream=True, timeout=180) as reply:
        for line in reply.iter_lines():
            if line.startswith(b"data:"):
                said.append(str(json.loads(line[5:]).get("message", "")))
                if word in said[-1]:
                    return said[-1]
    raise AssertionError(f"the page says nothing of {word!r}: {said}")


def test_a_drained_node_is_said_and_all_goes_on_after_it(two: Both) -> None:
    made, _ = two
    cluster, bela = made.cluster, made.bela
    with made.ada.kernel() as working:
        drained(made)
        assert working.run("print('goes on')").ok() == "goes on", "ada's node is another"
    eventually(lambda: bela.model().get("servers", {}), lambda servers: "" not in servers, within=180, what="it ended")

    began = time.monotonic()
    items = saved(cluster, "drained")
    assert time.monotonic() - began < SOON, "nobody waits for a Job that nobody can run"
    assert items[""]["phase"] == "PartiallyCompleted" and items["home/ada"]["phase"] == "Completed", items
    said = items["home/bela"]["message"]
    assert said.startswith("NodeAway: ") and f"kubectl uncordon {made.second}" in said
    assert made.second in backed_up(cluster, "False", "drained")["message"]
    assert "NodeAway" in made.release.plugin("backup", "show", "drained", "--hub", f"{SPACE}/{HUB}")
    ask(cluster, "HubRestore", "drained", user="bela", path="two-nodes.bin")
    assert ended(cluster, "hubrestore", "drained", 60)["message"].startswith("NodeAway: ")

    # she sees why her server does not start, and it does as soon as the node is back: nobody asks again
    reply = bela.call("POST", f"/hub/api/users/{bela.slug}/server")
    assert reply.status_code in (201, 202), reply.text
    assert told_while_starting(bela, "takes no servers").startswith(WORDS[Kind.HOME_AWAY][0])
    assert volume_of(cluster, "claim-bela")["status"]["phase"] == "Bound", "nobody moved or emptied it"
    cluster.kubectl("uncordon", made.second)
    bela.start()
    assert made.node_of("bela") == made.second
    with bela.kernel() as kernel:
        assert "two-nodes.bin" in kernel.run(FOUND).ok()
        assert kernel.run(DIGEST.format(path=BUNDLE)).ok()
    items = saved(cluster, "after")
    assert items[""]["phase"] == "Completed" and items["home/bela"]["how"] == "Snapshot", items
    backed_up(cluster, "True", "after")
