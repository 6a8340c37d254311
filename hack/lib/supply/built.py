"""What a built image holds, read from its archive (``docker save``, ``podman save``): no engine is needed.

Debian's packages are known from nowhere else: they are those that the mirror had on the day of the build. Installed
Python packages, npm's own list and what Go writes into programs are read too, so that a bill says what is there and not
only what was asked for.
"""

from __future__ import annotations

import email.parser
import io
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import locks
from .package import Kind, Package

_DPKG = "var/lib/dpkg/status"
_RELEASE = "usr/lib/os-release"
_PYTHON = re.compile(r"opt/[^/]+/lib/python3[^/]*/site-packages/([^/]+)-([^/-]+)\.dist-info/METADATA")
_NPM = re.compile(r"opt/[^/]+/node_modules/\.package-lock\.json")
_PROGRAM = re.compile(r"(usr/)?(local/)?s?bin/[^/]+")
_GO_INFO = b"\xff Go buildinf:"
_GO_MARK = 16
"""Bytes of the marks that Go puts before and after its list of modules."""
LARGEST = 256 << 20
"""Bytes of the largest file that is read into memory."""


@dataclass
class Found:
    """What an image holds."""

    ref: str = ""
    debian: list[Package] = field(default_factory=list)
    python: list[Package] = field(default_factory=list)
    npm: list[Package] = field(default_factory=list)
    go: list[Package] = field(default_factory=list)


def look(archive: Path) -> Found:
    """What the image in ``archive`` holds. Raises ValueError for an archive that is none of one image."""
    files: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        try:
            (manifest,) = json.loads(_read(tar, "manifest.json"))
            ref, layers = manifest["RepoTags"][0], manifest["Layers"]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"{archive}: no archive of one image: {error}") from None
        for layer in layers:
            stream = tar.extractfile(layer)
            if stream is None:
                raise ValueError(f"{archive}: {layer} is no file")
            with tarfile.open(fileobj=stream) as inner:
                for path, data in _wanted(inner, files):
                    files[path] = data
    return _found(ref, files)


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    stream = tar.extractfile(name)
    if stream is None:
        raise ValueError(f"{name} is no file")
    return stream.read(LARGEST)


def _wanted(layer: tarfile.TarFile, files: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of what says something; what the layer takes away is taken out of ``files`` (OCI image layers)."""
    for member in layer:
        path = member.name.removeprefix("./").lstrip("/")
        folder, _, name = path.rpartition("/")
        if name.startswith(".wh."):
            gone = folder if name == ".wh..wh..opq" else f"{folder}/{name.removeprefix('.wh.')}"
            for old in [p for p in files if p == gone or p.startswith(f"{gone}/")]:
                del files[old]
        elif not member.isfile() or member.size > LARGEST:
            continue
        elif path in (_DPKG, _RELEASE) or _PYTHON.fullmatch(path) or _NPM.fullmatch(path):
            stream = layer.extractfile(member)
            yield path, stream.read() if stream else b""
        elif _PROGRAM.fullmatch(path):
            stream = layer.extractfile(member)
            data = stream.read() if stream else b""
            if _GO_INFO in data:
                yield path, data


def _found(ref: str, files: dict[str, bytes]) -> Found:
    found = Found(ref)
    suite = suite_of(files.get(_RELEASE, b"").decode(errors="replace"))
    modules: set[Package] = set()
    for path, data in sorted(files.items()):
        if path == _DPKG:
            found.debian = debian(data.decode(errors="replace"), suite)
        elif match := _PYTHON.fullmatch(path):
            found.python.append(Package(Kind.PYTHON, locks.python_name(match[1]), match[2]))
        elif _NPM.fullmatch(path):
            found.npm += locks.npm(data.decode())
        elif path != _RELEASE:
            modules |= set(go_modules(data))
    found.python.sort()
    found.go = sorted(modules)
    return found


def suite_of(release: str) -> str:
    """The name of the Debian in an os-release(5), as ``trixie``; empty when it does not say."""
    named = re.search(r'^VERSION_CODENAME="?([a-z0-9-]+)"?$', release, re.MULTILINE)
    return named[1] if named else ""


def debian(status: str, suite: str) -> list[Package]:
    """The installed packages of a dpkg status file (deb-control(5)), each with its source package."""
    found = []
    for paragraph in re.split(r"\n\s*\n", status):
        fields = email.parser.HeaderParser().parse(io.StringIO(paragraph))
        if fields.get("Status", "").split()[-1:] != ["installed"]:
            continue
        source = " ".join(fields.get("Source", "").split())
        found.append(
            Package(
                Kind.DEBIAN,
                fields["Package"],
                fields["Version"],
                arch=fields["Architecture"],
                source=source,
                suite=suite,
            )
        )
    return sorted(found)


def go_modules(program: bytes) -> list[Package]:
    """The modules that a Go program was built from, and Go's own library; none for another program.

    Since Go 1.18 the linker writes both into the program as text (debug/buildinfo of Go's library): a mark, two bytes,
    and 32 bytes after the beginning of the mark the version of Go and the modules, each behind its length.
    """
    at = program.find(_GO_INFO)
    while at >= 0:
        if program[at + 15 : at + 16] and program[at + 15] & 2:
            try:
                version, rest = _counted(program, at + 32)
                modules, _ = _counted(program, rest)
            except IndexError:
                version, modules = b"", b""
            if re.match(rb"go\d", version) and len(modules) > 2 * _GO_MARK:
                own = Package(Kind.GO, "stdlib", version.decode(errors="replace").split()[0].removeprefix("go"))
                return sorted([own, *_modules(modules[_GO_MARK:-_GO_MARK].decode(errors="replace"))])
        at = program.find(_GO_INFO, at + 1)
    return []


def _counted(data: bytes, at: int) -> tuple[bytes, int]:
    """The bytes behind their length, which is written in groups of seven bits; and where they end."""
    length = shift = 0
    while True:
        byte = data[at]
        length |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return data[at : at + length], at + length
        if shift > 28:
            raise IndexError


def _modules(text: str) -> list[Package]:
    found: list[Package] = []
    for line in text.splitlines():
        kind, *words = line.split("\t")
        if kind == "dep" or (kind == "=>" and found):
            name, version, *digest = words
            if kind == "=>":
                found.pop()
            found.append(Package(Kind.GO, name, version, go_sum=digest[0] if digest else ""))
    return found
