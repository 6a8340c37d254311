"""What the design takes for granted of each kernel: checked by trying, as the node plugin does."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from nas import ADDRESS, Nas, fill, sh

from pdshub.node.mount import syscalls as calls

Kernel = tuple[int, int]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter; its mounts are gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="fact-", dir="/run/lab"))
    sh("mount", "-t", "tmpfs", "-o", "mode=755", "fact", path)
    sh("mount", "--make-private", path)
    fill(path, {"a/both": "a", "a/only-a": "a", "b/both": "b", "b/only-b": "b"})
    (path / "m").mkdir()
    yield path
    sh("umount", "--recursive", "--lazy", path)


def error_of(*argv: str | Path) -> str:
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True).stderr


def test_nfs_client_speaks_4_2(nas: Nas, place: Path) -> None:
    nas.export("fact-version", {"f": "x"})
    sh("mount", "-t", "nfs4", "-o", "ro,vers=4.2", f"{ADDRESS}:/fact-version", place / "m")
    assert (place / "m/f").read_text() == "x"
    assert "vers=4.2" in Path("/proc/mounts").read_text()
    assert (place / "m/f").stat().st_blksize >= 1 << 16, "it recommends to read all that one READ brings"


def test_data_only_layers(place: Path, kernel: Kernel) -> None:
    """``lowerdir=META::DATA`` since Linux 6.5: names of DATA alone are not seen."""
    options = f"ro,metacopy=on,redirect_dir=on,lowerdir={place}/a::{place}/b"
    error = error_of("mount", "-t", "overlay", "-o", options, "fact", place / "m")
    assert (not error) == (kernel >= (6, 5)), error
    if not error:
        assert sorted(p.name for p in (place / "m").iterdir()) == ["both", "only-a"]


def test_layers_one_by_one(place: Path, kernel: Kernel) -> None:
    """fsconfig ``lowerdir+`` since Linux 6.8."""
    options = [("ro", None), ("lowerdir+", str(place / "a")), ("lowerdir+", str(place / "b"))]
    try:
        made = calls.new_filesystem("overlay", options, calls.SAFE)
    except OSError as error:
        assert error.errno == errno.EINVAL
        assert kernel < (6, 8)
    else:
        assert kernel >= (6, 8)
        calls.attach(made, str(place / "m"))
        os.close(made)
        assert (place / "m/both").read_text() == "a"


def test_move_mount_beneath(place: Path, kernel: Kernel) -> None:
    """Since Linux 6.5: the new mount appears the moment that the old one is taken away."""
    sh("mount", "--bind", place / "a", place / "m")
    copy = calls.clone(str(place / "b"))
    try:
        calls.attach(copy, str(place / "m"), beneath=True)
    except OSError as error:
        assert error.errno == errno.EINVAL
        assert kernel < (6, 5)
    else:
        assert kernel >= (6, 5)
        assert (place / "m/both").read_text() == "a"
        calls.umount(str(place / "m"))
        assert (place / "m/both").read_text() == "b"
    finally:
        os.close(copy)


def test_erofs_is_there(place: Path) -> None:
    """Catalogs are EROFS images; the module exists on every kernel that the lab boots."""
    assert "erofs" in Path("/proc/filesystems").read_text()


def test_overlay_reads_its_layers_as_its_mounter(nas: Nas, place: Path) -> None:
    """root_squash: what only its owner can read, root can't read, an overlay made by the owner can."""
    folder = nas.export("fact-squash", {"d/secret": "s"}, "root_squash")
    os.chown(folder / "d", 4000, 4000)
    (folder / "d").chmod(0o700)
    (place / "n").mkdir()
    sh("mount", "-t", "nfs4", "-o", "ro,vers=4.2", f"{ADDRESS}:/fact-squash", place / "n")
    with pytest.raises(PermissionError):
        (place / "n/d/secret").read_text()
    child = os.fork()
    if not child:
        code = 1
        try:
            calls.set_filesystem_ids(4000, 4000)
            flags = calls.MS_RDONLY
            calls.mount("fact", str(place / "m"), "overlay", flags, f"lowerdir={place}/n:{place}/a")
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert (place / "m/d/secret").read_text() == "s"
