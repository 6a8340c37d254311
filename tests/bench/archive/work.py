"""What people do with an archive. Each answers with a value by which a contender that shows less is found out."""

from __future__ import annotations

import glob
import importlib
import os
import random
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.archive import tree

RANDOM_READS, BLOCK = 500, 4096
SMALL_FILES = 1000


def _lines(*command: str) -> int:
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return done.stdout.count(b"\n")


def find(root: Path) -> int:
    return _lines("find", str(root), "-name", "*.xml", "-size", "-9")


def ls(root: Path) -> int:
    return _lines("ls", "-lR", str(root))


def walk(root: Path) -> int:
    total = 0
    for top, _, names in os.walk(root):
        for name in names:
            total += os.stat(f"{top}/{name}").st_size
    return total


def globbing(root: Path) -> int:
    return len(glob.glob(f"{root}/**/*.xml", recursive=True))


def read_small(root: Path, names: Sequence[str]) -> int:
    total = 0
    for name in names:
        with open(f"{root}/{name}", "rb", buffering=0) as f:
            total += len(f.read())
    return total


def read_big(root: Path, most: int = 1 << 62) -> int:
    """The large file from its beginning, or the first ``most`` bytes of it."""
    total = 0
    buffer = bytearray(1 << 20)
    with open(root / tree.BIG, "rb", buffering=0) as f:
        while total < most and (count := f.readinto(buffer)):
            total += count
    return total


def read_random(root: Path) -> int:
    """4 kB at random places of the large file, the same places each time."""
    places = random.Random(1)
    total = 0
    handle = os.open(root / tree.BIG, os.O_RDONLY)
    try:
        blocks = os.fstat(handle).st_size // BLOCK
        for _ in range(RANDOM_READS):
            total += len(os.pread(handle, BLOCK, places.randrange(blocks) * BLOCK))
    finally:
        os.close(handle)
    return total


def open_fits(root: Path) -> int:
    fits = importlib.import_module("astropy.io.fits")
    total = 0
    for n in range(tree.FITS_FILES):
        with fits.open(root / f"fits/f{n:03d}.fits", memmap=False) as file:
            total += int(file[0].header["SEED"]) + int(file[0].data.sum())
    return total


METADATA: dict[str, Callable[[Path], int]] = {
    "find": find,
    "ls -lR": ls,
    "os.walk + stat": walk,
    "glob": globbing,
}


def prepare(empty: Path) -> None:
    """Load programs and modules, so that dropping caches does not make their loading part of a time."""
    for do in METADATA.values():
        do(empty)
