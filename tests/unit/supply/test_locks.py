"""What locks name, and what is refused because it would be read only in part."""

from __future__ import annotations

import re

import pytest
from devcluster import app_images
from supply import contents, locks
from supply.package import Kind, Package

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"# a remark\nPyYAML==6.0.3 \\\n    --hash=sha256:{A}\n", [("pyyaml", "6.0.3", (A,))]),
        (f"pds.peppi==0.9.0 --hash=sha256:{B} --hash=sha256:{A}", [("pds-peppi", "0.9.0", (A, B))]),
        (f"x==1 ; python_version < '3.13' \\\n --hash=sha256:{A}", [("x", "1", (A,))]),
        (f"b==1 --hash=sha256:{A}\na==2 --hash=sha256:{B}", [("a", "2", (B,)), ("b", "1", (A,))]),
        ("", []),
    ],
)
def test_python(text: str, found: list[tuple[str, str, tuple[str, ...]]]) -> None:
    wanted = [Package(Kind.PYTHON, n, v, tuple(("SHA-256", d) for d in digests)) for n, v, digests in found]
    assert locks.python(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "x==1",
        f"x>=1 --hash=sha256:{A}",
        f"x==1 --hash=md5:{A}",
        f"x==1 --hash=sha256:{A} --hash=sha256:short",
        "-r other.txt",
        f"--index-url https://elsewhere\nx==1 --hash=sha256:{A}",
        f"x @ https://elsewhere/x.whl --hash=sha256:{A}",
    ],
)
def test_a_line_that_is_no_pin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not NAME==VERSION with SHA-256 digests"):
        locks.python(text)


NPM = """{"lockfileVersion": 3, "packages": {
 "": {"name": "own", "version": "1"},
 "node_modules/@x/y": {"version": "1.0.0", "integrity": "sha512-AQI="},
 "node_modules/z": {"version": "2.0.0", "integrity": "sha512-AQI="},
 "node_modules/@x/y/node_modules/z": {"version": "2.0.0", "integrity": "sha512-AQI="},
 "node_modules/test": {"version": "3.0.0", "integrity": "sha512-AQI=", "dev": true}}}"""


def test_npm() -> None:
    hashes = (("SHA-512", "0102"),)
    assert locks.npm(NPM) == [Package(Kind.NPM, "@x/y", "1.0.0", hashes), Package(Kind.NPM, "z", "2.0.0", hashes)]


@pytest.mark.parametrize("integrity", ["md5-AQI=", "sha512-!", "x"])
def test_a_digest_of_npm_that_nobody_knows_is_refused(integrity: str) -> None:
    with pytest.raises(ValueError, match="no digest that is known"):
        locks.npm(NPM.replace("sha512-AQI=", integrity, 1))


GO_MOD = """module own
go 1.26.0
tool e.org/a/cmd
require e.org/a v1.0.0
require (
	e.org/b v0.0.0 // indirect
	e.org/c v1.2.3 // indirect
)
replace e.org/b => e.org/b2 v0.34.4
"""
GO_SUM = """e.org/a v1.0.0 h1:aa=
e.org/a v1.0.0/go.mod h1:no=
e.org/b2 v0.34.4 h1:bb=
e.org/c v1.2.3 h1:cc=
"""


def test_go() -> None:
    found = [(p.name, p.version, p.go_sum) for p in locks.go(GO_MOD, GO_SUM)]
    wanted = [("e.org/a", "v1.0.0", "h1:aa="), ("e.org/b2", "v0.34.4", "h1:bb="), ("e.org/c", "v1.2.3", "h1:cc=")]
    assert found == wanted


@pytest.mark.parametrize(
    ("mod", "sums", "message"),
    [
        (GO_MOD, GO_SUM.replace("e.org/c v1.2.3 ", "e.org/c v1.2.4 "), r"go\.sum has no e\.org/c v1\.2\.3"),
        (GO_MOD.replace("e.org/b2 v0.34.4", "../b"), GO_SUM, "replaced by a folder"),
    ],
)
def test_modules_without_a_digest_are_refused(mod: str, sums: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        locks.go(mod, sums)


@pytest.mark.parametrize("image", contents.RECIPES)
def test_every_lock_of_the_project_is_understood(image: str) -> None:
    found = contents.pinned(image)
    assert found or image == "nas"
    assert all(package.hashes or package.go_sum.startswith("h1:") for package in found)


def test_every_lock_that_a_dockerfile_copies_is_in_a_recipe() -> None:
    """And what is built from Go modules: a file that a Dockerfile copies from build/bin is a program of hack/tools."""
    below = {"runtime": "operator"}  # the operator's image is built on it
    copied: dict[str, set[str]] = {}
    for dockerfile in sorted((contents.ROOT / "images").glob("*/Dockerfile")):
        name = dockerfile.parent.name
        words = app_images.copied(dockerfile.read_text())
        wanted = {w for w in words if re.search(r"(requirements|setuptools)\.txt$|package-lock\.json$|^build/bin/", w)}
        copied.setdefault(below.get(name, name), set()).update(wanted)
    for image, paths in copied.items():
        recipe = contents.RECIPES[image]
        known = {*recipe.python, *recipe.build, *recipe.npm, *(f"build/bin/{program}" for program in recipe.go)}
        assert paths == known, image
