"""An archive moves under a running notebook: to a bucket and back, then to a second NFS server. One generation.

The service and both NAS are real. Copied is with the programs that the plan names; compared, surveyed beside, swapped
and taken back by ``kubectl pdshub migrate archive``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.hubclient import Kernel
from tests.e2e.moving_scenes import Places, Shown, places, shown

pytestmark = [pytest.mark.alone, pytest.mark.long]  # the installation is changed, and node plugins restart
NAME = "e2e-migrate"
TOP = f"/archive/{NAME}/data"
BEGIN = f"""
import hashlib, os, threading
TOP = "{TOP}"
def walk():
    found = hashlib.sha256()
    for base, folders, names in os.walk(TOP):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(base, name)
            st = os.stat(path)
            found.update(f"{{os.path.relpath(path, TOP)}} {{st.st_size}} {{st.st_mtime_ns}} {{st.st_mode}} ".encode())
            found.update(open(path, "rb").read())
    return found.hexdigest()
stop, errors, walks = threading.Event(), [], []
def work():
    while not stop.wait(0.2):
        try:
            walks.append(walk())
        except Exception as error:
            errors.append(repr(error))
held = open(f"{{TOP}}/x/data/d1/f001.dat", "rb", buffering=0)
first = os.pread(held.fileno(), 1000, 0)
worker = threading.Thread(target=work, daemon=True)
worker.start()
"""
NOW = "print(len(set(walks)), len(walks) > 0, errors[:3])"
END = """
stop.set()
worker.join(60)
os.posix_fadvise(held.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # from where it is, and not from memory
print(len(set(walks)), errors[:3], len(first) == 1000 and os.pread(held.fileno(), 1000, 0) == first)
"""


@pytest.fixture(scope="module")
def there(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    with places(cluster, tmp_path_factory.mktemp("places"), NAME) as made:
        yield made


@pytest.fixture(scope="module")
def view(there: Places, sample: dict[str, Any]) -> Iterator[Shown]:
    with shown(there, sample, NAME) as made:
        yield made


@pytest.fixture(scope="module")
def notebook(view: Shown) -> Iterator[Kernel]:
    """A notebook that reads everything, again and again, from before the first move until after the last."""
    with view.person.kernel() as kernel:
        kernel.run(BEGIN).ok()
        eventually(lambda: "True" in kernel.run(NOW).ok(), what="a first walk")
        yield kernel


def target(tmp_path: Path, source: dict[str, Any]) -> str:
    file = tmp_path / "target.yaml"
    file.write_text(json.dumps(source))
    return str(file)


def migrate(view: Shown, *words: str) -> dict[str, Any]:
    line = ("kubectl", "pdshub", "migrate", "archive", view.view, "--source", "main", *words, "-y", "-o", "json")
    found: dict[str, Any] = json.loads(view.cluster.run(*line, timeout=1800))
    return found


def test_a_plan_names_commands_and_stores_nothing(view: Shown, there: Places, tmp_path: Path) -> None:
    answer = migrate(view, "--to", target(tmp_path, there.source("s3")), "--dry-run")
    assert answer["state"] == "planned" and answer["commands"][0].startswith("rclone copy")
    assert answer["generation"] == view.generation
    found = view.cluster.get("archiveview", view.view)
    assert [sorted(s) for s in found["spec"]["sources"]] == [["name", "nfs"]], "as it was"
    assert "pdshub.dev/moving" not in (found["metadata"].get("annotations") or {})


def test_a_copy_that_lacks_a_file_is_refused(view: Shown, there: Places, tmp_path: Path, notebook: Kernel) -> None:
    there.to_bucket()
    there.s3.delete(f"archive/{NAME}/x/data/d1/f005.dat")
    name = view.generation
    with pytest.raises(CommandFailed) as refused:
        migrate(view, "--to", target(tmp_path, there.source("s3")), "--copied")
    said = json.loads(refused.value.out)
    assert said["state"] == "refused" and said["compared"]["wrong"] == 1, said
    assert said["compared"]["examples"] == [f"{NAME}/x/data/d1/f005.dat: is not there"]
    assert view.generation == name and "nfs" in view.source
    assert [s["name"] for s in view.cluster.get("archiveview", view.view)["spec"]["sources"]] == ["main"]


def test_to_a_bucket_and_back(view: Shown, there: Places, notebook: Kernel) -> None:
    name = view.generation
    there.to_bucket()
    answer = migrate(view, "--copied")
    compared = answer["compared"]
    assert answer["state"] == "done" and compared["rehearsed"] == name == answer["generation"], answer
    assert compared["files"] == compared["byLabel"] + compared["bySample"] + compared["bySource"]
    assert "s3" in view.source and view.everywhere() == name
    spec = view.cluster.get("archiveview", view.view)["spec"]
    assert "pin" not in spec
    there.s3.relay.none()
    count, _, errors = notebook.run(NOW).ok().split(" ", 2)
    assert count == "1" and errors.strip() == "[]", "the same bytes, sizes, times and rights all the while"
    eventually(lambda: there.s3.relay.asked["get"] > 0, within=120, what="the notebook reads the bucket")
    answer = migrate(view, "--back")
    assert answer["state"] == "back" and "nfs" in view.source
    assert view.everywhere() == name
    migrate(view, "--forget")


def test_to_a_second_nfs_server(view: Shown, there: Places, tmp_path: Path, notebook: Kernel) -> None:
    name = view.generation
    there.to_second()
    answer = migrate(view, "--to", target(tmp_path, there.source("second")), "--copied")
    assert answer["state"] == "done" and answer["compared"]["rehearsed"] == name, answer
    assert view.source["nfs"]["server"] == there.second and view.everywhere() == name
    (source,) = view.status["sources"]
    assert source["ready"], source
    count, errors, held = notebook.run(END).ok().split(" ", 2)
    assert (count, errors, held.strip()) == ("1", "[]", "True"), "one content, no error, and the open file goes on"
