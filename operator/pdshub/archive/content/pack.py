"""A pack: files' bytes by their digests, as a compressed tar, written once and never changed.

A pack is moved and kept in this form, and known by the SHA-256 of the tar. What a kernel mounts is made of it where it
is mounted (node/content), so that no image of somebody else is ever read by a kernel.

Sources: POSIX.1-2017 pax, ustar Interchange Format; RFC 8878 (zstd).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

import zstandard

from pdshub.generation_id import digits

FOLDER = ".pdshub-objects"
"""Top folder of what is made of a pack: a name that no source has at its top by chance."""
MAX_OBJECT = 64 << 20
"""Bytes of one object."""
MAX_OBJECTS = 200_000
"""Objects of one pack: what is made of it takes a node about 900 bytes of memory for each."""
MAX_BYTES = 512 << 20
"""Bytes of a pack's tar."""
LEVEL = 9
WINDOW = 8 << 20
"""Bytes that a reader of the compressed form needs."""
_BLOCK = 512
_NAME = re.compile(rf"{re.escape(FOLDER)}/([0-9a-f]{{2}})/([0-9a-f]{{62}})")
_END = bytes(2 * _BLOCK)


class PackError(ValueError):
    """It is no pack, or not the one that it should be; the text says why."""


@dataclass(frozen=True, slots=True)
class Pack:
    """What is known of a pack: ``digest`` sha256:…, ``size`` in bytes of its tar, the number of its objects."""

    digest: str
    size: int
    objects: int


def object_path(digest: bytes) -> str:
    """Where an object lies in what is made of a pack, without a leading slash."""
    name = digest.hex()
    return f"{FOLDER}/{name[:2]}/{name[2:]}"


def header(path: str, size: int, directory: bool = False) -> bytes:
    """A tar header of a file or a directory that anybody may read and nobody write."""
    block = bytearray(_BLOCK)
    name = path.encode("ascii")
    block[0 : len(name)] = name
    block[100:108] = b"%07o\0" % (0o555 if directory else 0o444)
    block[108:116] = block[116:124] = b"%07o\0" % 0
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % 0
    block[148:156] = b" " * 8
    block[156:157] = b"5" if directory else b"0"
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


class Writer:
    """Writes a pack to ``path``. ``close`` ends it; a writer that is left by an exception leaves nothing."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._path = path
        self._file: IO[bytes] = path.open("wb")
        self._out = zstandard.ZstdCompressor(level=LEVEL).stream_writer(self._file, closefd=False)
        self._hash = hashlib.sha256()
        self._known: set[bytes] = set()
        self.size = len(_END)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)

    @property
    def objects(self) -> int:
        """How many objects were added."""
        return len(self._known)

    @property
    def stored(self) -> int:
        """Bytes of the compressed file so far; the last of what was added may not be in it yet."""
        return self._file.tell()

    def full(self, size: int) -> bool:
        """Whether an object of so many bytes has to go into another pack."""
        return self.objects >= MAX_OBJECTS or self.size + _BLOCK + -(-size // _BLOCK) * _BLOCK > MAX_BYTES

    def add(self, digest: bytes, data: bytes) -> None:
        """Adds an object unless it is there. Raises OSError."""
        if digest in self._known:
            return
        self._known.add(digest)
        self._write(header(object_path(digest), len(data)))
        self._write(data)
        self._write(bytes(-len(data) % _BLOCK))

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self._hash.update(data)
        self.size += len(data)

    def close(self) -> Pack:
        """Ends the pack. Raises OSError."""
        self._out.write(_END)
        self._hash.update(_END)
        self._out.flush(zstandard.FLUSH_FRAME)
        self._file.flush()
        self._file.close()
        return Pack(f"sha256:{self._hash.hexdigest()}", self.size, self.objects)


class Stream(Protocol):
    """Bytes that arrive: the uncompressed tar."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes, none at the end."""


def unpacked(file: IO[bytes]) -> Stream:
    """The tar of a pack's compressed file."""
    made = zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(file, read_across_frames=True)
    return made


class _Reader:
    """Reads whole pieces of a stream, and knows the digest of all that it read."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self.hash, self.size = stream, hashlib.sha256(), 0

    def exactly(self, size: int) -> bytes:
        """So many bytes. Raises PackError where there are fewer."""
        found = bytearray()
        while len(found) < size:
            piece = self._stream.read(size - len(found))
            if not piece:
                raise PackError("it ends too early")
            found += piece
        self.hash.update(found)
        self.size += size
        return bytes(found)


def objects(stream: Stream, expected: Pack) -> Iterator[tuple[bytes, bytes]]:
    """(digest, bytes) of each object, compared with its name; the last one is followed by a look at the whole.

    Nothing that was yielded may be used before the end was reached: the pack may still be another one than expected.
    Raises PackError; whatever reading raises.
    """
    if not 0 <= expected.objects <= MAX_OBJECTS or expected.size > MAX_BYTES:
        raise PackError("larger than a surveyor makes one")
    reader, count = _Reader(stream), 0
    while (block := reader.exactly(_BLOCK)) != bytes(_BLOCK):
        path, size = _entry(block)
        count += 1
        if count > expected.objects or reader.size + size > expected.size:
            raise PackError("there is more in it than it says")
        digest = bytes.fromhex(path[-65:-63] + path[-62:])
        data = reader.exactly(size)
        if hashlib.sha256(data).digest() != digest:
            raise PackError(f"{path}: its bytes are others")
        if any(reader.exactly(-size % _BLOCK)):
            raise PackError("there is something between its files")
        yield digest, data
    if any(reader.exactly(_BLOCK)) or stream.read(1):
        raise PackError("there is something behind its end")
    if (count, reader.size) != (expected.objects, expected.size) or reader.hash.hexdigest() != digits(expected.digest):
        raise PackError(f"it is not {expected.digest}")


def _entry(block: bytes) -> tuple[str, int]:
    """Path and size of a header that ``header`` writes. Raises PackError for any other."""
    path = block[:100].rstrip(b"\0")
    digits_of_size = block[124:135]
    if not digits_of_size.isdigit() or set(digits_of_size) - set(b"01234567"):
        raise PackError("a file without a size")
    size = int(digits_of_size, 8)
    try:
        name = path.decode("ascii")
    except UnicodeDecodeError:
        raise PackError("a file that is no object") from None
    if not _NAME.fullmatch(name) or size > MAX_OBJECT or block != header(name, size):
        raise PackError("a file that is no object")
    return name, size
