"""Bills of materials as CycloneDX's own library writes and checks them, in the environment of hack/sbom."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
from supply import contents
from supply.package import Kind

PYTHON = os.environ.get("PDSHUB_SUPPLY_PYTHON", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="PDSHUB_SUPPLY_PYTHON is not set: hack/test makes that environment")
ROOT = Path(__file__).parents[3]


def sbom(*words: str | Path, umask: int = 0o022, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "hack/lib"), "PYTHONDONTWRITEBYTECODE": "1"}
    environ.pop("SOURCE_DATE_EPOCH", None)
    return subprocess.run(
        [PYTHON, "-m", "supply.sbom", *words],
        env={**environ, **environment},
        capture_output=True,
        text=True,
        umask=umask,
        check=False,
        timeout=1200,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sbom")
    done = sbom("--locks", "--output", folder)
    assert done.returncode == 0, done.stderr
    return folder


def document(folder: Path, image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{image}.cdx.json").read_text())
    return found


def test_every_image_has_one_that_is_valid(written: Path) -> None:
    files = sorted(written.iterdir())
    assert {f.name for f in files} == {f"{image}.cdx.json" for image in contents.RECIPES if image != "nas"}
    done = sbom("--check", *files)
    assert done.returncode == 0 and done.stdout.count("valid CycloneDX 1.6") == len(files), done.stdout


@pytest.mark.parametrize("change", ["not json", '{"bomFormat": "CycloneDX"}', "a type that is none"])
def test_what_is_not_valid_is_said(written: Path, tmp_path: Path, change: str) -> None:
    text = (written / "hub.cdx.json").read_text()
    (tmp_path / "x.json").write_text(text.replace('"library"', '"pamphlet"', 1) if "type" in change else change)
    done = sbom("--check", tmp_path / "x.json")
    assert done.returncode == 1 and "valid CycloneDX" not in done.stdout, done.stdout


@pytest.mark.parametrize("image", ["operator", "hub", "proxy", "user", "node"])
def test_it_names_everything_that_the_locks_name(written: Path, image: str) -> None:
    made = document(written, image)
    components = {c["purl"]: c for c in made["components"]}
    packages = contents.of(image, made["metadata"]["component"]["version"]).packages
    assert len(components) == len(packages) == len({c["bom-ref"] for c in made["components"]})
    for package in packages:
        if package.kind is Kind.PYTHON:
            part = components[f"pkg:pypi/{package.name}@{package.version.replace('+', '%2B')}"]
            hashes = {(h["alg"], h["content"]) for h in part.get("hashes", [])}
            assert hashes == set(package.hashes)
            assert part["scope"] == ("excluded" if package.build_only else "required")
    (tree,) = [d for d in made["dependencies"] if d["ref"] == f"image:{image}"]
    assert set(tree["dependsOn"]) == {c["bom-ref"] for c in made["components"]}


@pytest.mark.parametrize(
    ("image", "start"),
    [
        ("proxy", "pkg:npm/configurable-http-proxy@"),
        ("proxy", "pkg:npm/%40colors/colors@"),
        ("operator", "pkg:golang/helm.sh/helm/v3@v3."),
        ("operator", "pkg:pypi/pdshub@"),
        ("node", "pkg:golang/k8s.io/kubernetes@v1."),
    ],
)
def test_package_urls(written: Path, image: str, start: str) -> None:
    assert [c for c in document(written, image)["components"] if c["purl"].startswith(start)]


def test_the_same_input_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    """Whatever folder, hash seed, time zone and umask."""
    done = sbom("--locks", "--output", tmp_path, "hub", "proxy", umask=0o077, PYTHONHASHSEED="7", TZ="Asia/Tokyo")
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.iterdir())) == 2
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (written / file.name).read_bytes()
    serials = {document(written, image)["serialNumber"] for image in ("operator", "hub", "proxy", "user", "node")}
    assert len(serials) == 5 and all(uuid.UUID(serial) for serial in serials)
    assert "timestamp" not in document(written, "hub")["metadata"]


def test_its_time_is_the_source_s(tmp_path: Path) -> None:
    assert sbom("--locks", "--output", tmp_path, "hub", SOURCE_DATE_EPOCH="1700000000").returncode == 0
    assert document(tmp_path, "hub")["metadata"]["timestamp"].startswith("2023-11-14T22:13:20")
    done = sbom("--locks", "--output", tmp_path, "hub", SOURCE_DATE_EPOCH="yesterday")
    assert done.returncode == 1 and "want seconds since 1970" in done.stderr


@pytest.mark.parametrize(("words", "code"), [(("nothing-like-it",), 2), (("--help",), 0)])
def test_words(words: tuple[str, ...], code: int) -> None:
    assert sbom(*words).returncode == code
