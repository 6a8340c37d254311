"""The generated archive: the same each time, whole, and read by the libraries that researchers use."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "hack" / "make-archive"
NS = {"p": "http://pds.nasa.gov/pds4/pds/v1"}


def make(out: Path, real: Path) -> str:
    """Run the script; returns what it printed."""
    environ = {**os.environ, "PDSHUB_REAL_ARCHIVE": str(real)}
    done = subprocess.run([sys.executable, SCRIPT, out], env=environ, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for real data, with one file."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "pds3" / "VOLUME").mkdir(parents=True)
    (folder / "pds3" / "VOLUME" / "voldesc.cat").write_text("PDS_VERSION_ID = PDS3\r\nEND\r\n")
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, real: Path) -> Path:
    """A generated archive."""
    out = tmp_path_factory.mktemp("archive")
    make(out, real)
    return out


@pytest.fixture(scope="session")
def manifest(made: Path) -> dict[str, Any]:
    """What it says of itself."""
    found: dict[str, Any] = json.loads((made / "manifest.json").read_text())
    return found


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state(root: Path) -> list[tuple[str, int, int]]:
    return sorted((str(p.relative_to(root)), p.stat().st_mode, p.stat().st_mtime_ns) for p in root.rglob("*"))


def test_the_manifest_is_the_truth(made: Path, manifest: dict[str, Any]) -> None:
    for export, files in manifest["exports"].items():
        root = made / export
        assert {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()} == set(files)
        for path, facts in files.items():
            assert (root / path).stat().st_size == facts["size"]
            assert digest(root / path) == facts["sha256"]
    assert manifest["exports"]["pds-main"]["real/pds3/VOLUME/voldesc.cat"]["size"] == 28


def test_everybody_can_read_it(made: Path) -> None:
    for export in ("pds-main", "pds-mission"):
        for path in (made / export, *(made / export).rglob("*")):
            assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_two_runs_are_equal_and_a_second_does_nothing(made: Path, real: Path, tmp_path: Path) -> None:
    make(tmp_path, real)
    for export in ("pds-main", "pds-mission"):
        assert state(tmp_path / export) == state(made / export)
    assert (tmp_path / "manifest.json").read_bytes() == (made / "manifest.json").read_bytes()
    before = (tmp_path / "manifest.json").stat().st_mtime_ns
    assert "is current" in make(tmp_path, real)
    assert (tmp_path / "manifest.json").stat().st_mtime_ns == before
    # cut off: the stamp is not there, and strange files are
    (tmp_path / ".make-archive").unlink()
    (tmp_path / "pds-main" / "left.over").write_text("x")
    make(tmp_path, real)
    assert state(tmp_path / "pds-main") == state(made / "pds-main")


def test_the_large_file_is_large_and_not_sparse(made: Path, manifest: dict[str, Any]) -> None:
    big = manifest["facts"]["big"]
    status = (made / "pds-main" / big["path"]).stat()
    assert status.st_size == big["size"] >= 200_000_000
    assert status.st_blocks * 512 >= 200_000_000


def test_the_overlap_has_a_winner_and_something_to_shine_through(manifest: dict[str, Any]) -> None:
    main, mission = manifest["exports"]["pds-main"], manifest["exports"]["pds-mission"]
    facts = manifest["facts"]
    assert facts["overlap"]["different"] == sorted(
        p for p in mission if p in main and main[p]["sha256"] != mission[p]["sha256"]
    )
    example = facts["overlap_example"]
    assert mission[example["path"]]["sha256"] == example["winner"]["sha256"] != example["loser"]["sha256"]
    assert facts["shine_through"]
    assert all(p in main and p not in mission for p in facts["shine_through"])
    for folder in facts["superseded"]:
        assert any(p.startswith(folder + "/") for p in main)


def labels(made: Path, product_class: str) -> list[tuple[Path, ET.Element]]:
    found = []
    for path in sorted(p for p in made.rglob("*") if p.suffix.lower() in (".xml", ".lblx")):
        if "real" not in path.relative_to(made).parts:
            root = ET.parse(path).getroot()  # noqa: S314  (made by us)
            if root.tag.endswith("}" + product_class):
                found.append((path, root))
    return found


def text(root: ET.Element, path: str) -> str:
    return root.findtext(path, "", NS)


def test_bundles_and_inventories_name_what_is_there(made: Path) -> None:
    products = {
        f"{text(root, './/p:logical_identifier')}::{text(root, './/p:version_id')}"
        for kind in ("Product_Observational", "Product_Collection")
        for _, root in labels(made, kind)
    }
    collections = labels(made, "Product_Collection")
    assert len(collections) > 10
    for path, root in collections:
        inventory = path.parent / text(root, ".//p:File_Area_Inventory/p:File/p:file_name")
        rows = inventory.read_bytes().decode().split("\r\n")
        assert rows.pop() == ""
        assert len(rows) == int(text(root, ".//p:Inventory/p:records"))
        assert {row.removeprefix("P,") for row in rows} <= products
    for _, root in labels(made, "Product_Bundle"):
        assert {e.text for e in root.iterfind(".//p:lidvid_reference", NS)} <= products


def test_labels_name_files_with_their_size_and_digest(made: Path) -> None:
    checked = 0
    for path, root in labels(made, "Product_Observational"):
        area = root.find(".//p:File", NS)
        assert area is not None
        data = path.parent / text(area, "p:file_name")
        assert data.stat().st_size == int(text(area, "p:file_size"))
        with data.open("rb") as file:
            assert hashlib.file_digest(file, "md5").hexdigest() == text(area, "p:md5_checksum")
        checked += 1
    assert checked > 30


def test_suffixes_and_cases_that_real_archives_have(manifest: dict[str, Any]) -> None:
    names = "\n".join(manifest["exports"]["pds-main"])
    for pattern in (r"\.XML$", r"\.lblx$", r"/VOLDESC\.CAT$", r"/voldesc\.cat$", r"G96/2021/21Apr02/.*\.fits$"):
        assert re.search(pattern, names, re.M), pattern


def test_pdr_reads_every_product(made: Path, manifest: dict[str, Any]) -> None:
    pdr = pytest.importorskip("pdr")
    for export, facts in manifest["facts"]["products"].items():
        for fact in (f for f in facts if "pdr" in f["readers"]):
            data = pdr.read(str(made / export / fact["path"]))[fact["object"]]
            if "column" in fact:
                assert len(data) == fact["rows"]
                data = data[fact["column"]]
            else:
                assert list(data.shape) == fact["shape"]
            assert float(data.astype("f8").mean()) == pytest.approx(fact["mean"]), fact["path"]


def test_pds4_tools_reads_every_pds4_product(made: Path, manifest: dict[str, Any]) -> None:
    pds4_tools = pytest.importorskip("pds4_tools")
    for export, facts in manifest["facts"]["products"].items():
        for fact in (f for f in facts if "pds4_tools" in f["readers"]):
            found = pds4_tools.read(str(made / export / fact["path"]), quiet=True)[fact["object"]]
            data = found[fact["column"]] if "column" in fact else found.data
            assert float(data.astype("f8").mean()) == pytest.approx(fact["mean"]), fact["path"]
