"""The project's own images: Debian base, operator and what it is built on, hub, proxy, user, NAS."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from . import build_settings, golang
from .artefact import Artefact, digest, files_digest
from .engine import Engine
from .machine import debian_mirror, debootstrap, unmount_below
from .oci import Image, write_archive
from .run import run
from .settings import APP_SUITE, ROOT, Paths

NAMES = ("nas", "operator", "hub", "proxy", "user", "door")
IN_CLUSTER = ("operator", "hub", "proxy", "user", "door")
PROGRAMS = {"operator": "helm", "door": "caddy"}
"""Image -> the program of hack/tools that its Dockerfile, or that of the image below it, copies from build/bin."""
BELOW = {"operator": "runtime"}
"""Images that are built on another image of the project, which holds what changes less often."""
REGISTRY_BASE = f"docker.io/library/debian:{APP_SUITE}-slim"
BUILD_BIN = ROOT / "build" / "bin"


def copied(dockerfile: str) -> list[str]:
    """Paths in the build context that a Dockerfile copies in: the sources of COPY and ADD."""
    text = re.sub(r"\\\s*\n", " ", dockerfile)
    sources: list[str] = []
    for line in text.splitlines():
        found = re.match(r"\s*(?:COPY|ADD)\s+(.*)", line, re.I)
        if not found:
            continue
        words = shlex.split(found[1], comments=True)
        if any(w.startswith("--from") for w in words):
            continue
        plain = [w for w in words if not w.startswith("--")]
        sources += [w for w in plain[:-1] if "://" not in w and not w.startswith("<<")]
    return sources


def build_args(dockerfile: str, environ: Mapping[str, str]) -> list[str]:
    """NAME=value for each ARG of a Dockerfile that ``environ`` sets; folders of this machine mean nothing there."""
    declared = [w.partition("=")[0] for x in re.findall(r"(?mi)^\s*ARG\s+(.*)$", dockerfile) for w in x.split()]
    wanted = {n: environ[n] for n in declared if environ.get(n) and n not in ("BASE", "BUILD_BASE")}
    return [
        f"{n}={v}"
        for n, v in wanted.items()
        if not v.startswith("/") or Path(v).is_relative_to(build_settings.CERTIFICATES)
    ]


def inputs(name: str, root: Path = ROOT) -> list[Path]:
    """Files and folders that decide what image ``name`` holds."""
    dockerfile = root / "images" / name / "Dockerfile"
    found = [dockerfile]
    for source in copied(dockerfile.read_text()):
        pattern = source.strip("/") or "."
        matches = list(root.glob(pattern)) if any(c in pattern for c in "*?[") else [root / pattern]
        found += matches
    return found


def base(registry: bool) -> Artefact:
    """The base image: ``ref`` (and ``image.tar`` if it was built here)."""

    def build(work: Path) -> None:
        if registry:
            (work / "ref").write_text(REGISTRY_BASE)
            return
        root = work / "root"
        try:
            debootstrap(root, APP_SUITE, ["ca-certificates"])
            for waste in ("var/cache/apt", "var/lib/apt/lists"):
                shutil.rmtree(root / waste, ignore_errors=True)
                (root / waste).mkdir()
            run(["tar", "--numeric-owner", "--sort=name", "-C", root, "-cf", work / "root.tar", "."])
        finally:
            unmount_below(root)
        shutil.rmtree(root)
        ref = f"localhost/pdshub/debian:{key}"
        write_archive([Image((ref,), (work / "root.tar",), command=("bash",))], work / "image.tar")
        (work / "root.tar").unlink()
        (work / "ref").write_text(ref)

    key = digest([APP_SUITE, REGISTRY_BASE if registry else debian_mirror(), "1"])
    return Artefact("debian", key, build)


def ensure_base(paths: Paths, engine: Engine, registry: bool) -> tuple[str, bool]:
    """The base image's name, present in the engine, and whether it had to be built."""
    folder, built = base(registry).ensure(paths)
    ref = (folder / "ref").read_text()
    if (folder / "image.tar").exists() and not engine.has_image(ref):
        engine.run("load", "-i", folder / "image.tar")
    return ref, built


def put_programs(paths: Paths) -> None:
    """Static programs at build/bin, where Dockerfiles copy them from."""
    for name in PROGRAMS.values():
        put_program(paths, name)


