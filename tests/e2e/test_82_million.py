"""A home of a million small files: it is saved, saved again in a part of the time, and one folder of it comes back.

What restic needs for it on a quiet machine stands in docs/backup.md; this is the Job with the limits that it has.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.s3_service import S3Service
from tests.e2e.test_78_backup_faults import Estate, opened

pytestmark = [pytest.mark.long, pytest.mark.alone]  # it fills the disk that all homes share, and both processors
SPACE, HUB, PORT = "e2e-million", "many", 18101
FILES, CHANGED = 1_000_000, 10_000
SIZE = "6Gi"
"""Of the home: a block and an inode for each file are 4.3 GiB; XFS makes inodes as they are needed."""
MAKE = """
import os, sys
from pathlib import Path
top = Path.home() / "many"
for d in range(2000):
    folder = top / f"{d // 100:02d}" / f"{d:04d}"
    folder.mkdir(parents=True, exist_ok=True)
    here = os.open(folder, os.O_RDONLY)
    for n in range(500):
        file = os.open(f"obs-{n:03d}.tab", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here)
        os.write(file, f"{d:04d},{n:03d},{os.urandom(16).hex()}\\n".encode() * 4)
        os.close(file)
    os.close(here)
Path.home().joinpath("made").write_text("all of them")
"""
START = f"""
import subprocess, sys
made = subprocess.Popen([sys.executable, "-c", {MAKE!r}], start_new_session=True)
"""
IS_MADE = """
from pathlib import Path
assert made.poll() in (None, 0), made.poll()
print(Path.home().joinpath("made").exists())
"""
CHANGE = """
import os
from pathlib import Path
for d in range(0, 2000, 20):
    for n in range(100):
        (Path.home() / f"many/{d // 100:02d}/{d:04d}/obs-{n:03d}.tab").write_text(os.urandom(60).hex())
"""
SAME = """
import filecmp
from pathlib import Path
home = Path.home()
(copy,) = (home / "PLACE").rglob("0700")
names = sorted(p.name for p in copy.iterdir())
print(len(names), filecmp.cmpfiles(copy, home / "many/07/0700", names, shallow=False)[1:])
"""


@pytest.fixture(scope="module")
def estate(cluster: Cluster, sample: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    server = copy.deepcopy(sample["spec"]["server"])
    server["home"]["size"] = SIZE
    root = tmp_path_factory.mktemp("s3")
    with opened(cluster, sample, root, PORT, SPACE, HUB, size="2g", spec={"server": server}) as made:
        yield made
        volumes = [
            str(claim["spec"].get("volumeName", ""))
            for claim in cluster.items("pvc", SPACE, "component=singleuser-storage")
        ]
        made.ada.stop()
        cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", SPACE, "--timeout=300s", timeout=310)
        for volume in filter(None, volumes):  # gigabytes, which are kept else
            cluster.give_up(volume)


def with_a_million(estate: Estate) -> None:
    began = time.monotonic()
    with estate.ada.kernel() as kernel:
        kernel.run(START).ok()
        eventually(
            lambda: kernel.run(IS_MADE).ok().strip(),
            lambda there: there == "True",
            within=2400,
            every=10,
            what="a million files",
        )
    print(f"{FILES} files were made in {time.monotonic() - began:.0f} s")


def saved(estate: Estate, what: str) -> dict[str, Any]:
    """The item of ada's home in a run of it alone."""
    began = time.monotonic()
    status = estate.ended(estate.ask(users=["ada"]), within=7200)
    assert status["phase"] == "Completed", status
    (item,) = [item for item in status["items"] if item["item"] == "home/ada"]
    seconds = time.monotonic() - began
    print(f"{what}: {seconds:.0f} s, of which restic {item['seconds']:.0f} s: {json.dumps(item)}")
    return dict(item)


def index(service: S3Service) -> int:
    return sum(file.stat().st_size for file in service.files("index"))


def test_a_home_of_a_million_files_is_saved_and_a_folder_comes_back(estate: Estate) -> None:
    with_a_million(estate)
    first = saved(estate, "the first backup")
    assert first["files"] >= FILES
    with estate.ada.kernel() as kernel:
        kernel.run(CHANGE, within=600).ok()
    second = saved(estate, f"the second, {CHANGED} files later")
    assert second["files"] >= FILES
    assert second["addedBytes"] < first["addedBytes"] / 10
    print(f"the index has {index(estate.service)} bytes")
    began = time.monotonic()
    back = estate.ended(estate.ask("HubRestore", user="ada", path="many/07/0700"), "hubrestore", 1800)
    assert back["phase"] == "Completed", back
    print(f"a folder of 500 files was back after {time.monotonic() - began:.0f} s")
    with estate.ada.kernel() as kernel:
        assert kernel.run(SAME.replace("PLACE", back["place"])).ok().strip() == "500 ([], [])"
    assert estate.service.files("locks") == []
