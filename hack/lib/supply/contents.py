"""Which image is made of what: its locks, and what its archive holds where it was built here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from devcluster.run import StepFailed
from devcluster.settings import ROOT

from . import locks
from .built import Found
from .package import Kind, Package, for_the_build


@dataclass(frozen=True)
class Recipe:
    """The locks of an image, relative to the repository; programs of hack/tools by name.

    ``build``: pip's locks of what only the build stage has. ``project``: PDSHub's own code is in it.
    """

    python: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    go: tuple[str, ...] = ()
    project: bool = False


RECIPES = {
    "operator": Recipe(
        python=("images/operator/requirements.txt",),
        build=("images/operator/setuptools.txt",),
        go=("helm",),
        project=True,
    ),
    "hub": Recipe(python=("images/hub/requirements.txt",)),
    "proxy": Recipe(build=("images/proxy/requirements.txt",), npm=("images/proxy/package-lock.json",)),
    "user": Recipe(python=("images/user/requirements.txt",)),
    "door": Recipe(go=("caddy",)),
    "nas": Recipe(),
    "node": Recipe(go=("kubernetes", "etcd", "kube-router", "coredns", "local-path-provisioner")),
}
"""The images that hack/ builds. ``nas`` holds Debian's packages alone; ``nas`` and ``node`` are for development."""


@dataclass(frozen=True)
class Contents:
    """What an image is made of. ``ref``: the name of the image that was read, empty when only locks were."""

    image: str
    version: str
    ref: str
    packages: tuple[Package, ...]


def pinned(image: str, root: Path = ROOT) -> list[Package]:
    """What the locks of ``image`` name. Raises StepFailed for a lock that is not understood."""
    recipe, found = RECIPES[image], []

    def read(path: str) -> str:
        return (root / path).read_text()

    try:
        for path in recipe.python:
            found += locks.python(read(path))
        for path in recipe.build:
            found += for_the_build(locks.python(read(path)))
        for path in recipe.npm:
            found += locks.npm(read(path))
        for program in recipe.go:
            folder = f"hack/tools/{program}"
            found += locks.go(read(f"{folder}/go.mod"), read(f"{folder}/go.sum"))
    except (OSError, ValueError, KeyError) as error:
        raise StepFailed(f"the locks of image {image}: {error}") from None
    return _once(found)


def of(image: str, version: str, found: Found | None = None, root: Path = ROOT) -> Contents:
    """What ``image`` is made of: ``found`` is what its archive holds, None where there is none.

    Raises StepFailed when the archive lacks what a lock names: it was built from something else.
    """
    named = pinned(image, root)
    own = [Package(Kind.PYTHON, "pdshub", version)] if RECIPES[image].project else []
    if found is None:
        return Contents(image, version, "", tuple(_once([*named, *own])))
    installed = [*found.debian, *found.python, *found.npm, *found.go]
    there = {(p.kind, p.name, p.version) for p in installed}
    missing = [p for p in (*named, *own) if p.kind is not Kind.GO and not p.build_only and _key(p) not in there]
    if missing:
        words = ", ".join(f"{p.name} {p.version}" for p in missing[:5])
        raise StepFailed(f"{found.ref} was not built from these locks: it lacks {words}")
    hashes = {_key(p): p.hashes for p in named}
    packages = [replace(p, hashes=p.hashes or hashes.get(_key(p), ())) for p in installed]
    packages += [p for p in named if p.build_only]
    key = found.ref.rpartition(":")[2]
    return Contents(image, f"{version}-{key}" if key else version, found.ref, tuple(_once(packages)))


def _key(package: Package) -> tuple[Kind, str, str]:
    return package.kind, package.name, package.version


def _once(packages: Iterable[Package]) -> list[Package]:
    """Each package once, in order: what the image holds before the same thing for its build, with its digest."""
    found: dict[tuple[str, ...], Package] = {}
    for package in sorted(packages, key=lambda p: (p.build_only, not p.hashes, not p.go_sum, p)):
        found.setdefault((*_key(package), package.arch), package)
    return sorted(found.values())
