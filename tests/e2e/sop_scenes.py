"""What happens around somebody who follows a runbook of docs/sop: the scenes that its pages name, on the cluster.

Two worlds: a house (a hub with a view of its own, backups, people) and a gate (a hub with its certificate in a Secret).
"""

from __future__ import annotations

import base64
import copy
import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import ROOT, namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person
from tests.unit.door.certificates import Authority

Scenes = dict[str, Callable[[], None]]
SPACE, HUB, VIEW = "e2e-sop", "sop", "e2e-sop"
NEW_SPACE = "e2e-sop-new"
GATE_SPACE, GATE, HOST, GATE_SECRET = "e2e-sop-gate", "gate", "hub.example.org", "hub-tls"
WITHDRAWN, STAYS = "orex.otes", "orex.maps"
TAG = "e2e-sop-newer"
NOT_THERE = {"hub": {"image": {"name": "registry.invalid/pdshub/hub", "tag": "none"}}}
"""An image that nobody has: the hub's pod does not start."""
AS_IT_WAS = {"spec": {"suspend": None, "message": None, "values": None, "upgrade": None}}
NEAR = 0.1
"""Days that are left of a certificate that ends: issued a day ago, a tenth of its life."""


@dataclass
class House:
    """The hub of most pages, and who works there. ``spec``: its manifest."""

    cluster: Cluster
    spec: dict[str, Any]
    folder: Path = field(default_factory=Path)
    """Where the commands of the page are typed."""
    at_work: Person | None = None

    def environ(self) -> dict[str, str]:
        """The names that pages take from whoever follows them."""
        (release,) = json.loads(self.cluster.run("helm", "list", "-a", "-n", SPACE, "-o", "json"))
        return {
            "NAMESPACE": SPACE, "HUB": HUB, "VIEW": VIEW, "WHO": "ada", "NODE": self.cluster.facts["NODE_CONTAINER"],
            "CHART": str(ROOT / "charts/pdshub"), "SIZE": "2Gi", "SIGN_IN": "google-oauth",
            "IMAGE": self.cluster.facts["IMAGE_HUB"].rpartition(":")[0], "TAG": TAG,
            "VERSION": str(release["chart"]).rpartition("-")[2],
            "DATASET": f"urn:nasa:pds:{WITHDRAWN}", "LOST": f"data/{WITHDRAWN}",
        }  # fmt: skip

    def scenes(self) -> Scenes:
        """Every scene of the pages that are about this hub."""
        cluster = self.cluster
        return {
            "somebody is at work": self._at_work,
            "they are out": self._out,
            "people sign in": lambda: void(self._sign_in("bela")),
            "people start servers": self._at_work,
            "the NAS stops": lambda: self._engine("stop", "-t", "2"),
            "the NAS is back": lambda: self._engine("start"),
            "a file of the archive opens": self._opens,
            "nobody sees the dataset": self._withdrawn,
            "the kubelet stops": lambda: self._kubelet("stop"),
            "the kubelet is back": lambda: self._kubelet("start"),
            "the kubelet restarts": lambda: self._kubelet("restart"),
            "the values are at hand": self._values,
            "the namespace is for development": lambda: self._develop(NEW_SPACE),
            "the manifest is at hand": lambda: self._write("hub.yaml", yaml.safe_dump(self.spec)),
            "the hub is changed and does not start": lambda: void(
                cluster.apply({**self.spec, "spec": {**self.spec["spec"], "values": NOT_THERE}})
            ),
            "a new client secret is at hand": lambda: self._write("client-secret", secrets.token_urlsafe()),
        }

    def healed(self) -> None:
        """Take back what a page that stopped half-way left: the next one begins with a whole cluster."""
        self._engine("start")
        self._kubelet("start")
        node = self.cluster.facts["NODE_CONTAINER"]
        self.cluster.kubectl("wait", "--for=condition=Ready", f"node/{node}", "--timeout=180s", timeout=190)
        self.cluster.kubectl("uncordon", node)
        self.cluster.kubectl("patch", "archiveview", VIEW, "--type=merge", "-p", '{"spec": {"pin": null}}')
        self.cluster.kubectl("patch", "pdshub", HUB, "-n", SPACE, "--type=merge", "-p", json.dumps(AS_IT_WAS))
        wait_ready(self.cluster, HUB, SPACE, seconds=600)

    def _write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text(text)

    def _engine(self, *words: str) -> None:
        self.cluster.engine(*words, self.cluster.facts["NAS_CONTAINER"])

    def _kubelet(self, what: str) -> None:
        self.cluster.node("systemctl", what, "kubelet")

    def _develop(self, space: str) -> None:
        self.cluster.kubectl("label", "namespace", space, "pdshub.dev/environment=development")

    def _values(self) -> None:
        values = self.cluster.run("helm", "get", "values", "pdshub", "-n", "pdshub-system", "-o", "yaml")
        self._write("values.yaml", values)
        first = copy.deepcopy(self.spec)
        first["metadata"] = {"name": "first", "namespace": NEW_SPACE}
        del first["spec"]["backup"]
        self._write("hub.yaml", yaml.safe_dump(first))

    def _sign_in(self, name: str) -> Person:
        """Somebody signs in; the hub may have restarted a moment ago."""
        found: Person = eventually(lambda: person(self.cluster, name, HUB, SPACE), within=180, what=f"{name} signs in")
        return found

    def _at_work(self) -> None:
        """Ada has a server. The hub may take a moment to see that her last one was ended: people ask again."""
        who = self.at_work = self._sign_in("ada")
        eventually(who.start, lambda _: True, within=400, every=5, what="ada has a server")

    def _out(self) -> None:
        assert self.at_work
        assert self.at_work.call("GET", "/hub/api/user").status_code in (401, 403), "their token opens nothing"
        left = self.cluster.items("pods", SPACE, "component=singleuser-server")
        assert not [pod for pod in left if pod["metadata"]["name"] == "jupyter-ada"], "their server is gone"

    def _seen(self, code: str, wanted: str) -> None:
        assert self.at_work
        with self.at_work.kernel() as kernel:
            eventually(lambda: kernel.run(code).ok(), lambda said: said == wanted, what=f"{code} says {wanted}")

    def _opens(self) -> None:
        self._seen(f"print(len(open('/archive/sop/data/{STAYS}/readme.txt').read()) > 0)", "True")

    def _withdrawn(self) -> None:
        self._at_work()
        self._seen("import os; print(sorted(os.listdir('/archive/sop/data')))", str([STAYS]))


