"""One page of a listing: ListObjectsV2's answer, which is another machine's. Bounded, without a document type.

Source: Amazon S3 API Reference, ListObjectsV2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes
from xml.parsers import expat

from pdshub.s3.bucket import S3Error

NAMES = 1000
"""Names of a page: what is asked for, and no service gives more."""
LARGEST = 8 << 20
"""Bytes of a page: a thousand keys of 1,024 bytes, each byte of them escaped, are half of it."""
KEY = 1024
"""Bytes of a key. Source: Amazon S3 User Guide, Naming objects."""
_TEXT = 4 * KEY
_DEPTH = 8
_ETAG = re.compile(r'"?([\x21\x23-\x7e]{1,256})"?')
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)")
_ROOT = "ListBucketResult"
_OF_OBJECT = frozenset({"Key", "ETag", "Size", "LastModified", "StorageClass"})


@dataclass(frozen=True, slots=True)
class Object:
    """One object of a listing. ``key``: as bytes, for it may be no text."""

    key: bytes
    etag: str
    size: int
    mtime: int
    """Nanoseconds since 1970."""
    stored: str = "STANDARD"
    """Its storage class."""


@dataclass(frozen=True, slots=True)
class Page:
    """Objects in the order of their keys."""

    objects: tuple[Object, ...]
    more: bool
    """There are keys behind the last one."""


@dataclass(slots=True)
class _Reader:
    path: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    length: int = 0
    now: dict[str, str] = field(default_factory=dict)
    found: list[dict[str, str]] = field(default_factory=list)
    top: dict[str, str] = field(default_factory=dict)

    def start(self, tag: str, _: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if not self.path and name != _ROOT:
            raise S3Error("the answer is no listing")
        if len(self.path) >= _DEPTH:
            raise S3Error("the listing is nested too deeply")
        self.path.append(name)
        self.text, self.length = [], 0
        if self.path[1:] == ["Contents"]:
            self.now = {}
            if len(self.found) >= NAMES:
                raise S3Error(f"a page of the listing has more than {NAMES} names")

    def data(self, text: str) -> None:
        self.length += len(text)
        if self.length > _TEXT:
            raise S3Error("a word of the listing is too long")
        self.text.append(text)

    def end(self, _: str) -> None:
        inside, text = self.path[1:], "".join(self.text)
        if len(inside) == 2 and inside[0] == "Contents" and inside[1] in _OF_OBJECT:
            self.now[inside[1]] = text
        elif inside == ["Contents"]:
            self.found.append(self.now)
        elif inside in (["IsTruncated"], ["EncodingType"]):
            self.top[inside[0]] = text.strip()
        self.path.pop()
        self.text, self.length = [], 0

    def refuse(self, *_: object) -> None:
        raise S3Error("the listing has a document type")


def parse(data: bytes) -> Page:
    """A page from an answer's body. Raises S3Error, whatever that holds."""
    reader, parser = _Reader(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.data
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise S3Error(f"the listing cannot be read: {error}") from None
    escaped = reader.top.get("EncodingType") == "url"
    if (more := reader.top.get("IsTruncated")) not in ("true", "false"):
        raise S3Error("the listing does not say whether it is whole")
    return Page(tuple(_object(one, escaped) for one in reader.found), more == "true")


def _object(one: dict[str, str], escaped: bool) -> Object:
    key = one.get("Key", "")
    # as forms are written: AWS says a blank as a plus
    raw = unquote_to_bytes(key.replace("+", " ")) if escaped else key.encode("utf-8", "surrogatepass")
    size, etag = one.get("Size", ""), _ETAG.fullmatch(one.get("ETag", "").strip())
    if not raw or len(raw) > KEY:
        raise S3Error("the listing has a key that is empty, or longer than 1024 bytes")
    if not size.isascii() or not size.isdecimal() or len(size) > 18 or etag is None:
        raise S3Error("the listing has an object without a size or an ETag")
    return Object(raw, etag[1], int(size), _time(one.get("LastModified", "")), one.get("StorageClass") or "STANDARD")


def _time(text: str) -> int:
    found = _TIME.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError(text)
        whole = datetime.fromisoformat(f"{found[1]}+00:00") - _EPOCH
    except ValueError:
        raise S3Error("the listing has an object without a time") from None
    return (whole.days * 86400 + whole.seconds) * 10**9 + int((found[2] or "0").ljust(9, "0"))
