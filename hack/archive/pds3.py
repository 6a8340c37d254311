"""PDS3 volumes: PVL labels, attached or detached, images and ASCII tables.

Source: PDS Standards Reference 3.8, chapters 5 (labels), 12 (volume organization), 19 (volumes); appendix A.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from archive.picture import Image, Spectrum
from archive.tree import Tree

EOL = "\r\n"


@dataclass(frozen=True)
class Volume:
    """A PDS3 volume at ``path``."""

    path: str
    volume_id: str
    data_set_id: str
    instrument: str
    lower: bool = False
    """File names in lower case, as on many later volumes."""

    def file(self, name: str) -> str:
        """Path of one of its files."""
        return f"{self.path}/{name.lower() if self.lower else name}"


def label(pairs: list[tuple[str, str]]) -> str:
    """PVL text; an empty keyword is an empty line, one that starts with END has no value."""
    lines = []
    depth = 0
    for keyword, value in pairs:
        if keyword == "END_OBJECT":
            depth -= 1
        lines.append(f"{'  ' * depth}{keyword:<{30 - 2 * depth}} = {value}" if value else keyword)
        if keyword == "OBJECT":
            depth += 1
    return EOL.join([*lines, "END", ""])


def _identity(volume: Volume, product: str) -> list[tuple[str, str]]:
    return [
        ("DATA_SET_ID", f'"{volume.data_set_id}"'),
        ("PRODUCT_ID", f'"{product}"'),
        ("VOLUME_ID", f'"{volume.volume_id}"'),
        ("INSTRUMENT_HOST_NAME", '"EXAMPLE ORBITER"'),
        ("INSTRUMENT_NAME", f'"{volume.instrument}"'),
        ("TARGET_NAME", '"EXAMPLE ASTEROID"'),
        ("START_TIME", "2003-05-12T10:20:30.000"),
        ("STOP_TIME", "2003-05-12T10:20:31.000"),
        ("PRODUCT_CREATION_TIME", "2004-01-01T00:00:00"),
    ]


def _image_object(image: Image) -> list[tuple[str, str]]:
    return [
        ("OBJECT", "IMAGE"),
        ("LINES", str(image.lines)),
        ("LINE_SAMPLES", str(image.samples)),
        ("SAMPLE_TYPE", "MSB_INTEGER"),
        ("SAMPLE_BITS", "16"),
        ("UNIT", '"DN"'),
        ("END_OBJECT", "IMAGE"),
    ]


def _pixels(image: Image) -> bytes:
    return struct.pack(f">{len(image.values)}h", *image.values)


def attached_image(tree: Tree, volume: Volume, name: str, image: Image) -> str:
    """An .IMG that begins with its own label. Returns its path."""
    record = 2 * image.samples

    def text(records: int) -> str:
        return label([
            ("PDS_VERSION_ID", "PDS3"),
            ("RECORD_TYPE", "FIXED_LENGTH"),
            ("RECORD_BYTES", str(record)),
            ("FILE_RECORDS", str(records + image.lines)),
            ("LABEL_RECORDS", str(records)),
            ("^IMAGE", str(records + 1)),
            *_identity(volume, name),
            *_image_object(image),
        ])  # fmt: skip

    # the label says its own length in records: a guess with as many digits gives it
    records = -(-len(text(99)) // record)
    head = text(records).encode("ascii").ljust(records * record)
    path = volume.file(f"DATA/{name}.IMG")
    tree.write(path, head + _pixels(image))
    return path


def detached_image(tree: Tree, volume: Volume, name: str, image: Image) -> str:
    """An .IMG of nothing but pixels, and its .LBL. Returns the label's path."""
    data = f"{name}.IMG".lower() if volume.lower else f"{name}.IMG"
    text = label([
        ("PDS_VERSION_ID", "PDS3"),
        ("RECORD_TYPE", "FIXED_LENGTH"),
        ("RECORD_BYTES", str(2 * image.samples)),
        ("FILE_RECORDS", str(image.lines)),
        ("^IMAGE", f'"{data}"'),
        *_identity(volume, name),
        *_image_object(image),
    ])  # fmt: skip
    tree.write(volume.file(f"DATA/{name}.IMG"), _pixels(image))
    path = volume.file(f"DATA/{name}.LBL")
    tree.write(path, text)
    return path


SPECTRUM_ROW = 26
"""Bytes of a spectrum's row, CR LF included: wavelength (6), reflectance (7), error (7), blanks between."""


def spectrum_rows(spectrum: Spectrum) -> str:
    """Fixed-width rows: nanometres, reflectance, its error."""
    return "".join(f"{w:6d}  {r / 1000:7.3f}  {e / 1000:7.3f}{EOL}" for w, r, e in spectrum.rows)


