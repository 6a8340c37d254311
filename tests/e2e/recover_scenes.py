"""What was lost, and whether it is back: the scenes of docs/recover*.md, at a hub saved into S3 and on the node.

Two worlds: a hub whose backups lie in a real S3 service, and the cluster's node as a machine of its own.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from tests.e2e import machine_node
from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person
from tests.e2e.s3_service import ACCESS, BUCKET, SECRET, S3Service, keys, place, s3_service
from tests.e2e.sop_scenes import NOT_THERE, void
from tests.programs import built

Scenes = dict[str, Callable[[], None]]
SPACE, HUB, S3_PORT = "e2e-recover", "rescue", 18107
MACHINE_SPACE = "e2e-recover-machine"
DESK = "/root/recover"
"""Where the commands of the machine's page are given, on the node."""
LOST, TEXT = "notebooks/x.txt", "the work of a month\n"
FURTHER = ("--timeout=300s",)


@dataclass
class Rescue:
    """The hub, its repository, and what is lost there. ``spec``: its manifest; ``when``: a moment after its backup."""

    cluster: Cluster
    spec: dict[str, Any]
    s3: S3Service | None = None
    when: str = ""
    folder: Path = field(default_factory=Path)
    """Where the commands of the page are typed."""
    ada: Person | None = None

    def environ(self) -> dict[str, str]:
        """The names that pages take, and what opens the repository from this machine."""
        assert self.s3
        return {
            "NAMESPACE": SPACE, "HUB": HUB, "WHO": "ada", "LOST": LOST, "WHEN": self.when,
            "RESTIC_REPOSITORY": f"s3:{self.s3.url}/{BUCKET}/{SPACE}/{HUB}",
            "RESTIC_PASSWORD_FILE": str(self.folder / "backup.key"), "RESTIC_CACHE_DIR": str(self.folder / "cache"),
            "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1",
            "PATH": f"{built('restic').parent}:{self.cluster.environ['PATH']}",
        }  # fmt: skip

    def scenes(self) -> Scenes:
        """Every scene of the page."""
        return {
            "somebody deletes a file": self._deletes,
            "the file is beside": self._beside,
            "the file is in its place": self._in_its_place,
            "the home is gone, and its owner begins with an empty one": self._home_gone,
            "their server is stopped": self._stopped,
            "the hub was upgraded and does not start": self._upgraded,
            "people sign in": lambda: void(self._sign_in("bela")),
            "the spec is corrected and the return is ended": self._corrected,
            "somebody deletes the hub, whose manifest is at hand": self._hub_gone,
            "the namespace is gone, the key and the manifest are at hand": self._space_gone,
            "the Secrets are there, and hub.yaml says how it begins": self._begins,
            "everything is back": self._all_back,
            "the file is below back": self._below_back,
        }

    def _sign_in(self, name: str) -> Person:
        found: Person = eventually(lambda: person(self.cluster, name, HUB, SPACE), within=180, what=f"{name} signs in")
        return found

    def _at_work(self) -> Person:
        """Ada has a server; people ask again where the hub was busy with her last one."""
        self.ada = self._sign_in("ada")
        eventually(self.ada.start, lambda _: True, within=400, every=5, what="ada has a server")
        return self.ada

    def contents(self, method: str, path: str = "", **body: Any) -> Any:
        """What ada's file browser asks for."""
        assert self.ada
        return self.ada.call(method, f"/user/ada/api/contents/{path}", json=body or None)

    def writes(self) -> None:
        """Ada's home has the file."""
        self._at_work()
        folder = LOST.rpartition("/")[0]
        assert self.contents("PUT", folder, type="directory").status_code in (200, 201)
        reply = self.contents("PUT", LOST, type="file", format="text", content=TEXT)
        assert reply.status_code in (200, 201), reply.text

    def _deletes(self) -> None:
        assert self.contents("DELETE", LOST).status_code == 204

    def _beside(self) -> None:
        names = [one["name"] for one in self.contents("GET").json()["content"]]
        (folder,) = [name for name in names if name.startswith("restored-")]
        with self._kernel() as kernel:
            code = f"from pathlib import Path; print([p.read_text() for p in Path({folder!r}).rglob('x.txt')])"
            assert kernel.run(code).ok() == str([TEXT])
        assert self.contents("GET", LOST).status_code == 404, "nothing was changed but that folder"

    def _kernel(self) -> Any:
        assert self.ada
        return self.ada.kernel()

    def _in_its_place(self) -> None:
        self._at_work()
        assert self.contents("GET", LOST).json()["content"] == TEXT

    def _stopped(self) -> None:
        self._sign_in("ada").stop()
        eventually(
            lambda: [p for p in self.cluster.items("pods", SPACE) if p["metadata"]["name"] == "jupyter-ada"],
            lambda found: not found, within=180, what="the server is gone",
        )  # fmt: skip

    def _home_gone(self) -> None:
        self._stopped()
        volume = self.cluster.get("pvc", "claim-ada", SPACE)["spec"]["volumeName"]
        self.cluster.kubectl("delete", "pvc", "claim-ada", "-n", SPACE, "--timeout=120s", timeout=130)
        self.cluster.give_up(volume)
        self._at_work()
        assert self.contents("GET", LOST).status_code == 404, "an empty home"

    def _upgraded(self) -> None:
        self._patch({"values": NOT_THERE})
        ready = ("--for=condition=Ready=False", f"pdshub/{HUB}", "-n", SPACE, "--timeout=900s")
        self.cluster.kubectl("wait", *ready, timeout=910)

    def _patch(self, spec: dict[str, Any]) -> None:
        body = json.dumps({"spec": spec})
        self.cluster.kubectl("patch", "pdshub", HUB, "-n", SPACE, "--type=merge", "-p", body)

    def _corrected(self) -> None:
        self._patch({"values": None})
        hub = f"{SPACE}/{HUB}"
        self.cluster.run("kubectl", "pdshub", "rollback", "--hub", hub, "--end", "--yes", timeout=600)
        wait_ready(self.cluster, HUB, SPACE, 600)

    def _write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text(text)

    def _hub_gone(self) -> None:
        self._write("hub.yaml", yaml.safe_dump(self.spec))
        self.cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, *FURTHER, timeout=310)

    def _space_gone(self) -> None:
        self._stopped()
        self.save()
        key = self.cluster.get("secret", f"{HUB}-backup-key", SPACE)["data"]["key"]
        self._write("backup.key", base64.b64decode(key).decode())
        self.wipe()

    def save(self) -> None:
        """One backup of everything."""
        self.cluster.run("kubectl", "pdshub", "backup", "now", "--hub", f"{SPACE}/{HUB}", timeout=900)

    def _begins(self) -> None:
        assert self.s3
        self.cluster.kubectl("label", "namespace", SPACE, "pdshub.dev/environment=development")
        self.cluster.apply(keys(SPACE))
        begin = {"bootstrap": {"recovery": {"repository": place(self.s3)}}}
        self._write("hub.yaml", yaml.safe_dump({**self.spec, "spec": {**self.spec["spec"], **begin}}))

    def _all_back(self) -> None:
        before = self.ada
        assert before
        before.address = self.cluster.get("pdshub", HUB, SPACE)["status"]["address"]
        assert before.model()["name"] == "ada", "the token of before"
        self._in_its_place()

    def _below_back(self) -> None:
        assert [path.read_text() for path in (self.folder / "back/data/home").rglob("notebooks/x.txt")] == [TEXT]
        assert [path for path in (self.folder / "back/data/objects").rglob("*") if path.is_file()]

    def wipe(self) -> None:
        """The namespace with everything in it, and the volumes that outlive one."""
        run = self.cluster.kubectl
        run("delete", "pdshub", HUB, "-n", SPACE, "--ignore-not-found", *FURTHER, timeout=310)
        run("delete", "namespace", SPACE, "--ignore-not-found", *FURTHER, timeout=310)
        for volume in self.cluster.volumes_of(SPACE):
            with suppress(CommandFailed):  # one that is not kept goes by itself meanwhile
                self.cluster.let_go(volume)


