"""Generations of the archive on this machine: surveyed by ``pdshub-survey``, kept in folders, one of them current."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdshub.archive import manifest
from pdshub.archive.view import ViewError, checked_spec
from pdshub.compose.source import View, documents
from pdshub.compose.text import PLAIN_PATH, ExportError

CURRENT = "current"
"""A link to the generation that users see."""
_SHORT = re.compile(r"[0-9a-f]{12,64}")
REFUSED = 3
Run = Callable[[Sequence[str]], int]


@dataclass(frozen=True)
class Store:
    """The folder of an export, as far as the archive goes."""

    folder: Path

    @property
    def mounts(self) -> Path:
        """Where sources and archive are mounted."""
        return self.folder / "mnt"

    @property
    def sources(self) -> Path:
        """Where each source is mounted, by its name."""
        return self.mounts / "sources"

    @property
    def archive(self) -> Path:
        """What servers see as the archive."""
        return self.mounts / "archive"

    @property
    def generations(self) -> Path:
        """Where generations are kept."""
        return self.folder / "archive" / "generations"

    def view(self) -> View:
        """The view of the export. Raises ExportError."""
        path = self.folder / "archive" / "view.yaml"
        try:
            found = documents(path.read_text(encoding="utf-8"))
            if len(found) != 1 or found[0].get("kind") != "ArchiveView":
                raise ExportError(f"{path} is no ArchiveView")
            name = str((found[0].get("metadata") or {}).get("name") or "")
            if not PLAIN_PATH.fullmatch(f"/{name}") or "/" in name:
                raise ExportError(f"{path}: metadata.name {name!r} is no name of a folder")
            return View(name, checked_spec(found[0].get("spec") or {}))
        except (OSError, UnicodeError) as error:
            raise ExportError(f"{path}: {error}") from None
        except ViewError as error:
            raise ExportError(f"{path}: {error}") from None

    def kept(self) -> list[str]:
        """Names of the generations that are kept, oldest first."""
        try:
            found = [each for each in self.generations.iterdir() if _SHORT.fullmatch(each.name) and each.is_dir()]
        except OSError:
            return []
        return [each.name for each in sorted(found, key=lambda each: (each.stat().st_mtime_ns, each.name))]

    def current(self) -> str:
        """The generation that users see; empty where there is none."""
        try:
            name = (self.generations / CURRENT).readlink().name
        except OSError:
            return ""
        return name if _SHORT.fullmatch(name) and (self.generations / name).is_dir() else ""

    def release(self, name: str) -> None:
        """Makes a generation the one that users see, at the next mount. Raises ExportError."""
        found = [each for each in self.kept() if each.startswith(name)] if _SHORT.fullmatch(name) else []
        if len(found) != 1:
            raise ExportError(f"{name}: none, or more than one, of {', '.join(self.kept()) or 'no generations'}")
        read(self.generations / found[0])
        new = self.generations / ".current"
        new.unlink(missing_ok=True)
        new.symlink_to(found[0])
        new.replace(self.generations / CURRENT)

    def forget(self, keep: int) -> None:
        """Removes the oldest generations, but for ``keep`` of them and the current one."""
        current = self.current()
        others = [name for name in self.kept() if name != current]
        for name in others[: max(0, len(others) - keep)]:
            shutil.rmtree(self.generations / name, ignore_errors=True)


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a generation whose images are the ones that it names. Raises ExportError."""
    try:
        found = manifest.read(folder)
        for image in found["images"]:
            with (folder / image["name"]).open("rb") as opened:
                digest = f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
            if digest != image["digest"]:
                raise ExportError(f"{folder}/{image['name']} is not what its manifest says: survey again")
    except (OSError, ValueError) as error:
        raise ExportError(str(error)) from None
    return found


def pdshub_survey(words: Sequence[str]) -> int:
    """Runs ``pdshub-survey``, which speaks for itself; its exit code."""
    return subprocess.run([sys.executable, "-m", "pdshub.archive.main", *words], check=False).returncode


def survey(store: Store, now: bool = False, accept_shrink: bool = False, run: Run = pdshub_survey) -> tuple[str, int]:
    """Surveys the sources, and releases the new generation where the view releases by itself. What came of it, a code.

    ``now``: directories that are still changing are not waited for. Raises ExportError.
    """
    view = store.view()
    if not view.spec.cataloged:
        raise ExportError("the view is live: there is nothing to survey")
    current, work = store.current(), store.generations / ".new"
    shutil.rmtree(work, ignore_errors=True)
    plan = ["plan", "--view", str(store.folder / "archive" / "view.yaml"), "--out", str(work)]
    for source in view.spec.sources:
        plan.append(f"--source={source.name}={store.sources / source.name}")
    if current:
        plan += ["--previous", str(store.generations / current)]
    plan += ["--settle", "0"] if now else []
    shrink = ["--accept-shrink"] if accept_shrink else []
    for words in ([*plan, *shrink], ["catalog", "--generation", str(work), *shrink]):
        if code := run(words):
            kept = "users see what they saw" if current else "users see the sources live"
            return f"no new generation: {kept}", code
    name = str(read(work)["generation"]).removeprefix("sha256:")
    if name in store.kept():
        shutil.rmtree(work)
    else:
        os.rename(work, store.generations / name)  # noqa: PTH104 - it must not replace one that is there
    if view.spec.release == "approve" and current not in ("", name):
        return f"{name[:12]} waits: pdshub-compose archive release DIR {name[:12]}", 0
    store.release(name)
    store.forget(view.spec.survey.keep)
    return f"{name[:12]} is current" + (", as it was" if name == current else ""), 0
