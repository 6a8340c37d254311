"""One delivery job, unchanged, against the NAS, against an NFS server as the overlay has it, and against a bucket.

The job is manifests/samples/deliver.sh: rsync, then a stamp. Where it writes is mounted as the place is mounted: the
folders of both NAS by who serves them, the bucket through rclone. What users see then comes of the stampFile alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.buckets import BUCKET
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import ROOT
from tests.e2e.moving_scenes import STAMP, Places, Shown, places, rclone, rsync, shown

pytestmark = [pytest.mark.alone, pytest.mark.long]  # the installation is changed, and node plugins restart
NAME = "e2e-delivery"
JOB = ROOT / "manifests/samples/deliver.sh"
PLACES = ("nas", "second", "s3")
READ = "print(open('/archive/{name}/data/x/data/delivered/{place}.dat').read())"


@pytest.fixture(scope="module")
def there(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    with places(cluster, tmp_path_factory.mktemp("places"), NAME) as made:
        made.to_second()
        made.to_bucket()
        yield made


@pytest.fixture(scope="module")
def view(there: Places, sample: dict[str, Any]) -> Iterator[Shown]:
    with shown(there, sample, NAME, stampFile=f"{NAME}/{STAMP}") as made:
        yield made


@contextmanager
def mounted(there: Places, place: str, folder: Path) -> Iterator[Path]:
    """Where a pipeline's machine has the place, writable."""
    if place != "s3":
        yield there.first if place == "nas" else there.second_data / "pds-main" / there.folder
        return
    point = folder / "bucket"
    point.mkdir()
    line = [rclone(), "mount", f"{there.remote}:{BUCKET}/archive/{there.folder}", str(point),
            "--vfs-cache-mode=writes", f"--cache-dir={folder}/cache", "--vfs-write-back=2s"]  # fmt: skip
    process = subprocess.Popen(line, env=there.words)
    try:
        eventually(lambda: os.path.ismount(point), within=30, every=0.2, what="the bucket is mounted")
        yield point
        # rclone uploads behind the job's back, some seconds after the last change of a file
        bucket = there.s3.folder / "buckets" / BUCKET / "archive" / there.folder
        wanted = (bucket / "x/data/delivered/s3.dat", bucket / STAMP)
        eventually(lambda: all(p.exists() for p in wanted), within=60, what="it is in the bucket")
        eventually(lambda: wanted[1].read_text().strip().endswith("from-s3"), within=60, what="the stamp is, too")
    finally:
        subprocess.run(["fusermount3", "-u", str(point)], check=False, timeout=60)
        process.wait(60)


def delivery(folder: Path, place: str) -> Path:
    """What a pipeline has made."""
    made = folder / f"from-{place}"
    (made / "x/data/delivered").mkdir(parents=True)
    (made / f"x/data/delivered/{place}.dat").write_text(f"delivered to {place}")
    return made


def run(job: Path, tmp: Path, *words: str) -> None:
    """The job as its machine runs it, with the rsync of this one."""
    programs = tmp / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "rsync").unlink(missing_ok=True)
    (programs / "rsync").symlink_to(rsync())
    words_of = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["sh", str(job), *words], check=True, timeout=300, env=words_of)


@pytest.mark.parametrize("place", PLACES)
def test_a_delivery_reaches_users_wherever_the_archive_is(
    view: Shown, there: Places, tmp_path: Path, place: str
) -> None:
    source = {"name": "main", **there.source(place)}
    before = view.generation
    if place != "nas":
        patch = json.dumps({"spec": {"sources": [source]}})
        view.cluster.kubectl("patch", "archiveview", view.view, "--type=merge", "-p", patch)
        eventually(
            lambda: [s for s in view.status["sources"] if s["ready"]] and view.status["survey"]["state"] == "idle",
            within=300,
            what=f"the view is of {place}",
        )
        time.sleep(10)
        before = view.everywhere()
    with mounted(there, place, tmp_path) as archive:
        run(JOB, tmp_path, str(delivery(tmp_path, place)), str(archive), str(archive / STAMP))
        assert (archive / STAMP).read_text().strip().endswith(f"from-{place}")
    began = time.monotonic()
    # a bucket's directory is listed again after half a minute (docs/archive/s3.md)
    name = view.everywhere(other_than=before, within=600)
    assert name != before
    with view.person.kernel() as kernel:
        read = READ.format(name=NAME, place=place)
        eventually(lambda: kernel.run(read).text.strip() == f"delivered to {place}", within=360, what="it is read")
    print(f"{place}: users see the delivery {time.monotonic() - began:.0f} s after its stamp")


def test_the_job_is_one_and_the_same() -> None:
    text = JOB.read_text()
    assert not any(word in text for word in ("rclone ", "aws ", "efs", "if [")), "no place is told apart"
    assert shutil.which("sh") and os.access(JOB, os.X_OK)
