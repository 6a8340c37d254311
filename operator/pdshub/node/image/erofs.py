"""An EROFS image read with a bound: is it of the kind that surveyors make, and sound in every part?

The kernel's own reader runs with all rights, so nothing is mounted that this one has not walked through first. It
allows what `mkfs.erofs --tar=headerball` writes of names (archive/catalog.py) and refuses the rest: no compression, no
further devices, no fragments, no file but directories, links and regular ones without bytes, no attributes but those of
overlayfs.

Source: Linux, fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst; overlayfs.rst for the attributes. Standard
library only: it runs in a child process (reader_main.py).
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

SUPER_OFFSET, MAGIC = 1024, 0xE0F5E1E2
NAME_MAX, PATH_MAX = 255, 4096
MAX_DEPTH = PATH_MAX // 2
"""Directories above one another: a path of more has no name that anybody could say."""
MAX_ENTRIES = 8_000_000
"""Names in one image: twice what a surveyor puts into one (archive/catalog.py)."""

_SUPER = struct.Struct("<IIIBBHQQIIII16s16sIHHHBBIQ")
_COMPACT = struct.Struct("<HHHHIIIIHHI")
_EXTENDED = struct.Struct("<HHHHQIIIIQII16x")
_DIRENT = struct.Struct("<QHBB")
_XATTR_HEADER, _XATTR = struct.Struct("<IB7x"), struct.Struct("<BBH")
_COMPAT = 0x1 | 0x2 | 0x4  # checksum of the superblock, mtime, filter of attribute names: hints, read by nobody here
_INCOMPAT = 0x4  # files in chunks
_PLAIN, _INLINE, _CHUNKS = 0, 2, 4  # layouts of an inode's data
_CHUNK_BITS, _MAX_CHUNKS = 0x1F, 1 << 16  # of a chunk's size; a surveyor's files have one chunk, or a few
_SLOT = 32  # bytes that an inode's number counts
_NULL = 0xFFFFFFFF  # no block
_TRUSTED = 4  # index of the prefix "trusted."
_ATTRIBUTES = {b"overlay.metacopy": 64, b"overlay.redirect": PATH_MAX, b"overlay.opaque": 1}
"""Names behind "trusted." and the most bytes of their values."""
_TYPES = {1: stat.S_IFREG, 2: stat.S_IFDIR, 7: stat.S_IFLNK}
"""Types of directory entries that there may be."""


class Unsound(ValueError):
    """The image is not one that a surveyor makes; the text says in what, in words of this program alone."""


@dataclass(frozen=True)
class _Inode:
    """An inode as far as it is looked at. `tail`: where data that lies behind it begins."""

    mode: int
    size: int
    layout: int
    block: int
    tail: int


@dataclass
class Found:
    """What an image holds."""

    files: int = 0
    directories: int = 0
    links: int = 0


class Image:
    """One image. `check` walks through all of it."""

    def __init__(self, data: memoryview | bytes) -> None:
        """`data`: the whole file. Raises Unsound for a superblock that is not a surveyor's."""
        self._data, self._length = data, len(data)
        if self._length < SUPER_OFFSET + 128:
            raise Unsound("too short for a superblock")
        fields = _SUPER.unpack_from(data, SUPER_OFFSET)
        magic, _, compat, bits, slots, root, _, _, _, blocks, meta, attributes = fields[:12]
        incompat, algorithms, devices, _, directory_bits, prefixes, _, packed = fields[14:]
        if magic != MAGIC:
            raise Unsound("no EROFS image")
        unknown = (
            compat & ~_COMPAT,
            incompat & ~_INCOMPAT,
            slots,
            algorithms,
            devices,
            directory_bits,
            prefixes,
            packed,
        )
        if any(unknown):
            raise Unsound("features that no surveyor uses")
        if bits not in (9, 12):
            raise Unsound("blocks of another size than 512 or 4096 bytes")
        self._bits, self._block = bits, 1 << bits
        self._meta, self._attributes = meta << bits, attributes << bits
        if not 0 < blocks << bits <= self._length or max(self._meta, self._attributes) >= self._length:
            raise Unsound("it says that it is larger than it is")
        self._root = root
        self._seen = bytearray(self._length // _SLOT // 8 + 1)

    def check(self, top: str = "") -> Found:
        """Walk through every directory. `top`: a directory of the root that has to be there. Raises Unsound."""
        found = Found()
        if not stat.S_ISDIR(self._inode(self._root).mode):
            raise Unsound("its root is no directory")
        folders = {os.fsdecode(name) for name, _, kind in self._names(self._root) if kind == stat.S_IFDIR}
        if top and top not in folders:
            raise Unsound("it lacks the folder that the manifest says is shown")
        waiting, names = [(self._root, self._root, 0)], 0
        self._once(self._root)
        while waiting:
            number, above, depth = waiting.pop()
            found.directories += 1
            for name, child, kind in self._names(number):
                names += 1
                if names > MAX_ENTRIES:
                    raise Unsound("more names than a surveyor puts into an image")
                if name in (b".", b".."):
                    if child != (number if name == b"." else above) or kind != stat.S_IFDIR:
                        raise Unsound("a directory whose '.' or '..' is another one")
                    continue
                inode = self._inode(child)
                if stat.S_IFMT(inode.mode) != kind:
                    raise Unsound("an entry of another type than its file")
                if kind == stat.S_IFDIR:
                    if depth >= MAX_DEPTH:
                        raise Unsound("directories nested too deeply")
                    self._once(child)
                    waiting.append((child, number, depth + 1))
                elif kind == stat.S_IFLNK:
                    found.links += 1
                    self._link(inode)
                else:
                    found.files += 1
                    self._hole(inode)
        return found

    def _once(self, number: int) -> None:
        """A directory has one place: two would be a loop, or a tree without an end."""
        byte, bit = number >> 3, 1 << (number & 7)
        if self._seen[byte] & bit:
            raise Unsound("a directory that lies in two places")
        self._seen[byte] |= bit

    def _inode(self, number: int) -> _Inode:
        offset = self._meta + number * _SLOT
        if offset + _EXTENDED.size > self._length:
            raise Unsound("an inode outside of the image")
        form = self._data[offset] & 1
        if form:
            fields = _EXTENDED.unpack_from(self._data, offset)
            size, block, end = fields[4], fields[5], offset + _EXTENDED.size
        else:
            fields = _COMPACT.unpack_from(self._data, offset)
            size, block, end = fields[4], fields[6], offset + _COMPACT.size
        layout, count, mode = fields[0] >> 1, fields[1], fields[2]
        if layout not in (_PLAIN, _INLINE, _CHUNKS):  # bits above the layout are of features that there are not
            raise Unsound("a layout that no surveyor uses")
        if mode & 0o7000:
            raise Unsound("a mode with setuid, setgid or sticky")
        if size >= 1 << 62:
            raise Unsound("a size that no file has")
        return _Inode(mode, size, layout, block, self._attributes_of(end, count) if count else end)

    def _attributes_of(self, offset: int, count: int) -> int:
        """Look at the attributes of an inode; answers their end."""
        end = offset + _XATTR_HEADER.size + 4 * (count - 1)
        if end > self._length:
            raise Unsound("attributes outside of the image")
        _, shared = _XATTR_HEADER.unpack_from(self._data, offset)
        at = offset + _XATTR_HEADER.size
        if at + 4 * shared > end:
            raise Unsound("attributes outside of their inode")
        for (number,) in struct.iter_unpack("<I", bytes(self._data[at : at + 4 * shared])):
            self._attribute(self._attributes + 4 * number, self._length)
        at += 4 * shared
        while at < end:
            at = self._attribute(at, end)
        return end

    def _attribute(self, offset: int, end: int) -> int:
        if offset + _XATTR.size > end:
            raise Unsound("an attribute outside of the image")
        length, index, size = _XATTR.unpack_from(self._data, offset)
        at = offset + _XATTR.size
        following: int = at + (length + size + 3 & ~3)
        if following > end:
            raise Unsound("an attribute outside of the image")
        name = bytes(self._data[at : at + length])
        if index != _TRUSTED or size > _ATTRIBUTES.get(name, -1):
            raise Unsound("an attribute that no surveyor writes")
        if name == b"overlay.redirect":
            path = bytes(self._data[at + length : at + length + size])
            if not path.startswith(b"/") or b"\0" in path or b".." in path.split(b"/"):
                raise Unsound("a redirect that leads out of its source")
        return following

    def _extent(self, inode: _Inode) -> Iterator[tuple[int, int]]:
        """(offset, bytes) of each block of an inode's data, all of them inside of the image."""
        if inode.layout == _CHUNKS:
            raise Unsound("a directory or a link in chunks")
        whole, rest = divmod(inode.size, self._block)
        if inode.layout == _PLAIN and rest:
            whole, last = whole + 1, rest
        else:
            last = self._block
        start = inode.block << self._bits
        if whole and (inode.block == _NULL or start + ((whole - 1) << self._bits) + last > self._length):
            raise Unsound("data outside of the image")
        for n in range(whole):
            yield start + (n << self._bits), last if n == whole - 1 else self._block
        if inode.layout == _INLINE and rest:
            if inode.tail + rest > self._length or inode.tail // self._block != (inode.tail + rest - 1) // self._block:
                raise Unsound("data that crosses the end of its block")
            yield inode.tail, rest

    def _hole(self, inode: _Inode) -> None:
        """A file has a size and no bytes: these are the source's."""
        if not inode.size:
            return
        if inode.layout != _CHUNKS or inode.block & ~_CHUNK_BITS:
            raise Unsound("a file with bytes of its own")
        count = -(-inode.size >> self._bits + inode.block)
        at = inode.tail + 3 & ~3
        if count > _MAX_CHUNKS or at + 4 * count > self._length:
            raise Unsound("a file with more chunks than there are")
        if bytes(self._data[at : at + 4 * count]) != b"\xff" * (4 * count):
            raise Unsound("a file with bytes of its own")

    def _link(self, inode: _Inode) -> None:
        if not 0 < inode.size < PATH_MAX:
            raise Unsound("a link of a length that no link has")
        if any(b"\0" in bytes(self._data[at : at + size]) for at, size in self._extent(inode)):
            raise Unsound("a link to a name that no file has")

    def _names(self, number: int) -> Iterator[tuple[bytes, int, int]]:
        """(name, inode, type) of a directory's entries, which are in order, with "." and ".." once each."""
        inode = self._inode(number)
        before, dots = b"", 0
        for offset, size in self._extent(inode):
            for name, child, kind in self._block_of_names(offset, size):
                if name <= before:
                    raise Unsound("names that are not in order")
                before = name
                dots += name in (b".", b"..")
                yield name, child, kind
        if dots != 2:
            raise Unsound("a directory without '.' and '..'")

    def _block_of_names(self, offset: int, size: int) -> Iterator[tuple[bytes, int, int]]:
        raw = bytes(self._data[offset : offset + size])
        if size < _DIRENT.size:
            raise Unsound("a directory that ends in mid-entry")
        first = int.from_bytes(raw[8:10], "little")
        count, odd = divmod(first, _DIRENT.size)
        if odd or not count or first >= size:
            raise Unsound("names outside of their block")
        entries = list(_DIRENT.iter_unpack(raw[:first]))
        ends = [entry[1] for entry in entries[1:]]
        for (child, at, kind, _), end in zip(entries, [*ends, size], strict=True):
            if not first <= at < end <= size:
                raise Unsound("names outside of their block")
            name = raw[at:end]
            if end == size:
                name = name.rstrip(b"\0")  # the last one's block may be filled up
            if not 0 < len(name) <= NAME_MAX or b"/" in name or b"\0" in name:
                raise Unsound("a name that no file has")
            if kind not in _TYPES:
                raise Unsound("a file that is no directory, link or regular file")
            yield name, child, _TYPES[kind]