@contextmanager
def rescue(cluster: Cluster, sample: dict[str, Any], folder: Path) -> Iterator[Rescue]:
    """The hub with two people, one file, and one backup of it."""
    users = {"allowed": ["ada", "bela"], "admins": ["root-admin"], "shrinkLimit": 90}
    with s3_service(cluster, folder, S3_PORT) as service:
        backup = {"schedule": "@monthly", "suspend": True, "repository": place(service), "drill": {"suspend": True}}
        made = Rescue(cluster, variant(sample, HUB, SPACE, archive=None, users=users, backup=backup), service)
        made.wipe()  # of a run that was killed
        namespace(cluster, SPACE)
        cluster.apply(keys(SPACE), made.spec)
        try:
            wait_ready(cluster, HUB, SPACE)
            made.writes()
            made.save()
            made.when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            yield made
        finally:
            made.wipe()


@dataclass
class Machine:
    """The cluster's node, its etcd, and a hub's worth of objects: a ConfigMap that is kept, one that comes later."""

    cluster: Cluster
    sample: dict[str, Any]

    def prefix(self) -> tuple[str, ...]:
        """What leads a command onto the node, with the names that the page takes."""
        names = {
            "PARTS": "etcd", "RESTIC_REPOSITORY": f"{DESK}-elsewhere", "RESTIC_PASSWORD_FILE": f"{DESK}/restic.key",
            "RESTIC_CACHE_DIR": f"{DESK}/cache", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }  # fmt: skip
        given = [word for name, value in names.items() for word in ("-e", f"{name}={value}")]
        return (self.cluster.facts["ENGINE"], "exec", *given, self.cluster.facts["NODE_CONTAINER"])

    def scenes(self) -> Scenes:
        """Every scene of the page."""
        return {
            "the programs of etcd are there": lambda: machine_node.programs_of_etcd(self.cluster),
            "something is deleted in the cluster": self._deleted,
            "it is there again": lambda: self._only("kept", "first"),
            "it is gone once more": lambda: self._only("later", "second"),
        }

    def config_map(self, name: str) -> None:
        """An object of the cluster."""
        meta = {"name": name, "namespace": MACHINE_SPACE}
        self.cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"name": name}})

    def _deleted(self) -> None:
        self.config_map("later")
        self.cluster.kubectl("delete", "configmap", "kept", "-n", MACHINE_SPACE)

    def _names(self) -> set[str]:
        found = {one["metadata"]["name"] for one in self.cluster.items("configmaps", MACHINE_SPACE)}
        return found - {"kube-root-ca.crt"}

    def _only(self, name: str, hub: str) -> None:
        eventually(self._names, lambda found: found == {name}, within=300, what=f"{name} and no other is there")
        machine_node.all_go_on(self.cluster, self.sample, MACHINE_SPACE, hub)