def _columns(columns: list[tuple[str, str, int, int, str]]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for number, (name, kind, start, size, unit) in enumerate(columns, 1):
        found += [
            ("OBJECT", "COLUMN"),
            ("COLUMN_NUMBER", str(number)),
            ("NAME", name),
            ("DATA_TYPE", kind),
            ("START_BYTE", str(start)),
            ("BYTES", str(size)),
            *([("UNIT", f'"{unit}"')] if unit else []),
            ("END_OBJECT", "COLUMN"),
        ]
    return found


def table(tree: Tree, volume: Volume, name: str, spectrum: Spectrum) -> str:
    """A spectrum as .TAB with its .LBL. Returns the label's path."""
    data = f"{name}.TAB".lower() if volume.lower else f"{name}.TAB"
    text = label([
        ("PDS_VERSION_ID", "PDS3"),
        ("RECORD_TYPE", "FIXED_LENGTH"),
        ("RECORD_BYTES", str(SPECTRUM_ROW)),
        ("FILE_RECORDS", str(len(spectrum.rows))),
        ("^TABLE", f'"{data}"'),
        *_identity(volume, name),
        ("OBJECT", "TABLE"),
        ("INTERCHANGE_FORMAT", "ASCII"),
        ("ROWS", str(len(spectrum.rows))),
        ("COLUMNS", "3"),
        ("ROW_BYTES", str(SPECTRUM_ROW)),
        *_columns([
            ("WAVELENGTH", "ASCII_INTEGER", 1, 6, "NM"),
            ("REFLECTANCE", "ASCII_REAL", 9, 7, ""),
            ("REFLECTANCE_ERROR", "ASCII_REAL", 18, 7, ""),
        ]),
        ("END_OBJECT", "TABLE"),
    ])  # fmt: skip
    tree.write(volume.file(f"DATA/{name}.TAB"), spectrum_rows(spectrum))
    path = volume.file(f"DATA/{name}.LBL")
    tree.write(path, text)
    return path


def _index(tree: Tree, volume: Volume, products: list[str]) -> None:
    names = [p.removeprefix(volume.path + "/") for p in products]
    width = max(map(len, names))
    ident = len(volume.volume_id)
    rows = "".join(f'"{volume.volume_id}","{n:<{width}}"{EOL}' for n in names)
    row = ident + width + 7
    tree.write(volume.file("INDEX/INDEX.TAB"), rows)
    data = "index.tab" if volume.lower else "INDEX.TAB"
    text = label([
        ("PDS_VERSION_ID", "PDS3"),
        ("RECORD_TYPE", "FIXED_LENGTH"),
        ("RECORD_BYTES", str(row)),
        ("FILE_RECORDS", str(len(names))),
        ("^INDEX_TABLE", f'"{data}"'),
        ("DATA_SET_ID", f'"{volume.data_set_id}"'),
        ("VOLUME_ID", f'"{volume.volume_id}"'),
        ("OBJECT", "INDEX_TABLE"),
        ("INTERCHANGE_FORMAT", "ASCII"),
        ("INDEX_TYPE", "SINGLE"),
        ("ROWS", str(len(names))),
        ("COLUMNS", "2"),
        ("ROW_BYTES", str(row)),
        *_columns([
            ("VOLUME_ID", "CHARACTER", 2, ident, ""),
            ("FILE_SPECIFICATION_NAME", "CHARACTER", ident + 5, width, ""),
        ]),
        ("END_OBJECT", "INDEX_TABLE"),
    ])  # fmt: skip
    tree.write(volume.file("INDEX/INDEX.LBL"), text)


def close(tree: Tree, volume: Volume, products: list[str]) -> None:
    """What makes a folder of products a volume: VOLDESC.CAT, AAREADME.TXT, INDEX, CATALOG."""
    dataset = [
        ("OBJECT", "DATA_SET"),
        ("DATA_SET_ID", f'"{volume.data_set_id}"'),
        ("END_OBJECT", "DATA_SET"),
    ]
    described = label([
        ("PDS_VERSION_ID", "PDS3"),
        ("RECORD_TYPE", "STREAM"),
        ("OBJECT", "VOLUME"),
        ("DATA_SET_ID", f'"{volume.data_set_id}"'),
        ("VOLUME_SERIES_NAME", '"EXAMPLE ORBITER"'),
        ("VOLUME_SET_NAME", '"EXAMPLE ORBITER DATA"'),
        ("VOLUME_SET_ID", '"USA_NASA_PDS_EXAMPLE"'),
        ("VOLUME_NAME", f'"GENERATED TEST DATA: {volume.instrument}"'),
        ("VOLUME_ID", f'"{volume.volume_id}"'),
        ("VOLUME_VERSION_ID", '"VERSION 1"'),
        ("VOLUMES", "1"),
        ("PUBLICATION_DATE", "2004-01-01"),
        ("MEDIUM_TYPE", '"ELECTRONIC"'),
        ("OBJECT", "CATALOG"),
        ("^DATA_SET_CATALOG", '"dataset.cat"' if volume.lower else '"DATASET.CAT"'),
        ("END_OBJECT", "CATALOG"),
        ("END_OBJECT", "VOLUME"),
    ])  # fmt: skip
    tree.write(volume.file("VOLDESC.CAT"), described)
    head = label([("PDS_VERSION_ID", "PDS3"), ("RECORD_TYPE", "STREAM"), *dataset])
    tree.write(volume.file("CATALOG/DATASET.CAT"), head)
    tree.write(
        volume.file("AAREADME.TXT"),
        f"{volume.volume_id}: {volume.data_set_id}{EOL}{EOL}Generated data for tests; no instrument took it.{EOL}",
    )
    _index(tree, volume, products)
