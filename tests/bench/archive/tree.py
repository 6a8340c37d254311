"""The archive of the benchmark: bundles with labels and small files, FITS files, one large file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

LABEL = """<?xml version="1.0" encoding="UTF-8"?>
<Product_{kind} xmlns="http://pds.nasa.gov/pds4/pds/v1"><Identification_Area>
<logical_identifier>{lid}</logical_identifier><version_id>1.0</version_id></Identification_Area></Product_{kind}>
"""
PER_BUNDLE = 500
SMALL_BYTES = 2000
FITS_FILES, FITS_SHAPE = 50, (128, 512)  # 16-bit integers
BIG = "big/image_cube.img"


@dataclass(frozen=True)
class Size:
    files: int
    """Labels and data files, half of each."""
    big: int
    """Bytes of the large file."""


def fits(seed: int) -> bytes:
    """One image, FITS 4.0: a header of 80-character cards and big-endian data, both in blocks of 2880 bytes."""
    rows, columns = FITS_SHAPE
    cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                   16",
        "NAXIS   =                    2",
        f"NAXIS1  = {columns:20d}",
        f"NAXIS2  = {rows:20d}",
        f"SEED    = {seed:20d}",
        "END",
    ]
    header = "".join(card.ljust(80) for card in cards).encode()
    data = bytes((seed + n) % 251 for n in range(512)) * (rows * columns * 2 // 512)
    return header.ljust(2880) + data + bytes(-len(data) % 2880)


def build(root: Path, size: Size) -> None:
    """Fill ``root``; the same size gives the same tree."""
    for b in range(-(-size.files // PER_BUNDLE)):
        lid = f"urn:nasa:pds:bench{b:03d}"
        bundle = root / f"bench{b:03d}"
        data = bundle / "data"
        data.mkdir(parents=True)
        (bundle / "bundle.xml").write_text(LABEL.format(kind="Bundle", lid=lid))
        (data / "collection.xml").write_text(LABEL.format(kind="Collection", lid=f"{lid}:data"))
        for n in range(min(PER_BUNDLE, size.files - b * PER_BUNDLE) // 2):
            name = f"p{n:05d}"
            label = LABEL.format(kind="Observational", lid=f"{lid}:data:{name}")
            (data / f"{name}.xml").write_text(label.ljust(SMALL_BYTES))
            (data / f"{name}.tab").write_bytes(f"{b:03d},{n:05d}\r\n".encode() * (SMALL_BYTES // 11))
    (root / "fits").mkdir()
    for n in range(FITS_FILES):
        (root / f"fits/f{n:03d}.fits").write_bytes(fits(n))
    big = root / BIG
    big.parent.mkdir()
    block = os.urandom(1 << 20)
    with big.open("wb") as out:
        for _ in range(size.big >> 20):
            out.write(block)


def small(root: Path, count: int) -> list[str]:
    """Relative paths of ``count`` small files, spread over the bundles in a fixed order."""
    found = sorted(str(p.relative_to(root)) for p in root.glob("bench*/data/p*"))
    step = max(1, len(found) // count)
    return found[::step][:count]