@contextmanager
def machine(cluster: Cluster, sample: dict[str, Any]) -> Iterator[Machine]:
    """The node with what the page asks for: deploy/machine in a folder, restic, a key."""
    made = Machine(cluster, sample)
    left = f"rm -rf {DESK} {DESK}-elsewhere {DESK}.exported /root/back /usr/local/bin/restic"
    with machine_node.borrowed(cluster):
        cluster.node("sh", "-c", left)
        namespace(cluster, MACHINE_SPACE, development=False, guarded=False)
        cluster.kubectl("label", "namespace", MACHINE_SPACE, "pdshub.dev/hubs-")
        try:
            cluster.node("mkdir", "-p", f"{DESK}/deploy")
            machine_node.put(cluster, machine_node.MACHINE, f"{DESK}/deploy/machine")
            machine_node.put(cluster, built("restic"), "/usr/local/bin/restic")
            key = os.urandom(16).hex()
            cluster.node("sh", "-c", f"umask 077; echo {key} >{DESK}/restic.key")
            made.config_map("kept")
            yield made
        finally:
            cluster.node("sh", "-c", left)
            cluster.kubectl("delete", "namespace", MACHINE_SPACE, "--ignore-not-found", "--wait=false")


def names() -> set[str]:
    """Every scene that there is."""
    nowhere = Cluster({})
    return {*Rescue(nowhere, {}).scenes(), *Machine(nowhere, {}).scenes()}
