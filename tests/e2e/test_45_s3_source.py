"""A bucket as the source of a view: surveyed by its listing, read through rclone on the node, written to by nobody.

The service is real (versitygw on this machine), with a relay before it that counts. The installation is given a rule
for the bucket for as long as these tests run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pdshub.node.source.s3_mount import FORGETS_SECONDS
from tests.buckets import BUCKET, KEY, SECRET, Service, service
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import SURVEYORS, namespace, person, variant, wait_ready
from tests.e2e.google_hub import machine_address
from tests.e2e.hubclient import Person
from tests.e2e.moving_scenes import installed, left_behind
from tests.unit.archive.archive_support import bundle, collection

pytestmark = pytest.mark.alone  # the installation is changed, and node plugins restart
VIEW = SPACE = "e2e-s3"
HUB, TOP = "bucket", "/archive/bucket"
COMPONENT = "app.kubernetes.io/component"
FILES = {
    "pds4/x/bundle_x.xml": bundle("x", "1.0", ["urn:nasa:pds:x:data"]),
    "pds4/x/data/collection_data.xml": collection("x:data"),
    **{f"pds4/x/data/d{n % 4}/f{n:03}.dat": f"content {n}" for n in range(60)},
}
WALK = f"""
import os
found = {{}}
for base, _, names in os.walk("{TOP}/data"):
    for name in names:
        path = os.path.join(base, name)
        found[os.path.relpath(path, "{TOP}/data")] = os.stat(path).st_size
print(len(found), sum(found.values()))
"""
WRITE = f"""
import errno, os
for attempt in (
    lambda: open("{TOP}/data/x/new", "w"), lambda: os.remove("{TOP}/data/x/bundle_x.xml"),
    lambda: os.mkdir("{TOP}/data/d"), lambda: open("{TOP}/data/x/bundle_x.xml", "r+"),
):
    try:
        attempt()
        print("written")
    except OSError as error:
        print(errno.errorcode[error.errno])
