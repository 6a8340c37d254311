"""PAX tar headers as bytes, without file data: what ``mkfs.erofs --tar=headerball`` reads.

Path, size, time and attributes all go into PAX records, so the 512-byte headers are constants per kind and length;
``tarfile`` needs seven times as long. Sources: POSIX.1-2017 pax Interchange Format; star(5) for SCHILY.xattr.
"""

from __future__ import annotations

from functools import lru_cache

from pdshub.archive.walk import Attr

END = bytes(1024)
_METACOPY = b"SCHILY.xattr.trusted.overlay.metacopy="
_REDIRECT = b"SCHILY.xattr.trusted.overlay.redirect="


def _length(body: int) -> int:
    total = body + 1
    while len(str(total)) + body != total:
        total = len(str(total)) + body
    return total


# A record is "<length> key=value\n"; its length counts itself. By the length of all but the digits:
_PREFIX = [b"%d " % _length(n) for n in range(9000)]


def record(key: bytes, value: bytes) -> bytes:
    """One PAX record; ``key`` ends in "="."""
    return _PREFIX[len(key) + len(value) + 2] + key + value + b"\n"


@lru_cache(maxsize=4096)
def _header(kind: bytes, size: int, attr: Attr) -> bytes:
    mode, uid, gid = attr
    block = bytearray(512)
    block[0:1] = b"p"
    block[100:108] = b"%07o\0" % mode
    # owners beyond the field go into PAX records, see owner()
    block[108:116] = b"%07o\0" % (uid if uid < 0o10000000 else 0)
    block[116:124] = b"%07o\0" % (gid if gid < 0o10000000 else 0)
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % 0
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@lru_cache(maxsize=4096)
def owner(attr: Attr) -> bytes:
    """PAX records for a uid or gid that the header can't hold."""
    _, uid, gid = attr
    return b"".join(
        record(key, b"%d" % value) for key, value in ((b"uid=", uid), (b"gid=", gid)) if value >= 0o10000000
    )


def _time(ns: int) -> bytes:
    seconds, fraction = divmod(ns, 1_000_000_000)
    # mkfs.erofs 1.8 reads the digits after the point as nanoseconds: always write nine
    return b"%d.%09d" % (seconds, fraction) if fraction else b"%d" % seconds


def _entry(kind: bytes, attr: Attr, body: bytes) -> bytes:
    size = len(body)
    return b"".join((_header(b"x", size, (0, 0, 0)), body, bytes(-size % 512), _header(kind, 0, attr)))


def directory(path: bytes, attr: Attr, mtime: int, *, opaque: bool = False) -> bytes:
    """A directory; the root is b"". ``opaque``: overlayfs merges it with no directory of the same name below."""
    body = record(b"path=", (path or b".") + b"/") + record(b"mtime=", _time(mtime)) + (_OPAQUE if opaque else b"")
    return _entry(b"5", attr, body + owner(attr))


def link(path: bytes, target: bytes, mtime: int) -> bytes:
    """A symbolic link, owned by root."""
    body = record(b"path=", path) + record(b"linkpath=", target) + record(b"mtime=", _time(mtime))
    return _entry(b"2", (0o777, 0, 0), body)


@lru_cache(maxsize=4096)
def _size(size: int) -> bytes:
    return record(b"size=", b"%d" % size)


def file(path: bytes, attr: Attr, size: int, mtime: int, redirect: bytes, owners: bytes = b"") -> bytes:
    """A regular file whose data overlayfs takes from ``redirect`` (absolute in a data layer)."""
    # called for every file: records are written out here
    time = _time(mtime)
    body = b"".join(
        (
            _PREFIX[len(path) + 7], b"path=", path, b"\n",
            _size(size),
            _PREFIX[len(time) + 8], b"mtime=", time, b"\n",
            _EMPTY,
            _PREFIX[len(redirect) + _REDIRECT_LENGTH], _REDIRECT, redirect, b"\n",
            owners,
        )
    )  # fmt: skip
    length = len(body)
    return b"".join((_header(b"x", length, _NOBODY), body, _PADDING[length % 512], _header(b"0", 0, attr)))


_NOBODY: Attr = (0, 0, 0)
_PADDING = [bytes(-n % 512) for n in range(512)]
_REDIRECT_LENGTH = len(_REDIRECT) + 2
_EMPTY = record(_METACOPY, b"")
_OPAQUE = record(b"SCHILY.xattr.trusted.overlay.opaque=", b"y")
