"""Generations of the benchmark's archive, made by the product: plan, catalog, manifest."""

from __future__ import annotations

import json
from pathlib import Path

from pdshub.archive import main as archive
from pdshub.node.store import generations

VIEW = {
    "apiVersion": "pdshub.dev/v1alpha1",
    "kind": "ArchiveView",
    "metadata": {"name": "bench"},
    "spec": {
        "sources": [{"name": "nas", "nfs": {"server": "127.0.0.1", "export": "/bench"}}],
        "tree": [{"path": ".", "layers": [{"source": "nas"}]}],
        "authority": {"settleSeconds": 0},
    },
}


class Surveyed:
    """Each ``make`` is the next generation of the archive at ``root``."""

    def __init__(self, folder: Path, root: Path) -> None:
        folder.mkdir(parents=True)
        self._folder, self.root = folder, root
        self._made: list[Path] = []
        (folder / "view.yaml").write_text(json.dumps(VIEW))

    def make(self) -> tuple[generations.Generation, Path]:
        out = self._folder / f"g{len(self._made)}"
        words = ["plan", "--source", f"nas={self.root}", "--view", str(self._folder / "view.yaml"), "--out", str(out)]
        if self._made:
            words += ["--previous", str(self._made[-1])]
        for command in (words, ["catalog", "--generation", str(out)]):
            if code := archive.main(command):
                raise RuntimeError(f"pdshub-survey {command[0]} ended with {code}")
        self._made.append(out)
        for image in out.glob("*.erofs"):  # as the node keeps it: a loop device shows whole blocks only
            with image.open("r+b") as file:
                file.truncate(-(-image.stat().st_size // generations.BLOCK) * generations.BLOCK)
        return generations.parse((out / "manifest.json").read_bytes()), out
