"""Where a catalog opens its sources: in a mount of its own, under the helper's name for it, or as they are."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pdshub.node.layout import KEPT
from pdshub.node.mount import catalog, distance, mountinfo, worker_main

NFS = {"server": "nas", "export": "/e", "port": 2049, "version": "4.2", "device": "nas:/e"}


def layer(base: Path, place: Path, mounts: list[dict[str, Any]], fresh: bool = True) -> str:
    """What a layer is opened as; `mounts` gets the words of each mount. `fresh`: the mount shows the same directory."""

    def mount_nfs(**words: Any) -> None:
        mounts.append(words)
        if fresh:
            place.rmdir()
            place.symlink_to(base)  # the same export once more

    raw = {
        "source": "main", "base": str(base), "path": "d", "nfs": NFS, "runAs": None,
        "identity": worker_main.identity((base / "d").stat()),
    }  # fmt: skip
    with ExitStack() as stack:
        path = catalog.Layer(raw, stack, str(place), mount_nfs).path
        return os.readlink(str(path))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "base/d").mkdir(parents=True)
    (tmp_path / "place/d").mkdir(parents=True)
    return tmp_path / "base"


def mounted(monkeypatch: pytest.MonkeyPatch, base: Path, fstype: str, options: str = "ro") -> None:
    table = mountinfo.parse(f"5 1 0:9 / {base} ro - {fstype} nas:/e {options}")
    monkeypatch.setattr(mountinfo, "read", lambda: table)


@pytest.mark.parametrize(
    ("options", "near"),
    [
        ("ro,vers=4.2", {"read_ahead": 0, "connections": 1}),
        ("ro,vers=4.2,nconnect=4", {"read_ahead": 16 << 20, "connections": 4}),
    ],
    ids=["read-ahead is not known", "as the source itself"],
)
def test_the_kernels_nfs_is_mounted_once_more(
    monkeypatch: pytest.MonkeyPatch, base: Path, options: str, near: dict[str, int]
) -> None:
    mounted(monkeypatch, base, "nfs4", options)
    monkeypatch.setattr(distance, "of", lambda device: {"0:9": near["read_ahead"]}[device])
    (base.parent / "place/d").rmdir()
    mounts: list[dict[str, Any]] = []
    assert layer(base, base.parent / "place", mounts) == str(base / "d")
    assert mounts == [{**NFS, "point": str(base.parent / "place"), "more": catalog.KEPT_OPTIONS, **near}]


def test_another_directory_there_is_refused(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    mounted(monkeypatch, base, "nfs4")
    with pytest.raises(OSError, match="changed while it was mounted") as error:
        layer(base, base.parent / "place", [], fresh=False)
    assert error.value.errno == errno.ESTALE


def test_the_helper_has_a_name_for_it(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    mounted(monkeypatch, base, "fuse.pdshub-nfs")
    monkeypatch.setattr(catalog.uuid, "uuid4", lambda: type("", (), {"hex": "ab"}))
    kept = base / f"{KEPT}ab"
    assert layer(base, base.parent / "place", []) == str(base / "d"), "not one from before an upgrade"
    kept.mkdir()
    (kept / "d").mkdir()
    with pytest.raises(OSError, match="changed while it was mounted"):
        layer(base, base.parent / "place", [])


def test_a_local_directory_is_what_it_is(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    mounted(monkeypatch, base, "ext4")
    raw = {"source": "main", "base": str(base), "path": "d", "identity": worker_main.identity((base / "d").stat())}
    with ExitStack() as stack:
        assert os.readlink(str(catalog.Layer(raw, stack, "nowhere", worker_main.mount_nfs).path)) == str(base / "d")
