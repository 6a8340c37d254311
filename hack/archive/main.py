"""hack/make-archive: both exports, a manifest of every file, and facts for tests to check against."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from archive import layout
from archive.tree import Tree

STAMP = ".make-archive"
"""In OUT_DIR: digest of what made it. Written last, so that a run that was cut off is done again."""
HERE = Path(__file__).resolve().parent
SUPERSEDED = ["orex/SUPERSEDED/orex.otes", "orex/orex.ocams", "orex/orex.ola/data_calibrated"]
"""Folders on pds-main that the mission's export replaces."""


def real_data() -> Path | None:
    """A folder of real PDS data: PDSHUB_REAL_ARCHIVE, or ../shared/archive beside the repository."""
    named = os.environ.get("PDSHUB_REAL_ARCHIVE")
    folder = Path(named) if named else HERE.parents[2] / "shared" / "archive"
    return folder if folder.is_dir() else None


def inputs(real: Path | None) -> str:
    """Digest of the generator and of the list of real files."""
    digest = hashlib.sha256()
    for path in sorted(HERE.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    for path in sorted(real.rglob("*")) if real else []:
        digest.update(f"{path}\0{path.stat().st_size}\0{path.stat().st_mtime_ns}\n".encode())
    return digest.hexdigest()


def facts(main: Tree, mission: Tree, main_facts: list[Any], mission_facts: list[Any], large: str) -> dict[str, Any]:
    """What tests need to know; every path is relative to the export, and to a view that keeps its folders."""

    def first(kind: str, **wanted: Any) -> dict[str, Any]:
        fit = (f for f in main_facts if f["kind"] == kind and wanted.items() <= f.items())
        return dict(next(fit))

    old = {p for p in main.files if p.startswith("orex/")}
    both = sorted(p for p in mission.files if p in old)
    different = [p for p in both if mission.files[p]["sha256"] != main.files[p]["sha256"]]
    example = next(p for p in different if p.endswith(".fits"))
    return {
        "pds3": first("pds3", object="IMAGE"),
        "pds3_table": first("pds3", object="TABLE"),
        "pds4": first("pds4", object="image"),
        "pds4_table": first("pds4", object="table"),
        "catalina": next(dict(f) for f in main_facts if f["path"].startswith("catalina/")),
        "big": {"path": large, **main.files[large]},
        "overlap": {"both": both, "different": different, "winner": "pds-mission"},
        "overlap_example": {
            "path": example,
            "winner": {"export": "pds-mission", **mission.files[example]},
            "loser": {"export": "pds-main", **main.files[example]},
        },
        "shine_through": sorted(p for p in old if "ocams_20181031_old" in p),
        "superseded": SUPERSEDED,
        "products": {"pds-main": main_facts, "pds-mission": mission_facts},
    }


def make(out: Path, real: Path | None) -> dict[str, Any]:
    """Write both exports below ``out``; returns the manifest."""
    main, mission = Tree(out / "pds-main"), Tree(out / "pds-mission")
    main.clear()
    mission.clear()
    main_facts = layout.volumes(main) + layout.bundles(main)
    nights, large = layout.catalina(main)
    main_facts += nights + layout.mission_on_main(main)
    mission_facts = layout.mission_on_its_own(mission)
    found = facts(main, mission, main_facts, mission_facts, large)
    for kind in ("pds3", "pds4"):
        if real and (real / kind).is_dir():
            main.copy(real / kind, f"real/{kind}")
    main.settle()
    mission.settle()
    exports = {tree.root.name: dict(sorted(tree.files.items())) for tree in (main, mission)}
    return {"exports": exports, "facts": found}


def main() -> None:
    """The command."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: hack/make-archive OUT_DIR")
    out, started = Path(sys.argv[1]), time.monotonic()
    real = real_data()
    stamp, wanted = out / STAMP, inputs(real)
    if stamp.exists() and stamp.read_text() == wanted and (out / "manifest.json").exists():
        print(f"{out} is current")
        return
    stamp.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    manifest = make(out, real)
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    stamp.write_text(wanted)
    for name, files in manifest["exports"].items():
        total = sum(f["size"] for f in files.values())
        print(f"{name}: {len(files)} files, {total / 1e6:.1f} MB")
    print(f"{out}: {time.monotonic() - started:.1f} s, real data {'from ' + str(real) if real else 'none found'}")
