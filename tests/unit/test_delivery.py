"""The sample of a delivery job: rsync, then a stamp; into a folder, and into a real bucket through rclone's mount."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.buckets import BUCKET, KEY, SECRET, Service, service
from tests.programs import system

JOB = Path(__file__).parents[2] / "manifests/samples/deliver.sh"
FILES = {"x/a.xml": "<a/>", "x/data/b.dat": "b" * 5000, "x/data/ä c.dat": "c"}
OLD = 1_600_000_000


@pytest.fixture
def run(tmp_path: Path) -> Iterator[object]:
    rsync = os.environ.get("PDSHUB_RSYNC") or system("rsync")
    if not rsync:
        pytest.skip("needs rsync")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/rsync").symlink_to(rsync)
    words = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}

    def go(*line: str | Path) -> subprocess.CompletedProcess[str]:
        argv = ["sh", str(JOB), *map(str, line)]
        return subprocess.run(argv, env=words, capture_output=True, text=True, check=False, timeout=120)

    yield go


def made(folder: Path) -> Path:
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        os.utime(folder / path, (OLD, OLD))
    return folder


def held(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_into_a_folder(run: object, tmp_path: Path) -> None:
    archive, source = tmp_path / "nas", made(tmp_path / "r1")
    archive.mkdir()
    assert callable(run)
    done = run(source, archive, archive / ".release")
    assert done.returncode == 0, done.stderr
    assert held(archive) == {**FILES, ".release": held(archive)[".release"]}
    assert held(archive)[".release"].endswith(" r1\n") and (archive / "x/a.xml").stat().st_mtime == OLD


def test_no_stamp_where_the_copy_failed(run: object, tmp_path: Path) -> None:
    archive = tmp_path / "nas"
    archive.mkdir()
    assert callable(run)
    assert run(tmp_path / "none", archive, archive / ".release").returncode
    assert not (archive / ".release").exists()


@contextmanager
def mounted(s3: Service, folder: Path) -> Iterator[Path]:
    rclone, fusermount = shutil.which("rclone"), system("fusermount3")
    if not (rclone and fusermount and os.access("/dev/fuse", os.W_OK)):
        pytest.skip("needs rclone, fusermount3 and /dev/fuse")
    point = folder / "bucket"
    point.mkdir()
    remote = f":s3,provider=Other,env_auth=true,endpoint='http://127.0.0.1:{s3.port}',force_path_style=true"
    line = [rclone, "mount", f"{remote},no_check_bucket=true:{BUCKET}/archive", str(point),
            "--vfs-cache-mode=writes", "--vfs-write-back=2s", f"--cache-dir={folder}/cache"]  # fmt: skip
    words = {**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "RCLONE_CONFIG": "/dev/null"}
    with (folder / "rclone.log").open("wb") as log:
        process = subprocess.Popen(line, env=words, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not os.path.ismount(point):
            if process.poll() is not None:
                pytest.skip(f"rclone mounts nothing here: {(folder / 'rclone.log').read_text()[-300:]}")
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield point
    finally:
        subprocess.run([fusermount, "-u", str(point)], check=False, timeout=60)
        process.wait(60)


def test_into_a_bucket(run: object, tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    assert callable(run)
    with service(tmp_path / "s3") as s3:
        s3.put("archive/old.dat", "old")
        with mounted(s3, tmp_path) as archive:
            done = run(made(tmp_path / "r1"), archive, archive / ".release")
            assert done.returncode == 0, done.stderr
            # behind the mount, in the service: rclone uploads what was renamed by and by
            place, deadline = s3.folder / "buckets" / BUCKET / "archive", time.monotonic() + 60
            while len(held(place)) < len(FILES) + 2 and time.monotonic() < deadline:
                time.sleep(0.2)
        kept = held(place)
        assert kept == {**FILES, "old.dat": "old", ".release": kept[".release"]}
        assert kept[".release"].endswith(" r1\n")