def put_program(paths: Paths, name: str) -> None:
    """A static program of hack/tools at build/bin/NAME."""
    source = golang.program(paths, name)
    target = BUILD_BIN / name
    if not target.exists() or target.read_bytes() != source.read_bytes():
        BUILD_BIN.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target.with_suffix(".new"))
        target.with_suffix(".new").rename(target)


def reference(name: str, base_ref: str, root: Path = ROOT) -> str:
    """The name of image ``name``, whose tag is a digest of all that it is made of; ``base_ref`` is the Debian base."""
    made_of = [files_digest(inputs(name, root), root), _below(name, base_ref, root)]
    return f"localhost/pdshub/{name}:{digest([*made_of, (root / '.dockerignore').read_text()])}"


def surroundings(base_ref: str) -> str:
    """Digest of all that the operator's image is made of, but for the code below operator/."""
    files = [path for path in inputs("operator") if path != ROOT / "operator"]
    return digest([files_digest(files), _below("operator", base_ref)])


def _below(name: str, base_ref: str, root: Path = ROOT) -> str:
    """The name of the image that ``name`` is built on."""
    return reference(BELOW[name], base_ref, root) if name in BELOW else base_ref


def build(engine: Engine, name: str, base_ref: str) -> str:
    """Have the engine build image ``name``, and what it is built on where that is not there; returns its name."""
    below, ref = _below(name, base_ref), reference(name, base_ref)
    if name in BELOW and not engine.has_image(below):
        build(engine, BELOW[name], base_ref)
    dockerfile = ROOT / "images" / name / "Dockerfile"
    layers = ["--layers"] if engine.name == "podman" else []
    with build_settings.given(engine, below) as settings:
        engine.run(
            *("build", "--network", "host", *settings, *layers, "--build-arg", f"BASE={below}"),
            *(a for b in build_args(dockerfile.read_text(), os.environ) for a in ("--build-arg", b)),
            *("-f", dockerfile, "-t", ref, ROOT),
        )
    return ref


def forget_outdated(engine: Engine, current: str) -> None:
    """Remove earlier images of the same name as ``current`` from the engine."""
    for old in outdated(engine.output("images", "--format", "{{.Repository}}:{{.Tag}}").split(), current):
        engine.ok("rmi", old)


def image(paths: Paths, engine: Engine, name: str, base_ref: str) -> Artefact:
    """``ref`` and ``image.tar`` of one of NAMES; ``base_ref`` is the Debian base."""
    ref = reference(name, base_ref)

    def make(work: Path) -> None:
        build(engine, name, base_ref)
        engine.run("save", "-o", work / "image.tar", ref)
        for made in (ref, *([_below(name, base_ref)] if name in BELOW else [])):
            forget_outdated(engine, made)
        (work / "ref").write_text(ref)

    return Artefact(f"image-{name}", ref.rpartition(":")[2], make)


def built(paths: Paths, name: str) -> Path | None:
    """The archive of image ``name`` as its inputs are now, where it was built on this machine."""
    for registry in (False, True):
        ref = base(registry).path(paths) / "ref"
        if ref.exists():
            key = reference(name, ref.read_text()).rpartition(":")[2]
            archive = paths.artefacts / f"image-{name}" / key / "image.tar"
            if archive.exists():
                return archive
    return None


def outdated(refs: list[str], current: str) -> list[str]:
    """Earlier images of the same name as ``current``."""
    name = current.rpartition(":")[0]
    return [r for r in refs if r.rpartition(":")[0] == name and r != current]


def ensure(paths: Paths, engine: Engine, name: str, base_ref: str) -> tuple[str, bool]:
    """The image's name, with its archive linked into the folder that the node sees; and whether it was built."""
    folder, built = image(paths, engine, name, base_ref).ensure(paths)
    ref = (folder / "ref").read_text()
    if name in IN_CLUSTER:
        link = paths.images / archive_name(name, ref)
        if not link.exists():
            paths.images.mkdir(parents=True, exist_ok=True)
            for old in paths.images.glob(f"{name}-*.tar"):
                old.unlink()
            link.hardlink_to(folder / "image.tar")
    elif not engine.has_image(ref):
        engine.run("load", "-i", folder / "image.tar")
    return ref, built


def archive_name(name: str, ref: str) -> str:
    """File name of an image's archive in the folder that the node sees."""
    return f"{name}-{ref.rpartition(':')[2]}.tar"