print([name for name in os.environ if "AWS" in name or "S3" in name])
"""


@dataclass
class Bucket:
    cluster: Cluster
    s3: Service

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("archiveview", VIEW).get("status", {})
        return found

    def shown(self) -> str:
        return str((self.status.get("generation") or {}).get("name", ""))

    def survey(self) -> None:
        self.cluster.run("kubectl", "pdshub", "archive", "refresh", VIEW, "--wait", timeout=300)
        name = self.shown()
        eventually(lambda: all(n.get("generation") == name for n in self.status["nodes"]), what=f"nodes show {name}")


@pytest.fixture(scope="module")
def bucket(cluster: Cluster, sample: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    folder = tmp_path_factory.mktemp("s3")
    with service(folder, address="0.0.0.0") as s3:  # noqa: S104 - pods reach it
        address = machine_address(cluster)
        url = f"http://{address}:{s3.relay.port}"
        s3.fill({f"archive/{key}": text for key, text in FILES.items()})
        rule = {"endpoint": url, "bucket": BUCKET, "prefixes": ["archive"], "secrets": ["e2e-s3"]}
        secret = {"access-key-id": KEY, "secret-access-key": SECRET}
        meta = {"name": "e2e-s3", "namespace": SURVEYORS}
        spec = {
            "folder": "bucket",
            "sources": [
                {"name": "main", "s3": {"endpoint": url, "bucket": BUCKET, "prefix": "archive", "secretRef": "e2e-s3"}}
            ],
            "tree": [{"path": "data", "layers": [{"source": "main", "path": "pds4"}]}],
            "authority": {"settleSeconds": 1, "shrinkThresholdPercent": 100},
            "survey": {"intervalSeconds": 3600, "storage": "1Gi"},
        }
        kind = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "ArchiveView"}
        users = {"allowed": ["ada"], "admins": []}
        left_behind(cluster, SPACE, HUB, VIEW)
        try:
            installed(cluster, folder, buckets=[{**rule, "ranges": [f"{address}/32"]}])
            cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": secret})
            namespace(cluster, SPACE)
            cluster.apply({**kind, "metadata": {"name": VIEW}, "spec": spec})
            cluster.apply(variant(sample, HUB, SPACE, archive={"viewRef": VIEW}, users=users))
            wait_ready(cluster, HUB, SPACE)
            found = Bucket(cluster, s3)
            eventually(found.shown, within=300, what="a first generation")
            yield found
        finally:
            cluster.dismiss(SPACE, HUB, VIEW)
            try:
                cluster.see_off()
            finally:
                cluster.kubectl("delete", "secret", "-n", SURVEYORS, "e2e-s3", "--ignore-not-found")
                installed(cluster, folder, buckets=[])


@pytest.fixture(scope="module")
def ada(cluster: Cluster, bucket: Bucket) -> Person:
    found = person(cluster, "ada", HUB, SPACE)
    found.start()
    return found


def test_what_a_survey_asks_is_in_the_status(bucket: Bucket) -> None:
    (cost,) = bucket.status["survey"]["cost"]
    assert cost["source"] == "main" and cost["requests"] >= 1 and "no prices are known" in cost["message"]
    said = bucket.cluster.run("kubectl", "pdshub", "archive", "status", VIEW)
    assert "Survey of main in S3: 1 requests" in said
    (source,) = bucket.status["sources"]
    assert source["ready"] and source["mode"] == "rclone"


def test_names_cost_nothing_and_files_are_what_they_were(bucket: Bucket, ada: Person) -> None:
    with ada.kernel() as kernel:
        eventually(lambda: kernel.run(WALK).ok().split()[0] == str(len(FILES)), within=120, what="the catalog is there")

        def asked() -> dict[str, int]:
            bucket.s3.relay.none()
            count, size = kernel.run(WALK).ok().split()
            assert (int(count), int(size)) == (len(FILES), sum(len(text) for text in FILES.values()))
            return dict(bucket.s3.relay.asked)

        time.sleep(2)
        # the node asks, too, now and then: whether the service answers, and for the sample. By the next walk rclone
        # remembers nothing, so that one which asks would ask again
        for _ in range(3):
            if not (found := asked()):
                break
            time.sleep(FORGETS_SECONDS)
        assert not found, "a walk with a stat of every file asks for nothing"
        read = f"print(open('{TOP}/data/x/data/d1/f001.dat').read())"
        assert kernel.run(read).ok().strip() == "content 1"
        assert bucket.s3.relay.asked["get"] >= 1 and not bucket.s3.relay.asked["head"]


def test_nobody_writes_and_the_proof_says_so(bucket: Bucket, ada: Person) -> None:
    with ada.kernel() as kernel:
        assert kernel.run(WRITE).ok().split() == ["EROFS"] * 4 + ["[]"]
    eventually(
        lambda: [n for n in bucket.status["nodes"] if (n.get("proof") or {}).get("ok")],
        within=300,
        what="a first proof",
    )


def test_a_change_is_found_by_its_etag(bucket: Bucket, ada: Person) -> None:
    before = bucket.shown()
    bucket.s3.put("archive/pds4/x/data/d2/f002.dat", "CONTENT 2")
    bucket.s3.put("archive/pds4/x/data/d2/f999.dat", "new")
    time.sleep(2)
    bucket.survey()
    assert bucket.shown() != before
    with ada.kernel() as kernel:
        read = f"print(open('{TOP}/data/x/data/d2/f002.dat').read(), open('{TOP}/data/x/data/d2/f999.dat').read())"
        eventually(lambda: kernel.run(read).text.strip() == "CONTENT 2 new", within=360, what="both are there")


def test_keys_are_in_no_log_event_or_status(bucket: Bucket) -> None:
    cluster = bucket.cluster
    said = [
        json.dumps(cluster.get("archiveview", VIEW)),
        cluster.kubectl("get", "events", "-A", "-o", "yaml"),
        cluster.kubectl("get", "pods", "-A", "-o", "yaml"),
        *(
            cluster.kubectl("logs", "-n", where, "-l", f"{COMPONENT}={part}", "--tail=-1", "--all-containers")
            for where, part in (
                ("pdshub-system", "node"), ("pdshub-system", "nfs-helper"), ("pdshub-system", "operator"),
                (SURVEYORS, "surveyor"),
            )
        ),
    ]  # fmt: skip
    assert not any(secret in text for text in said for secret in (KEY, SECRET))
    processes = cluster.node("sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'")
    assert SECRET not in processes and KEY not in processes


def test_rclone_that_is_killed_comes_back(bucket: Bucket, ada: Person) -> None:
    bucket.cluster.node("sh", "-c", "pkill -KILL -x rclone || pkill -KILL -f '^rclone mount'")
    with ada.kernel() as kernel:
        read = f"print(open('{TOP}/data/x/data/d3/f003.dat').read())"
        eventually(lambda: kernel.run(read).text.strip() == "content 3", within=120, what="it is read again")
