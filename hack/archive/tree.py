"""Writing files so that two runs are equal, and knowing afterwards what was written."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Iterable
from pathlib import Path

TIME = 1617321600
"""Modification time of every generated file and folder: 2021-04-02T00:00:00Z."""


class Tree:
    """One export's folder. Paths are relative, with ``/``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, dict[str, int | str]] = {}

    def clear(self) -> None:
        """Remove what the folder holds; the folder itself stays, since a server may have it exported."""
        self.root.mkdir(parents=True, exist_ok=True)
        for entry in self.root.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()

    def write(self, path: str, content: bytes | str | Iterable[bytes]) -> None:
        """Write one new file. Text ends its lines as given; PDS wants CR LF."""
        if path in self.files:
            raise ValueError(f"written twice: {path}")
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        blocks = [content] if isinstance(content, bytes) else content
        digest, size = hashlib.sha256(), 0
        with target.open("wb") as file:
            for block in blocks:
                file.write(block)
                digest.update(block)
                size += len(block)
        self.files[path] = {"size": size, "sha256": digest.hexdigest()}

    def copy(self, source: Path, to: str) -> None:
        """Copy a folder of real data below ``to``."""
        for path in sorted(p for p in source.rglob("*") if p.is_file() and not p.is_symlink()):
            self.write(f"{to}/{path.relative_to(source).as_posix()}", path.read_bytes())

    def settle(self) -> None:
        """Modes that everybody can read, and one time for all: the umask and the clock leave no trace."""
        for top, _, files in os.walk(self.root, topdown=False):
            for name in files:
                path = Path(top, name)
                path.chmod(0o644)
                os.utime(path, (TIME, TIME))
            Path(top).chmod(0o755)
            os.utime(top, (TIME, TIME))


def noise(seed: str, size: int, block: int = 1 << 20) -> Iterable[bytes]:
    """``size`` bytes that do not compress, the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311
    while size > 0:
        yield rng.randbytes(min(size, block))
        size -= block
