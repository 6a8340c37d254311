"""The NFS version of a view is the highest: what is tried, in which order, and what refuses a version."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from pdshub.node import nfs_versions
from pdshub.node.hardening import SpecError
from pdshub.node.mount import distance, mountinfo, syscalls, worker_main
from pdshub.node.source.source_mount import mismatch
from pdshub.node.spec import parse_view
from tests.unit.node.views import nfs

SERVER_REFUSES, KERNEL_REFUSES = errno.EPROTONOSUPPORT, errno.EINVAL


@pytest.mark.parametrize(
    ("highest", "refused", "tried", "says"),
    [
        ("4.2", {}, ["4.2"], ""),
        ("4.2", {"4.2": SERVER_REFUSES}, ["4.2", "4.1"], ""),
        ("4.2", {"4.2": KERNEL_REFUSES}, ["4.2", "4.1"], ""),
        ("4.2", {"4.2": SERVER_REFUSES, "4.1": SERVER_REFUSES}, ["4.2", "4.1", "4.0"], ""),
        ("4.1", {}, ["4.1"], ""),
        ("4.1", {"4.1": SERVER_REFUSES}, ["4.1", "4.0"], ""),
        ("4", {}, ["4.0"], ""),
        ("4", {"4.0": SERVER_REFUSES}, ["4.0"], "(NFS 4.0): Protocol not supported"),
        (
            "4.2",
            dict.fromkeys(nfs_versions.KNOWN, SERVER_REFUSES),
            ["4.2", "4.1", "4.0"],
            "(NFS 4.2, 4.1, 4.0): Protocol not supported",
        ),
        # what is wrong with the export is wrong in every version: said at once
        ("4.2", {"4.2": errno.EACCES}, ["4.2"], "(NFS 4.2): Permission denied"),
        ("4.2", {"4.2": errno.ENOENT}, ["4.2"], "(NFS 4.2): No such file"),
        ("4.2", {"4.2": SERVER_REFUSES, "4.1": errno.EACCES}, ["4.2", "4.1"], "(NFS 4.2, 4.1): Permission denied"),
        ("4.2", {"4.2": errno.ENODEV}, ["4.2"], "No such device"),
    ],
)
def test_what_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    highest: str, refused: dict[str, int], tried: list[str], says: str,
) -> None:  # fmt: skip
    asked: list[str] = []

    def mount(device: str, point: str, fstype: str, flags: int, options: str) -> None:
        version = re.match(r"vers=([^,]+),addr=192\.0\.2\.1,port=2049,soft", options)
        assert version and fstype == "nfs" and flags & syscalls.MS_RDONLY
        asked.append(version[1])
        assert ("clientaddr" in options) is (version[1] == "4.0"), "4.0 alone is called back"
        if version[1] in refused:
            raise OSError(refused[version[1]], "No such device")

    monkeypatch.setattr(worker_main, "reach", lambda *_: "192.0.2.1")
    monkeypatch.setattr(distance, "round_trip", lambda *_: 0.0)
    monkeypatch.setattr(syscalls, "mount", mount)
    arguments = ("nas", "/a", 2049, highest, str(tmp_path / "m"), "nas:/a")
    if says:
        with pytest.raises(OSError, match=re.escape(says)) as caught:
            worker_main.mount_nfs(*arguments)
        assert caught.value.errno == refused[tried[-1]]
    else:
        worker_main.mount_nfs(*arguments)
    assert asked == tried


@pytest.mark.parametrize("found", [*nfs_versions.KNOWN, "3"])
@pytest.mark.parametrize("highest", ["4", "4.1", "4.2"])
def test_what_is_mounted_may_be_older_and_not_newer(highest: str, found: str) -> None:
    mount = mountinfo.parse(f"5 1 0:9 / /m ro,nosuid,nodev - nfs4 nas:/a ro,vers={found},port=2049")[0]
    wrong = mismatch(nfs("a", "nas", "/a", version=highest), mount)
    assert bool(wrong) is (float(found) > float(highest) or found == "3")


@pytest.mark.parametrize(
    ("version", "kept"), [(None, "4.2"), ("4", "4"), ("4.1", "4.1"), ("3", ""), ("4.3", ""), ("4.2,rw", "")]
)
def test_a_view_names_versions_that_there_are(version: str | None, kept: str) -> None:
    nfs = {"server": "nas", "export": "/a", **({"version": version} if version else {})}
    tree = [{"path": ".", "layers": [{"source": "a"}]}]
    view = {"metadata": {"name": "v"}, "spec": {"sources": [{"name": "a", "nfs": nfs}], "tree": tree}}
    if kept:
        assert parse_view(view).sources[0].version == kept
    else:
        with pytest.raises(SpecError, match=r"spec.sources\[0\].nfs.version: '.*' is none of 4, 4.2"):
            parse_view(view)
