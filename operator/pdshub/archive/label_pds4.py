"""Facts from PDS4 labels. A label is untrusted input: no document type, bounded size, depth and text; never a crash.

Names are taken without their namespaces, so that no declaration of a namespace makes the names below it longer.

Source: PDS4 Standards Reference (identifiers, versions, bundles, collections, inventories), PDS4 Data Dictionary.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO
from xml.parsers import expat

from pdshub.archive.label_error import LabelError, TooCostly

MAX_LABEL_BYTES = 16 << 20  # the largest labels of the archive (many tables, long histories) stay below 10 MB
MAX_DEPTH = 128
MAX_ELEMENTS = 500_000
MAX_TEXT = 4096  # of one element that is kept
MAX_KEPT = 100_000  # members or files of one label
MAX_KEPT_BYTES = 4 << 20  # of their names together
MAX_ATTRIBUTES = 500_000
MAX_TOKEN = 1 << 20  # bytes of one tag, comment or instruction, which expat holds whole
_CHUNK = 64 << 10

_LID = re.compile(r"^urn:[a-z0-9][a-z0-9-]{0,31}(:[a-z0-9._-]+){2,8}$")
_VERSION = re.compile(r"^[0-9]{1,6}\.[0-9]{1,6}$")


@dataclass(slots=True)
class Label:
    """What the survey needs from a label."""

    product_class: str  # name of the root element
    lid: str = ""
    version: str = ""  # M.m
    members: tuple[str, ...] = ()  # LIDs or LIDVIDs in a bundle's Bundle_Member_Entry
    files: tuple[tuple[str, str], ...] = ()  # (file_name, md5_checksum or "")


def parse_version(text: str) -> tuple[int, int] | None:
    """``M.m`` as integers, so that 1.10 comes after 1.9; None when it is no version."""
    text = text.strip()
    if not _VERSION.match(text):
        return None
    major, minor = text.split(".")
    return int(major), int(minor)


def split_lidvid(text: str) -> tuple[str, str]:
    """``lid::M.m`` in its two parts; the version is "" when there is none."""
    lid, _, version = text.strip().partition("::")
    return lid, version


class _Done(Exception):
    """Enough was read."""


@dataclass(slots=True)
class _Reader:
    only: frozenset[str] | None
    label: Label | None = None
    path: list[str] = field(default_factory=list)
    text: list[str] | None = None
    length: int = 0
    elements: int = 0
    attributes: int = 0
    kept: int = 0  # characters of members and files
    members: list[str] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)
    name: str = ""
    md5: str = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        local = tag.rpartition(":")[2]
        self.elements += 1
        self.attributes += len(attributes)
        if self.elements > MAX_ELEMENTS or self.attributes > MAX_ATTRIBUTES or len(self.path) >= MAX_DEPTH:
            raise TooCostly("too many or too deeply nested elements, or too many attributes")
        if self.label is None:
            self.label = Label(product_class=local[:128])
            if self.only is not None and local not in self.only:
                raise _Done
        self.path.append(local)
        if local in _KEPT:
            self.text, self.length = [], 0
        if local == "File":
            self.name = self.md5 = ""

    def data(self, text: str) -> None:
        if self.text is not None:
            self.length += len(text)
            if self.length > MAX_TEXT:
                raise TooCostly(f"text of {self.path[-1]} is longer than {MAX_TEXT} characters")
            self.text.append(text)

    def end(self, tag: str) -> None:
        local = self.path.pop()
        text = "".join(self.text).strip() if self.text is not None and local in _KEPT else ""
        if local in _KEPT:
            self.text = None
        if self.label is None:
            return
        parent = self.path[-1] if self.path else ""
        if parent == "Identification_Area" and len(self.path) == 2:
            if local == "logical_identifier":
                self.label.lid = text
            elif local == "version_id":
                self.label.version = text
        elif parent == "Bundle_Member_Entry" and local in ("lid_reference", "lidvid_reference") and text:
            self.members.append(text)
            self._keep(text)
        elif parent == "File":
            if local == "file_name":
                self.name = text
            elif local == "md5_checksum":
                self.md5 = text.lower()
        elif local == "File" and self.name:
            self.files.append((self.name, self.md5))
            self._keep(self.name + self.md5)

    def _keep(self, text: str) -> None:
        self.kept += len(text)
        if len(self.members) > MAX_KEPT or len(self.files) > MAX_KEPT or self.kept > MAX_KEPT_BYTES:
            raise TooCostly(
                f"more than {MAX_KEPT} members or files, or longer than {MAX_KEPT_BYTES >> 20} MiB together"
            )


_KEPT = frozenset(
    {"logical_identifier", "version_id", "lid_reference", "lidvid_reference", "file_name", "md5_checksum"}
)


def _refuse(*_: object) -> None:
    raise LabelError("declares a document type, which labels never need")


def read_label(stream: BinaryIO, only: frozenset[str] | None = None) -> Label:
    """Parses one label. With ``only``, other root elements end the reading at once (their Label has no more
    than the product class). Raises LabelError for everything that is no usable label, TooCostly beyond a bound."""
    parser = expat.ParserCreate()
    reader = _Reader(only)
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.StartDoctypeDeclHandler = _refuse  # before its first declaration: of entities, attributes, elements
    parser.EntityDeclHandler = _refuse
    parser.AttlistDeclHandler = _refuse
    parser.ExternalEntityRefHandler = None
    parser.buffer_text = True
    total = 0
    try:
        while chunk := stream.read(_CHUNK):
            total += len(chunk)
            if total > MAX_LABEL_BYTES:
                raise TooCostly(f"larger than {MAX_LABEL_BYTES >> 20} MiB")
            parser.Parse(chunk, False)
            if total - parser.CurrentByteIndex > MAX_TOKEN + len(chunk):
                raise TooCostly(f"a tag, comment or instruction of more than {MAX_TOKEN >> 20} MiB")
        parser.Parse(b"", True)
    except _Done:
        pass
    except (expat.ExpatError, ValueError, LookupError, UnicodeError) as error:
        raise LabelError(f"not well-formed XML: {error}") from None
    label = reader.label
    if label is None:
        raise LabelError("empty")
    label.members, label.files = tuple(reader.members), tuple(reader.files)
    if label.lid and not _LID.match(label.lid):
        if not _LID.match(label.lid.lower()):
            raise LabelError(f"logical_identifier {label.lid[:200]!r} is no URN")
        label.lid = label.lid.lower()  # LIDs are lower case by the standard; a slip is still the same product
    return label


def read_inventory(stream: BinaryIO, limit: int = 5_000_000) -> tuple[list[tuple[str, str]], int]:
    """Members of a collection inventory: ([("P" or "S", LID or LIDVID)], lines that are neither).

    Columns are separated by commas, in older inventories padded with blanks.
    """
    members: list[tuple[str, str]] = []
    bad = 0
    for count, raw in enumerate(_lines(stream)):
        if count >= limit:
            raise LabelError(f"inventory of more than {limit} lines")
        line = raw.decode("utf-8", "replace").strip().lstrip("\ufeff")
        if not line:
            continue
        status, comma, lidvid = line.partition(",")
        status, lidvid = status.strip().strip('"').upper(), lidvid.split(",")[0].strip().strip('"')
        if comma and status in ("P", "S") and lidvid.startswith("urn:"):
            members.append((status, lidvid))
        else:
            bad += 1
    return members, bad


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines of at most 4 KiB each: a file without line ends can not fill the memory."""
    return iter(lambda: stream.readline(4096), b"")