def void(_: object) -> None:
    """A scene answers nothing."""


def generation(cluster: Cluster, which: str) -> str:
    """The name of the view's ``generation`` that users see, or of the ``candidate`` that waits; empty without one."""
    status: dict[str, Any] = cluster.get("archiveview", VIEW).get("status", {})
    return str((status.get(which) or {}).get("name", ""))


@contextmanager
def house(cluster: Cluster, sample: dict[str, Any]) -> Iterator[House]:
    """The hub with a view that waits for approval, a repository in a claim, and one released generation."""
    place = cluster.nas_data / "pds-mission/e2e-sop"
    shutil.rmtree(place, ignore_errors=True)
    for name in (WITHDRAWN, STAYS):
        shutil.copytree(cluster.nas_data / "pds-mission/orex" / name, place / name)
    image = cluster.facts["IMAGE_HUB"]
    known = image if image.partition("/")[2] else f"docker.io/library/{image}"
    cluster.node("ctr", "-n", "k8s.io", "images", "tag", "--force", known, f"{known.rpartition(':')[0]}:{TAG}")
    view = {
        "folder": "sop",
        "sources": [{"name": "mission", "nfs": {"server": cluster.facts["NAS_IP"], "export": "/pds-mission"}}],
        "tree": [{"path": "data", "layers": [{"source": "mission", "path": "e2e-sop"}]}],
        "authority": {"settleSeconds": 0},
        "survey": {"intervalSeconds": 3600, "storage": "1Gi"},
        "release": "approve",
    }
    size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    claim = {"name": "backups", "namespace": SPACE}
    backup = {"schedule": "@monthly", "suspend": True, "repository": {"claim": {"name": "backups"}}}
    users = {"allowed": ["ada", "bela"], "admins": ["root-admin"], "shrinkLimit": 90}
    spec = variant(sample, HUB, SPACE, archive={"viewRef": VIEW}, users=users, backup=backup)
    cluster.kubectl("delete", "namespace", NEW_SPACE, "--ignore-not-found", "--timeout=180s", timeout=190)
    namespace(cluster, SPACE)
    cluster.apply(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": claim, "spec": size},
        {"apiVersion": "pdshub.dev/v1alpha1", "kind": "ArchiveView", "metadata": {"name": VIEW}, "spec": view},
        spec,
    )  # fmt: skip
    made = House(cluster, spec)
    try:
        made.healed()  # a run that was killed may have left it in the middle of a page
        cluster.run("kubectl", "pdshub", "archive", "refresh", VIEW, "--wait", timeout=300)
        first = eventually(
            lambda: generation(cluster, "candidate") or generation(cluster, "generation"), within=240, what="one waits"
        )
        if first == generation(cluster, "candidate"):
            cluster.run("kubectl", "pdshub", "archive", "approve", VIEW, "--reason", "the first one", timeout=240)
        eventually(
            lambda: generation(cluster, "generation"), lambda name: name == first, within=240, what="it is shown"
        )
        yield made
    finally:
        made._engine("start")
        made._kubelet("start")
        deployed = ("delete", "pdshub", "first", "-n", NEW_SPACE, "--ignore-not-found")
        cluster.kubectl(*deployed, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", NEW_SPACE, "--ignore-not-found", "--wait=false")
        cluster.dismiss(SPACE, HUB, VIEW)
        shutil.rmtree(place, ignore_errors=True)


@dataclass
class Gate:
    """A hub whose door takes its certificate from a Secret."""

    cluster: Cluster
    authority: Authority
    folder: Path = field(default_factory=Path)

    def environ(self) -> dict[str, str]:
        """The names that the page takes."""
        return {"NAMESPACE": GATE_SPACE, "HUB": GATE, "SECRET": GATE_SECRET}

    def scenes(self) -> Scenes:
        """What happens on the page of certificates."""
        return {
            "the certificate is about to end": lambda: self.put(NEAR),
            "a new certificate came": self._came,
        }

    def put(self, days: float) -> None:
        """A certificate with so many days left is in the Secret."""
        chain, key = self.authority.issue((HOST,), days)
        data = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(key).decode()}
        meta = {"name": GATE_SECRET, "namespace": GATE_SPACE}
        self.cluster.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "kubernetes.io/tls", "data": data}
        )

    def _came(self) -> None:
        chain, key = self.authority.issue((HOST,), 90)
        for name, data in (("tls.crt", chain), ("tls.key", key)):
            file = self.folder / name
            file.touch(mode=0o600)
            file.write_bytes(data)


@contextmanager
def gate(cluster: Cluster, sample: dict[str, Any]) -> Iterator[Gate]:
    """The hub with a certificate for 90 days."""
    namespace(cluster, GATE_SPACE)
    made = Gate(cluster, Authority("Authority of procedures"))
    made.put(90)
    tls = {"secret": {"name": GATE_SECRET}}
    hub = variant(sample, GATE, GATE_SPACE, archive=None, hostname=HOST, tls=tls, service={"type": "NodePort"})
    cluster.apply(hub)
    try:
        wait_ready(cluster, GATE, GATE_SPACE)
        yield made
    finally:
        cluster.dismiss(GATE_SPACE, GATE)


def names() -> set[str]:
    """Every scene that there is."""
    nowhere = Cluster({})
    return {*House(nowhere, {}).scenes(), *Gate(nowhere, Authority()).scenes()}
