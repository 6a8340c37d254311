"""One thing that an image is made of, as a lock or the image itself names it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Kind(StrEnum):
    """Where a package comes from: the types of package URLs (https://github.com/package-url/purl-spec)."""

    PYTHON = "pypi"
    NPM = "npm"
    GO = "golang"
    DEBIAN = "deb"


@dataclass(frozen=True, order=True)
class Package:
    """A package at one version.

    ``hashes``: (algorithm as CycloneDX writes it, hexadecimal digest) of the file that is fetched, where a lock has it.
    ``go_sum``: Go's digest of a module's files, which is the digest of no file (https://go.dev/ref/mod#go-sum-files).
    ``arch``, ``source`` and ``suite``: of Debian's packages alone. ``build_only``: it is fetched for the build, and the
    image does not hold it.
    """

    kind: Kind
    name: str
    version: str
    hashes: tuple[tuple[str, str], ...] = ()
    go_sum: str = ""
    arch: str = ""
    source: str = ""
    suite: str = ""
    build_only: bool = False


def for_the_build(packages: Iterable[Package]) -> list[Package]:
    """The same packages, of which the image keeps nothing."""
    return [replace(package, build_only=True) for package in packages]
