"""The NAS's contents, made by hack/make-archive."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .artefact import digest, files_digest, lock
from .nas import EXPORTS
from .run import run
from .settings import ROOT, Paths
from .venv import venv

SCRIPT = ROOT / "hack" / "make-archive"
LIBRARY = ROOT / "hack" / "archive"


def real_data() -> Path | None:
    """A folder of real PDS data to export as well: PDSHUB_REAL_ARCHIVE, or ../shared/archive."""
    named = os.environ.get("PDSHUB_REAL_ARCHIVE")
    folder = Path(named) if named else ROOT.parent / "shared" / "archive"
    return folder if folder.is_dir() else None


def _listing(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return "\n".join(f"{p.relative_to(folder)} {p.stat().st_size}" for p in files)


def ensure(paths: Paths) -> bool:
    """Fill the folder that the NAS exports, unless it is of the current inputs; returns whether it was filled.

    It stays one folder (the NAS has it mounted), so its contents are moved in when they are whole.
    """
    real = real_data()
    key = digest([files_digest([SCRIPT, LIBRARY]), _listing(real) if real else ""])
    marker = paths.archive / ".inputs"
    with lock(paths.locks / "archive"):
        if marker.exists() and marker.read_text() == key:
            return False
        marker.unlink(missing_ok=True)
        work = paths.cache / ".archive-new"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        if SCRIPT.exists():
            python = venv().path(paths) / "bin" / "python"
            run([python, SCRIPT, work], env={"PDSHUB_REAL_ARCHIVE": str(real)} if real else None)
        else:
            for export in EXPORTS:
                (work / export).mkdir()
                (work / export / "README.txt").write_text(f"{export}: hack/make-archive is not there yet\n")
        paths.archive.mkdir(parents=True, exist_ok=True)
        for made in work.iterdir():
            if made.name in EXPORTS:
                _move_in(made, paths.archive / made.name)
            else:  # what the generator says about them, for the tests
                made.replace(paths.archive / made.name)
        shutil.rmtree(work, ignore_errors=True)
        marker.write_text(key)
        return True


def _move_in(source: Path, target: Path) -> None:
    """Replace what is in ``target``; the folder itself stays, since it is exported."""
    target.mkdir(exist_ok=True)
    for old in target.iterdir():
        shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    shutil.copystat(source, target)
    for entry in source.iterdir():
        entry.rename(target / entry.name)
