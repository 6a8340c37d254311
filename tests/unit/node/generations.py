"""Makes generations of the miniature NAS, as a surveyor does, and releases them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import zstandard

from pdshub.archive import catalog, manifest
from pdshub.archive.content import document
from pdshub.archive.main import main
from pdshub.surveyor import content as surveyor_content
from tests.unit.archive.archive_support import OLD, run, spec
from tests.unit.node.machine import Machine

LABEL = "pdshub-generation:"


def able() -> bool:
    """Whether there is an mkfs.erofs that writes catalogs."""
    if not shutil.which(catalog.mkfs()[0]):
        return False
    told = subprocess.run([*catalog.mkfs(), "--help"], capture_output=True, text=True, check=False)
    return "headerball" in told.stdout + told.stderr


class Release:
    """A view of local sources at one directory each below nas/, and its generations."""

    def __init__(self, machine: Machine, tree: dict[str, list[str]], *sources: str, live: tuple[str, ...] = ()) -> None:
        self.machine, self.tree, self.sources, self.live = machine, tree, sources, live
        self.folder = machine.directory / "generations"
        self.folder.mkdir(exist_ok=True)
        self.volumes: list[dict[str, Any]] = []
        self.specs: dict[str, Any] = {}
        """Source -> how a node reaches it, where that is not its directory."""
        self.name = ""
        self._number = 0

    def survey(self) -> str:
        """A generation of what the sources hold now; answers its name."""
        made = self.made(self.machine.directory / "nas")
        return f"sha256:{made.name}"

    def made(self, nas: Path) -> Path:
        """Its directory."""
        self._number += 1
        for path in nas.rglob("*"):
            os.utime(path, (OLD, OLD), follow_symlinks=False)
        work = self.machine.directory / "work"
        work.mkdir(exist_ok=True)
        tree = {path: layers for path, layers in self.tree.items() if path not in self.live}
        run(work, {source: nas / source for source in self.sources}, spec(self.sources, tree), f"g{self._number}")
        made = work / f"g{self._number}"
        assert main(["catalog", "--generation", str(made), "--accept-shrink"]) == 0
        place = self.folder / str(manifest.read(made)["generation"]).removeprefix("sha256:")
        if not place.exists():
            made.rename(place)
        return place

    def content(self, name: str, **rules: Any) -> str:
        """Reads the files that travel with a generation, as a surveyor does; answers the digest of these."""
        work = self.machine.directory / "content"
        work.mkdir()
        generation = self.folder / name.removeprefix("sha256:")
        task = {
            "generation": str(generation), "generations": str(self.machine.directory / "none"), "work": str(work),
            "sources": str(self.machine.directory / "nas"), "store": str(self.folder), "budget": 1 << 30, "rate": 0,
            "rules": {"labels": True, "maxFileSize": 0, "include": [], "exclude": [], **rules}, "seconds": 60,
        }  # fmt: skip
        (self.machine.directory / "none").mkdir(exist_ok=True)
        surveyor_content.step(task, lambda text: None)
        found = document.parse((work / document.FILE).read_bytes())
        for image in found.images:
            packed = (work / "images" / f"{image.digest.removeprefix('sha256:')}.zst").read_bytes()
            (generation / image.name).write_bytes(zstandard.decompress(packed))
        (work / document.FILE).replace(generation / document.FILE)
        shutil.rmtree(work)
        return found.digest

    def release(self, name: str, content: str = "") -> str:
        """Empty: the view without a generation. `content`: digest of what travels with it."""
        self.name = name
        status: dict[str, Any] = {"volumes": self.volumes, "surveyor": {"address": "127.0.0.1:1"}}
        if name:
            status["generation"] = {"name": name, "asOf": "2026-01-01T00:00:00Z"}
            status["generation"] |= {"content": {"digest": content}} if content else {}
        self.machine.view(self.tree, status=status, live=self.live, **({s: s for s in self.sources} | self.specs))
        return name

    def shown(self, pod: str = "one") -> Any:
        """generation.json in a pod."""
        return json.loads((self.machine.target(pod) / ".pdshub/generation.json").read_text())

    def stored(self) -> set[str]:
        folder = Path(self.machine.kubelet / "plugins/archive.pdshub.dev/generations")
        return {f"sha256:{path.name}" for path in folder.iterdir()}

    def released_on_node(self) -> str:
        """What new targets get."""
        front = self.machine.kubelet / "plugins/archive.pdshub.dev/views/sbn/front/.pdshub/generation.json"
        return str(json.loads(front.read_text())["generation"])


def catalogs(m: Machine, pod: str = "one") -> list[str]:
    """The catalogs mounted in a target, by generation."""
    return [f"sha256:{x.source.removeprefix(LABEL)}" for x in m.mounts(pod) if x.source.startswith(LABEL)]


def two_releases(m: Machine) -> tuple[Release, str, str]:
    """Two generations, of two sources: `both` is equal, `f` has another content, `old/` is only in the first, `new/`
    in the second."""
    files = {"both": "the same", "d/common": "c"}
    for path, text in {**files, "f": "first", "old/x": "x", "old/deep/y": "y", "d/one": "1"}.items():
        m.file(f"first/{path}", text)
    for path, text in {**files, "f": "second!", "new/z": "z", "d/two": "2"}.items():
        m.file(f"second/{path}", text)
    view = Release(m, {".": ["first"]}, "first", "second")
    first = view.survey()
    view.tree = {".": ["second"]}
    return view, first, view.survey()
