"""Unpacks what `restic dump` writes below one open folder, and nowhere else.

restic itself restores by path. While it does, the owner of the home may put a link in the place of a folder that it has
just made, and restic writes where the link leads: for a repository on a mounted claim into the repository, with the
same uid. So nothing here is opened by a path that is looked up twice: each name is opened below the folder's
descriptor, through no link, and a file is made only where nothing is (archive/beneath.py: openat2, RESOLVE_BENEATH).
What the stream says is not believed either: names that leave the folder, and types that nobody asked for, end the
restore.

Kept are types, contents, permissions, modification times, user attributes (user.*), holes, and several names of one
file. Not kept, as this process has no rights: owners (everything belongs to who restores), set-user-id bits, devices,
FIFOs and sockets.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from pdshub.archive.beneath import open_below
from pdshub.backup.verdict import Failed

CHUNK = 256 * 1024
_ZEROS = bytes(CHUNK)
_XATTR = "SCHILY.xattr."
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_NOCTTY
FOLDER_BITS = 0o3777
FILE_BITS = 0o777


@dataclass
class Unpacked:
    """What was written."""

    files: int = 0
    size: int = 0


def at(descriptor: int) -> str:
    """An open folder as a path: the folder that was opened, whatever has its name now."""
    return f"/proc/self/fd/{descriptor}"


@contextmanager
def parent(root: int, path: str) -> Iterator[tuple[int, str]]:
    """The open folder in which ``path`` below ``root`` is or will be, and its name there. Raises OSError."""
    folder, _, name = path.rpartition("/")
    descriptor = open_below(at(root), folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield descriptor, name
    finally:
        os.close(descriptor)


def _path(name: str) -> str:
    path = name.rstrip("/")
    if not path or path.startswith("/") or "\0" in path or {"", ".", ".."} & set(path.split("/")):
        raise Failed("Damaged", f"the snapshot holds a name that leaves its folder: {name!r}")
    return path


def _modified(info: tarfile.TarInfo) -> int:
    """Nanoseconds; tarfile makes a float of them."""
    whole, _, rest = info.pax_headers.get("mtime", "").partition(".")
    with suppress(ValueError):
        if whole:
            sign = -1 if whole.startswith("-") else 1
            return int(whole) * 10**9 + sign * int((rest[:9] or "0").ljust(9, "0"))
    return int(info.mtime) * 10**9


def write(descriptor: int, source: IO[bytes], size: int | None, check: Callable[[], None]) -> int:
    """Fill a new file from a stream, with holes where the stream has zeros. The bytes. ``size``: how many there have to
    be. Raises OSError; Failed(Damaged) for a stream that ends early."""
    done = 0
    while data := source.read(CHUNK):
        check()
        if data == _ZEROS[: len(data)]:
            os.lseek(descriptor, len(data), os.SEEK_CUR)
        else:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        done += len(data)
    os.ftruncate(descriptor, done)
    if size is not None and done != size:
        raise Failed("Damaged", "a file of the snapshot is shorter than it should be")
    return done


def finish(descriptor: int, mode: int, modified_ns: int) -> None:
    """Permissions and time of something new; a time that the file system does not have is left out."""
    os.fchmod(descriptor, mode)
    with suppress(OSError, OverflowError):
        os.utime(descriptor, ns=(modified_ns, modified_ns))


def unpack(
    source: IO[bytes],
    root: int,
    *,
    special: Collection[str] = (),
    links: Mapping[str, str] | None = None,
    time_of: Callable[[str], int] = lambda path: 0,
    keep_modes: bool = True,
    check: Callable[[], None] = lambda: None,
) -> Unpacked:
    """Unpack a tar stream below the open folder ``root``.

    ``special``: names that are left out, as they are neither files, folders nor links (restic writes those at the top
    as empty files). ``links``: file -> an earlier name of the same file. ``time_of``: when an entry was modified, in
    nanoseconds, asked once for each in the archive's order, which itself has whole seconds; 0: as that says.
    ``keep_modes``: else all can be read and removed by the owner. Raises Failed; OSError of the place that is written
    to.
    """
    done, folders = Unpacked(), []
    links = links or {}
    try:
        stream = tarfile.open(  # noqa: SIM115 it is closed below
            fileobj=source, mode="r|", bufsize=CHUNK, encoding="utf-8", errors="surrogateescape"
        )
    except tarfile.ReadError as error:
        # an empty folder is an empty archive; nothing at all is what restic writes when it fails, and it says why
        if "empty file" in str(error):
            return done
        raise Failed("Damaged", f"what restic wrote is no archive: {error}") from None
    with stream:
        while (info := _next(stream)) is not None:
            check()
            stream.members = []  # type: ignore[attr-defined]  # it would remember every one
            path = _path(info.name)
            if path in special:
                continue
            modified = time_of(path) or _modified(info)
            if info.isdir():
                with parent(root, path) as (folder, name):
                    os.mkdir(name, 0o700, dir_fd=folder)
                folders.append((path, info.mode & FOLDER_BITS, modified))
            elif info.issym():
                with parent(root, path) as (folder, name):
                    os.symlink(info.linkname, name, dir_fd=folder)
                    with suppress(OSError, OverflowError):
                        os.utime(name, ns=(modified, modified), dir_fd=folder, follow_symlinks=False)
            elif info.isreg():
                done.files += 1
                if path in links and _linked(root, links[path], path):
                    continue
                done.size += _file(stream, info, root, path, modified, keep_modes, check)
            else:
                raise Failed("Damaged", f"the snapshot holds something of an unknown type: {path!r}")
    for path, mode, when in reversed(folders):  # a folder's own after what is in it
        descriptor = open_below(at(root), path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            finish(descriptor, mode if keep_modes else 0o700, when)
        finally:
            os.close(descriptor)
    return done


def _next(stream: tarfile.TarFile) -> tarfile.TarInfo | None:
    try:
        return stream.next()
    except tarfile.TarError as error:
        raise Failed("Damaged", f"what restic wrote is cut off: {error}") from None


def _linked(root: int, existing: str, path: str) -> bool:
    """A second name for a file that was unpacked before. False where the file system has no such thing."""
    try:
        with parent(root, existing) as (there, old), parent(root, path) as (folder, name):
            os.link(old, name, src_dir_fd=there, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EXDEV):
            return False
        raise
    return True


def _file(
    stream: tarfile.TarFile,
    info: tarfile.TarInfo,
    root: int,
    path: str,
    modified: int,
    keep_modes: bool,
    check: Callable[[], None],
) -> int:
    content = stream.extractfile(info)
    assert content is not None  # noqa: S101 it is a regular file
    descriptor = open_below(at(root), path, _MAKE)
    try:
        try:
            size = write(descriptor, content, info.size, check)
        except tarfile.TarError as error:
            raise Failed("Damaged", f"what restic wrote is cut off: {error}") from None
        for key, value in info.pax_headers.items():
            if key.startswith(_XATTR + "user."):
                with suppress(OSError):
                    os.setxattr(descriptor, key.removeprefix(_XATTR), value.encode("utf-8", "surrogateescape"))
        finish(descriptor, stat.S_IMODE(info.mode) & FILE_BITS if keep_modes else 0o600, modified)
        return size
    finally:
        os.close(descriptor)
