"""The highest version that kernel and server both speak, up to the one that a view allows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from nas import ADDRESS, Nas, sh

from pdshub.node.mount import mountinfo, syscalls, worker_main

VERSIONS = Path("/proc/fs/nfsd/versions")


@pytest.fixture
def place(nas: Nas) -> Iterator[Path]:
    """Where to mount; the server speaks all versions again afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="version-", dir="/run/lab"))
    yield folder / "m"
    if mountinfo.top(mountinfo.read(), str(folder / "m")):
        syscalls.umount(str(folder / "m"), lazy=True)
    speak(nas, "+4.0 +4.1 +4.2")


def speak(nas: Nas, versions: str) -> None:
    nas.stop()
    nas.start()
    nas.stop()  # rpc.nfsd has set its own; these are for the next start of the threads
    VERSIONS.write_text(f"{versions}\n")
    Path("/proc/fs/nfsd/threads").write_text("8\n")
    print("the server speaks", VERSIONS.read_text())


def test_versions_are_gone_through(nas: Nas, place: Path) -> None:
    nas.export("versions", {"f": "there"})
    for spoken, highest, expected in (
        ("+4.0 +4.1 +4.2", "4.2", "4.2"),
        ("+4.0 +4.1 +4.2", "4.1", "4.1"),
        ("+4.0 +4.1 +4.2", "4", "4.0"),
        ("+4.0 +4.1 -4.2", "4.2", "4.1"),
        ("+4.0 -4.1 -4.2", "4.2", "4.0"),
    ):
        speak(nas, spoken)
        worker_main.mount_nfs(ADDRESS, "/versions", 2049, highest, str(place), f"{ADDRESS}:/versions")
        mount = mountinfo.top(mountinfo.read(), str(place))
        assert mount and f"vers={expected}," in mount.super_options, (spoken, highest, mount)
        assert (place / "f").read_text() == "there"
        sh("umount", place)
    speak(nas, "-4.0 +4.1 +4.2")
    with pytest.raises(OSError, match=r"\(NFS 4\.0\): Protocol not supported"):
        worker_main.mount_nfs(ADDRESS, "/versions", 2049, "4", str(place), f"{ADDRESS}:/versions")
