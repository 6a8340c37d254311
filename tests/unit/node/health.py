"""What scenarios of canary and proof share: a catalog made by hand, and what can be looked at."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from prometheus_client.parser import text_string_to_metric_families

from pdshub.node.health.published import Subject
from pdshub.node.health.sample import Known
from pdshub.node.report import exposition
from tests.unit.node import machine

ACTIONS = {"create", "mkdir", "symlink", "change", "open", "chmod", "rename", "remove"}


def eventually(what: Callable[[], Any], text: str = "") -> Any:
    """Several looks at a source, on a machine with busy neighbours."""
    return machine.eventually(what, 90, text)


def sh(*command: str | Path) -> None:
    subprocess.run(command, check=True)


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """All that an attempt could have changed."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }  # fmt: skip


def scraped(folder: Path) -> dict[tuple[str, str], float]:
    """(metric, source or empty) -> value, by Prometheus' own parser. `folder`: the plugin's --run-dir."""
    text = exposition.read(folder / exposition.FILE, time.time()).decode()
    families = text_string_to_metric_families(text)
    return {(s.name, s.labels.get("source", "")): s.value for family in families for s in family.samples}


def known(path: str, text: str, origin: str = "survey") -> Known:
    name = "md5" if origin == "label" else "sha256"
    return Known(path, len(text), name, hashlib.new(name, text.encode()).hexdigest(), origin)


def seen(one: Known, root: Path, source: str = "main") -> Known:
    """With the times that its source has now: as a survey that looks now writes it."""
    file = (root / one.path).stat()
    above = [folder.stat() for folder in (root / one.path).parents if folder.is_relative_to(root)]
    return replace(
        one, source=source, at=one.path, dataset="urn:nasa:pds:x::1.0", mtime=file.st_mtime_ns, ctime=file.st_ctime_ns,
        above=tuple((st.st_mtime_ns, st.st_ctime_ns) for st in above),
    )  # fmt: skip


class Catalog:
    """A published catalog made by hand: an overlay of metacopy files over a data-only layer, as a generation's is."""

    FILES: ClassVar = {"data/a.dat": "a" * 5000, "data/deep/b.dat": "bb", "c.xml": "<c/>"}

    def __init__(self, folder: Path) -> None:
        sh("mount", "-t", "tmpfs", "tmpfs", folder)  # it keeps trusted.* attributes
        self.nas, self.names = folder / "nas", folder / "names"
        self.volume = folder / "private" / "volume"
        self.private = folder / "private"
        for path in (self.nas, self.names, self.volume):
            path.mkdir(parents=True)
        self.private.chmod(0o700)  # as the kubelet's directories are
        for path, text in self.FILES.items():
            for top in (self.nas, self.names):
                (top / path).parent.mkdir(parents=True, exist_ok=True)
            (self.nas / path).write_text(text)
            (self.nas / path).chmod(0o666)
            name = self.names / path
            name.touch()
            os.truncate(name, len(text))
            os.setxattr(name, "trusted.overlay.metacopy", b"")
            os.setxattr(name, "trusted.overlay.redirect", f"/{path}".encode())
        for top in (self.nas, self.names):
            for path in (top, *(p for p in top.rglob("*") if p.is_dir())):
                path.chmod(0o777)
        sh("mount", "-t", "tmpfs", "-o", "mode=755", "pdshub:sbn", self.volume)
        self.point = self.volume / "sbn"
        self.point.mkdir()
        self.mount()
        sh("mount", "-o", "remount,bind,ro", self.volume)
        self.subject = Subject(
            "sbn", "sbn", {str(self.volume): ("sbn",)}, "sha256:" + "ab" * 32,
            (known("data/a.dat", "a" * 5000), known("data/deep/b.dat", "bb", "label"), known("c.xml", "<c/>")),
        )  # fmt: skip

    def surveyed(self) -> Subject:
        """The subject with the times of now."""
        sample = tuple(seen(one, self.nas) for one in self.subject.sample)
        return replace(self.subject, sample=sample, sources={"main": (str(self.nas), None)})

    def mount(self) -> None:
        options = f"ro,metacopy=on,redirect_dir=on,lowerdir={self.names}::{self.nas}"
        sh("mount", "-t", "overlay", "-o", options, "pdshub", self.point)

    def renew(self) -> None:
        sh("umount", "-l", self.point)
        self.mount()


def run(scenario: Callable[[Path], None]) -> None:
    """In a folder of its own, with nothing left mounted in it."""
    folder = Path(tempfile.mkdtemp(prefix="pdshub-health-"))
    try:
        scenario(folder)
    finally:
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            point = line.split()[4]
            if point.startswith(str(folder)):
                subprocess.run(["umount", "-l", point], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
