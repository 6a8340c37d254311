"""Archives that depend on names and contents alone: entries in order, with one time, one mode and no owner."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

MODE = 0o644
EARLIEST = 315532800
"""1980-01-01, the first day that a zip file can name."""


def stage(root: Path, files: Iterable[Path], into: Path) -> None:
    """Copy ``files`` of ``root`` to the same places below ``into``, each with :data:`MODE`, whatever mode it has.

    Raises ValueError for a link or anything else that is no plain file: what it leads to is no part of the source.
    """
    for file in files:
        relative = file.relative_to(root)
        if file.is_symlink() or not file.is_file():
            raise ValueError(f"{relative} is no plain file")
        target = into / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        target.chmod(MODE)


def wheel(made: Path, out: Path, epoch: int) -> None:
    """Write the wheel ``made`` anew to ``out``; its RECORD holds digests of contents, so it stays right."""
    date = time.gmtime(max(epoch, EARLIEST))[:6]
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(out, "w") as target:
        for name in sorted(source.namelist()):
            if name.endswith("/"):
                continue
            entry = zipfile.ZipInfo(name, date)
            entry.create_system = 3  # Unix, on which external_attr is a mode
            entry.external_attr = (0o100000 | MODE) << 16
            target.writestr(entry, source.read(name), zipfile.ZIP_DEFLATED, 9)


def chart(made: Path, out: Path, epoch: int) -> None:
    """Write the packaged chart ``made`` (tar, gzip) anew to ``out``. Raises ValueError for a path that leaves it."""
    tape = io.BytesIO()
    with tarfile.open(made) as source, tarfile.open(fileobj=tape, mode="w", format=tarfile.USTAR_FORMAT) as target:
        members = {member.name: member for member in source if member.isfile()}
        for name, member in sorted(members.items()):
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise ValueError(f"{made.name} holds {name}")
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = member.size, epoch, MODE
            target.addfile(entry, source.extractfile(member))
    with out.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(tape.getvalue())
