"""The one door to the kernel's mount system calls (ctypes, no C to build).

Paths are ``str`` or ``bytes``-free; every failure is an ``OSError`` with the kernel's errno and the
operation's name. Nothing here decides: callers choose flags and fallbacks. The numbers of the new mount
API are the same on every architecture (include/uapi/asm-generic/unistd.h, from 424 on).

Sources: mount(2), umount2(2), open_tree(2), move_mount(2), fsopen(2), mount_setattr(2), openat2(2),
open_by_handle_at(2), setfsuid(2); Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_libc = ctypes.CDLL(None, use_errno=True)

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 428, 429, 430, 431, 432
_OPENAT2, _MOUNT_SETATTR = 437, 442

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME = 1, 2, 4, 8, 1024
MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 14, 1 << 18, 1 << 19, 1 << 20
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8

ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, ATTR_NOEXEC, ATTR_NOATIME = 0x1, 0x2, 0x4, 0x8, 0x10
_ATTR_ATIME_MASK = 0x70
#: What every mount that a pod can reach carries.
SAFE = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOATIME

_MOVE_EMPTY_PATH, _MOVE_BENEATH = 0x4, 0x200
_NEW_MOUNTS = 0x00020000  # CLONE_NEWNS
_OPEN_TREE_CLONE, _CLOEXEC = 1, os.O_CLOEXEC
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CREATE = 0, 1, 6

RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH = 0x02, 0x04, 0x08


def _check(result: int, what: str, path: str = "") -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}", path or None)
    return result


def _u64(*values: int) -> bytes:
    return b"".join((value & (2**64 - 1)).to_bytes(8, sys.byteorder) for value in values)


def mount(source: str, target: str, fstype: str, flags: int, data: str = "") -> None:
    """mount(2): the call that every kernel has; `data` is the file system's option string."""
    _check(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            fstype.encode(),
            ctypes.c_ulong(flags),
            os.fsencode(data) if data else None,
        ),
        f"mount {fstype}",
        target,
    )


def umount(target: str, *, lazy: bool = False) -> None:
    """Take the topmost mount away. Without `lazy`: EBUSY while anybody, in any pod, works in it."""
    flags = UMOUNT_NOFOLLOW | (MNT_DETACH if lazy else 0)
    _check(_libc.umount2(os.fsencode(target), flags), "umount", target)


def clone(path: str, directory_fd: int = AT_FDCWD) -> int:
    """A detached copy of the mount at `path` (of `directory_fd` itself for ""), without its submounts."""
    flags = _OPEN_TREE_CLONE | _CLOEXEC | (0 if path else AT_EMPTY_PATH)
    return _check(_libc.syscall(_OPEN_TREE, directory_fd, os.fsencode(path), flags), "open_tree", path)


def set_attributes(fd: int, *, add: int = 0, clear: int = 0, propagation: int = 0) -> None:
    """mount_setattr(2) on a detached or attached mount given by its descriptor."""
    if add & _ATTR_ATIME_MASK:
        clear |= _ATTR_ATIME_MASK
    raw = _u64(add, clear, propagation, 0)
    _check(_libc.syscall(_MOUNT_SETATTR, fd, b"", AT_EMPTY_PATH, raw, len(raw)), "mount_setattr")


def attach(fd: int, target: str, *, beneath: bool = False) -> None:
    """Put a detached mount on `target`, or beneath what is mounted there (Linux >= 6.5, else EINVAL)."""
    flags = _MOVE_EMPTY_PATH | (_MOVE_BENEATH if beneath else 0)
    _check(_libc.syscall(_MOVE_MOUNT, fd, b"", AT_FDCWD, os.fsencode(target), flags), "move_mount", target)


def attaches_beneath() -> bool:
    """Whether `attach` can do `beneath`: the kernel refuses a flag that it does not know before it looks at the fd."""
    try:
        attach(-1, "/", beneath=True)
    except OSError as error:
        return error.errno != errno.EINVAL
    return True


def new_filesystem(fstype: str, options: Iterable[tuple[str, str | None]], attributes: int) -> int:
    """A new file system as a detached mount (fsopen, fsconfig, fsmount); an option None is a flag."""
    fs = _check(_libc.syscall(_FSOPEN, fstype.encode(), 1), f"fsopen {fstype}")
    try:
        for key, value in options:
            if value is None:
                done = _libc.syscall(_FSCONFIG, fs, _FSCONFIG_SET_FLAG, key.encode(), None, 0)
            else:
                done = _libc.syscall(_FSCONFIG, fs, _FSCONFIG_SET_STRING, key.encode(), os.fsencode(value), 0)
            _check(done, f"{fstype} option {key}")
        _check(_libc.syscall(_FSCONFIG, fs, _FSCONFIG_CREATE, None, None, 0), f"create {fstype}")
        return _check(_libc.syscall(_FSMOUNT, fs, 1, attributes), f"fsmount {fstype}")
    finally:
        os.close(fs)


def open_beneath(directory_fd: int, path: str, *, listed: bool = False) -> int:
    """Open a directory below `directory_fd`; a symbolic link or `..` on the way is refused.

    The descriptor is O_PATH: for other calls of this door. `listed`: it can be read, too (os.scandir). Raises ELOOP for
    a link, EXDEV for an escape, ENOENT/ENOTDIR as usual.
    """
    how = _u64(
        (os.O_RDONLY if listed else os.O_PATH) | os.O_DIRECTORY | os.O_CLOEXEC,
        0,
        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    )
    name = os.fsencode(path or ".")
    return _check(_libc.syscall(_OPENAT2, directory_fd, name, how, len(how)), "open", path)


@contextmanager
def opened(directory: str, below: str = "") -> Iterator[int]:
    """A directory of the plugin's own by its path, or one below it: what is below is whoever's who made the mount that
    lies there, so no link is followed (`open_beneath`). Closed at the end: an open directory keeps its mount busy.

    Raises OSError as `open_beneath`.
    """
    top = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = open_beneath(top, below)
    finally:
        os.close(top)
    try:
        yield found
    finally:
        os.close(found)


def set_filesystem_ids(uid: int, gid: int) -> None:
    """Do file accesses of this thread as uid:gid; capabilities for mounting stay (setfsuid(2))."""
    os.setgroups([])
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    if _libc.setfsuid(-1) != uid or _libc.setfsgid(-1) != gid:
        raise OSError(1, f"setfsuid {uid}:{gid} refused")


def open_covered(mount: str, original: str) -> int:
    """The directory `original`, reached through another mount of its file system and although something is mounted
    over it or above it there. Path lookup would end in what is mounted.

    Raises EOPNOTSUPP for a file system without handles (tmpfs has them).
    """
    handle = ctypes.create_string_buffer((128).to_bytes(4, sys.byteorder), 8 + 128)  # struct file_handle
    mount_id = ctypes.c_int()
    done = _libc.name_to_handle_at(AT_FDCWD, os.fsencode(original), handle, ctypes.byref(mount_id), 0)
    _check(done, "name_to_handle_at", original)
    base = os.open(mount, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        return _check(_libc.open_by_handle_at(base, handle, flags), "open_by_handle_at", original)
    finally:
        os.close(base)


def own_namespace() -> None:
    """From here on what this process mounts is seen by nobody else and goes with it; what others unmount goes, too.

    For a process of one thread. Source: unshare(2), mount_namespaces(7). Raises OSError.
    """
    _check(_libc.unshare(_NEW_MOUNTS), "unshare")
    mount("none", "/", "none", MS_REC | MS_SLAVE)
