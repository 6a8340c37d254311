"""A hub moves from one kind cluster to another, as docs/aws-move.md says: saved twice, fenced, recovered, name moved.

The second cluster is made by hack/up beside the first and goes afterwards. The hub's name is a port of this machine
that leads to one of them; people know that name alone. It takes a quarter of an hour, most of it for the cluster.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from devcluster import cluster as kind
from devcluster import engine as engines
from devcluster import nas
from devcluster.settings import Paths

from tests import records
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import ROOT, demo, namespace, password, variant, wait_ready
from tests.e2e.hubclient import Person
from tests.e2e.s3_service import S3Service, keys, place, s3_service
from tests.e2e.test_73_backup import ENDED
from tests.e2e.test_78_recovery import recovered, secret, wipe

pytestmark = [pytest.mark.long, pytest.mark.alone]  # a second cluster needs the machine
SPACE, HUB, KEY = "e2e-move", "moving", "moving-backup-key"
PORT, NEW_PORT, NAME_PORT = 18097, 18096, 18095
PEOPLE = ("ada", "bela", "cyd", "dee", "eve")
MEGABYTES = 100
WRITE = f"""
import os
from pathlib import Path
folder = Path.home() / "work"
folder.mkdir(exist_ok=True)
for n in range(20):
    (folder / f"{{n}}.bin").write_bytes(os.urandom({MEGABYTES} * 1_000_000 // 20))
"""
CHANGE = "(__import__('pathlib').Path.home() / 'work/0.bin').write_bytes(__import__('os').urandom(1_000_000))"
DIGEST = """
import hashlib
from pathlib import Path
top, found = Path.home() / "work", hashlib.sha256()
for path in sorted(top.rglob("*.bin")):
    found.update(f"{path.relative_to(top)} ".encode() + hashlib.sha256(path.read_bytes()).digest())
print(len(list(top.rglob("*.bin"))), found.hexdigest())
"""
MOST_SECONDS = 300.0


@dataclass
class Name:
    """The hub's name: a port that leads to one address, and to nobody while it is "". As a record of the DNS without a
    time to live."""

    port: int
    target: str = ""
    _open: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def leads_to(self, address: str) -> None:
        """From now on; who is connected to another one is not any more."""
        self.target = address
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            if not self.target:
                with suppress(OSError):
                    client.settimeout(5)
                    client.recv(1 << 16)  # what is not read makes the end of a connection a reset of it
                    client.sendall(b"HTTP/1.1 503 Moving\r\nContent-Length: 7\r\nConnection: close\r\n\r\nmoving\n")
                return
            found = urlsplit(self.target)
            try:
                server = socket.create_connection((found.hostname or "", found.port or 80), timeout=10)
            except OSError:
                return
            server.settimeout(None)
            with server:
                self._open += [client, server]
                back = threading.Thread(target=_pour, args=(server, client), daemon=True)
                back.start()
                _pour(client, server)
                back.join()


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def name_of_the_hub() -> Iterator[Name]:
    found = Name(NAME_PORT)
    with socket.create_server(("127.0.0.1", NAME_PORT), reuse_port=False) as listener:
        threading.Thread(target=found.serve, args=(listener,), daemon=True).start()
        yield found


@contextmanager
def second_cluster(first: Cluster) -> Iterator[Cluster]:
    """Another cluster with PDSHub and no hub. Not taken away by hack/down, which is for all that one machine has."""
    usual = Paths.from_environment()
    there = Paths(usual.cache, f"{usual.cluster_name}-new")
    words = {**os.environ, "PDSHUB_CLUSTER": there.cluster_name, "PDSHUB_PORT": str(NEW_PORT)}
    engine = engines.find(usual)

    def away() -> None:
        kind.remove(there, engine, kind.Tools(there.bin / "kind", there.bin / "kubectl"))
        nas.remove(there, engine)
        shutil.rmtree(there.archive, ignore_errors=True)

    away()  # of a run that was killed: its hub began from another repository
    try:
        subprocess.run([str(ROOT / "hack/up"), "--no-demo"], env=words, check=True, timeout=2400)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PDSHUB_CLUSTER", there.cluster_name)
            found = Cluster.load()
        assert found.facts["KUBECONFIG"] != first.facts["KUBECONFIG"]
        yield found
    finally:
        away()


@dataclass
class Move:
    """Both clusters, the hub's name, what there was, and how long nobody had a hub."""

    old: Cluster
    new: Cluster
    s3: S3Service
    name: Name
    people: dict[str, Person]
    digests: dict[str, str]
    without: float = 0.0


def hub(cluster: Cluster, s3: S3Service, **more: Any) -> dict[str, Any]:
    body = demo(cluster)
    backup = {"schedule": "@daily-random", "suspend": True, "repository": place(s3)}
    users = {"allowed": [*PEOPLE], "admins": ["root-admin"]}
    service = {"type": "NodePort"}
    return variant(body, HUB, SPACE, archive=None, backup=backup, users=users, service=service, **more)


def saved(cluster: Cluster, name: str) -> float:
    """One backup of all; seconds that it took."""
    began = time.monotonic()
    meta = {"name": name, "namespace": SPACE}
    body = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "HubBackup"}
    cluster.apply({**body, "metadata": meta, "spec": {"hub": HUB}})
    status = eventually(
        lambda: cluster.get("hubbackup", name, SPACE).get("status", {}),
        lambda found: found.get("phase") in ENDED,
        within=900,
        what=f"backup {name} ends",
    )
    assert status["phase"] == "Completed", status
    return time.monotonic() - began


def fence(cluster: Cluster) -> None:
    """Nobody reaches the old hub, no server of it runs, and the operator brings nothing back (docs/aws-move.md)."""
    cluster.run("kubectl", "pdshub", "suspend", "--hub", f"{SPACE}/{HUB}", "--yes", timeout=180)
    cluster.kubectl("scale", "deployment/proxy", "-n", SPACE, "--replicas=0")
    selector = "component=singleuser-server"
    cluster.kubectl("delete", "pods", "-n", SPACE, "-l", selector, "--timeout=120s", timeout=130)
    assert cluster.items("pods", SPACE, selector) == []


def closed(cluster: Cluster) -> None:
    """After the last backup: the hub itself."""
    cluster.kubectl("scale", "deployment/hub", "-n", SPACE, "--replicas=0")


def came_back(name: Name, who: Person) -> bool:
    """Whether somebody with the token of before is known at the hub's name."""
    try:
        return who.call("GET", f"/hub/api/users/{who.slug}", timeout=5).status_code == 200
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def move(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Move]:
    """Everything up to the hour of the move: both clusters, five people with their files, a first backup."""
    with (
        second_cluster(cluster) as new,
        s3_service(cluster, tmp_path_factory.mktemp("s3"), PORT, size="3g") as s3,
        name_of_the_hub() as name,
    ):
        wipe(cluster, SPACE, HUB)  # of a run that was killed, too
        namespace(cluster, SPACE)
        cluster.apply(keys(SPACE), hub(cluster, s3))
        try:
            wait_ready(cluster, HUB, SPACE)
            name.leads_to(cluster.get("pdshub", HUB, SPACE)["status"]["address"])
            found = Move(cluster, new, s3, name, {}, {})
            for each in PEOPLE:
                who = Person(name.url, each, password(cluster, HUB, SPACE)).sign_in()
                who.start()
                with who.kernel() as kernel:
                    kernel.run(WRITE).ok()
                found.people[each] = who
            print(f"first backup: {saved(cluster, 'first'):.0f} s")
            with found.people["ada"].kernel() as kernel:
                kernel.run(CHANGE).ok()
            for each, who in found.people.items():
                with who.kernel() as kernel:
                    found.digests[each] = kernel.run(DIGEST).ok()
            yield found
        finally:
            wipe(cluster, SPACE, HUB)


def test_the_hour_of_the_move(move: Move) -> None:
    old, new = move.old, move.new
    key = base64.b64decode(old.get("secret", KEY, SPACE)["data"]["key"]).decode()
    namespace(new, SPACE)
    new.apply(keys(SPACE), secret(KEY, SPACE, {"key": key}))
    move.name.leads_to("")
    began = time.monotonic()
    assert requests.get(move.name.url, timeout=10).status_code == 503
    fence(old)
    fenced = time.monotonic() - began
    last = saved(old, "last")
    closed(old)
    new.apply(hub(new, move.s3, bootstrap={"recovery": {"repository": place(move.s3)}}))
    wait_ready(new, HUB, SPACE, 600)
    ready = time.monotonic() - began
    move.name.leads_to(new.get("pdshub", HUB, SPACE)["status"]["address"])
    eventually(lambda: came_back(move.name, move.people["ada"]), within=120, every=0.5, what="somebody is known again")
    move.without = time.monotonic() - began
    said = recovered(new, SPACE, HUB)
    whole = time.monotonic() - began
    assert said["phase"] == "Completed" and said["items"] == said["done"] == 2 + len(PEOPLE), said
    figures = {"without": move.without, "fenced": fenced, "last backup": last, "ready": ready, "all homes": whole}
    print(f"{len(PEOPLE)} people, {MEGABYTES} MB each: {json.dumps({k: round(v) for k, v in figures.items()})}")
    records.keep("move", "seconds without a hub, 5 people of 100 MB", round(move.without))
    records.keep("move", "seconds until the last home is back", round(whole))
    assert move.without <= MOST_SECONDS


def test_people_find_their_names_servers_and_files(move: Move) -> None:
    """With the session and the token of before, at the name of before."""
    for each, who in move.people.items():
        assert who.model()["name"] == each, "the token of before"
        home = who.session.get(who.url("/hub/home"), allow_redirects=False, timeout=30)
        assert home.status_code == 200, "the session of before: nobody has to sign in anew"
        who.start()
        with who.kernel() as kernel:
            assert kernel.run(DIGEST).ok() == move.digests[each], each
        who.stop()
    again = Person(move.name.url, "ada", password(move.new, HUB, SPACE)).sign_in()
    assert again.model()["name"] == "ada", "and whoever signs in anew has the same name"


def test_the_old_hub_is_fenced(move: Move) -> None:
    old = move.old
    address = old.get("pdshub", HUB, SPACE)["status"]["address"]
    with pytest.raises(requests.RequestException):
        requests.get(address, timeout=5).raise_for_status()
    assert old.items("pods", SPACE, "component=singleuser-server") == []
    time.sleep(70)  # longer than a resync: the operator brings nothing back
    for part in ("hub", "proxy"):
        assert not old.get("deployment", part, SPACE)["status"].get("readyReplicas"), part
    names = [item["metadata"]["name"] for item in old.items("hubbackups", SPACE)]
    assert sorted(names) == ["first", "last"], "it writes no more into the repository"


def test_the_way_back_is_one_command(move: Move) -> None:
    """What people did at the new hub meanwhile stays there; the old one is as it was at the fence."""
    old = move.old
    began = time.monotonic()
    old.run("kubectl", "pdshub", "resume", "--hub", f"{SPACE}/{HUB}", "--yes", timeout=660)
    wait_ready(old, HUB, SPACE)
    move.name.leads_to(old.get("pdshub", HUB, SPACE)["status"]["address"])
    who = move.people["bela"]
    eventually(lambda: came_back(move.name, who), within=120, every=0.5, what="the old hub answers again")
    print(f"back at the old hub after {time.monotonic() - began:.0f} s")
    who.start()
    with who.kernel() as kernel:
        assert kernel.run(DIGEST).ok() == move.digests["bela"]
