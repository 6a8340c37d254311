"""FITS files with one image. Source: FITS Standard 4.0, sections 3 and 4."""

from __future__ import annotations

import struct

from archive.picture import Image

BLOCK = 2880
"""Bytes; headers and data are padded to it."""


def card(keyword: str, value: str | int | bool, comment: str = "") -> str:
    """One header line of 80 characters."""
    if isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, int):
        text = f"{value:>20}"
    else:
        text = f"'{value:<8}'".ljust(20)
    line = f"{keyword:<8}= {text}" + (f" / {comment}" if comment else "")
    return f"{line:<80}"[:80]


def header(bits: int, samples: int, lines: int, extra: list[tuple[str, str | int]] | None = None) -> bytes:
    """A primary header for a two-dimensional image of ``bits`` a pixel."""
    cards = [
        card("SIMPLE", True, "conforms to FITS standard"),
        card("BITPIX", bits),
        card("NAXIS", 2),
        card("NAXIS1", samples),
        card("NAXIS2", lines),
        *(card(keyword, value) for keyword, value in extra or []),
        f"{'END':<80}",
    ]
    text = "".join(cards).encode("ascii")
    return text + b" " * padding(len(text))


def padding(size: int) -> int:
    """Bytes that are missing to a whole block."""
    return -size % BLOCK


def image(picture: Image, extra: list[tuple[str, str | int]] | None = None) -> bytes:
    """A whole FITS file of 16-bit pixels. Row 0 of the picture is the first row in the file."""
    head = header(16, picture.samples, picture.lines, extra)
    data = struct.pack(f">{len(picture.values)}h", *picture.values)
    return head + data + bytes(padding(len(data)))
