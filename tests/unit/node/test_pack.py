"""An image of a pack: made by nobody, of files that have their digest, read by the kernel as they were."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pdshub.archive.content.pack import Pack, Writer, object_path
from pdshub.node.pack import build
from pdshub.node.pack.build import PackRefused

CONTENTS = (b"", b"a label\n", b"x" * 5000, *(b"<label %d/>\n" % n * (n % 900 + 1) for n in range(2000)))
pytestmark = [
    pytest.mark.usefixtures("sqfstar"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become nobody and to mount"),
    pytest.mark.skipif(not shutil.which(build.sqfstar()), reason="needs sqfstar >= 4.6 (PATH or $PDSHUB_SQFSTAR)"),
]


def written(path: Path, contents: tuple[bytes, ...] = CONTENTS) -> Pack:
    with Writer(path) as writer:
        for data in contents:
            writer.add(hashlib.sha256(data).digest(), data)
        return writer.close()


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    at.mkdir()
    subprocess.run(["mount", "-t", "squashfs", "-o", "ro,loop", image, at], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)


def nothing(count: int) -> None:
    return


def test_the_kernel_reads_what_was_packed(tmp_path: Path) -> None:
    pack = written(tmp_path / "p")
    image = build.build(io.BytesIO((tmp_path / "p").read_bytes()), pack, tmp_path, nothing)
    with mounted(image, tmp_path / "m") as top:
        for data in CONTENTS:
            found = top / object_path(hashlib.sha256(data).digest())
            assert found.read_bytes() == data
            assert (found.stat().st_mode & 0o7777, found.stat().st_uid) == (0o444, 0)
        assert sum(len(names) for _, _, names in os.walk(top)) == pack.objects == len(set(CONTENTS))
    assert (image.stat().st_uid, image.stat().st_mode & 0o777, image.stat().st_size % build.BLOCK) == (0, 0o444, 0)
    assert {path.name for path in tmp_path.iterdir()} == {"p", "m", image.name}, "nothing is left beside it"


def cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def other(raw: bytes) -> bytes:
    return raw[:-40] + bytes([raw[-40] ^ 1]) + raw[-39:]


EVIL: dict[str, tuple[Callable[[bytes], bytes], type[Exception], str]] = {
    "nothing": (lambda raw: b"", PackRefused, "too early"),
    "cut short": (cut, PackRefused, "too early"),
    "changed": (other, Exception, "."),
    "no pack": (lambda raw: b"<html>" * 100, OSError, "no image"),
}


@pytest.mark.parametrize(("change", "error", "why"), EVIL.values(), ids=EVIL)
def test_what_is_not_the_pack_becomes_no_image(
    change: Callable[[bytes], bytes], error: type[Exception], why: str, tmp_path: Path
) -> None:
    pack = written(tmp_path / "p")
    raw = change((tmp_path / "p").read_bytes())
    with pytest.raises(error, match=why):
        build.build(io.BytesIO(raw), pack, tmp_path, nothing)
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_another_pack_than_the_one_that_is_asked_for_becomes_no_image(tmp_path: Path) -> None:
    pack, another = written(tmp_path / "p"), written(tmp_path / "q", (*CONTENTS[:-1], b"another"))
    with pytest.raises(PackRefused, match="it is not sha256:"):
        build.build(
            io.BytesIO((tmp_path / "q").read_bytes()), Pack(pack.digest, another.size, pack.objects), tmp_path, nothing
        )


def test_it_is_ended_when_nobody_wants_it(tmp_path: Path) -> None:
    pack = written(tmp_path / "p")

    def stop(count: int) -> None:
        raise OSError("stopped")

    with pytest.raises(OSError, match="stopped"):
        build.build(io.BytesIO((tmp_path / "p").read_bytes()), pack, tmp_path, stop)
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


FAILS = {
    "no such program": ("/nowhere/sqfstar", "no image could be made"),
    "a program that fails": ("/bin/false", "no image could be made"),
    "a program that makes nothing": ("/bin/true", "no image was made of the pack"),
}


@pytest.mark.parametrize(("program", "why"), FAILS.values(), ids=FAILS)
def test_a_program_that_fails_says_so(program: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = written(tmp_path / "p")
    monkeypatch.setattr(build, "sqfstar", lambda: program)
    with pytest.raises(OSError, match=why):
        build.build(io.BytesIO((tmp_path / "p").read_bytes()), pack, tmp_path, nothing)
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_a_link_in_the_images_place_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has taken over the child leaves a link to what only root may read."""
    (tmp_path / "secret").write_text("of root")
    pack = written(tmp_path / "p")
    with tempfile.TemporaryDirectory() as folder:
        evil = Path(folder, "evil")
        evil.write_text(f"#!/bin/sh\ncat > /dev/null\nln -s {tmp_path}/secret pack.squashfs\n")
        evil.chmod(0o755)
        Path(folder).chmod(0o755)
        monkeypatch.setattr(build, "sqfstar", lambda: str(evil))
        with pytest.raises(OSError, match="no image was made of the pack: Too many levels of symbolic links"):
            build.build(io.BytesIO((tmp_path / "p").read_bytes()), pack, tmp_path, nothing)
