"""Copies a home into another volume. ``kubectl pdshub homes move`` runs it in a pod, as its owner.

The home is mounted read-only and nobody else has it. Kept are names, contents, modes, times, links, holes, attributes,
and owners where the pod may. What an earlier run copied whole stays; what the home does not have goes.
"""

from __future__ import annotations

import errno
import os
import stat

from pdshub.cli.home_look import FILE, FOLDER, Tally, attributes, names

CHUNK, HOLE = 1 << 20, 1 << 16


def finish(source: int, copy: int, found: os.stat_result) -> None:
    """Owner, attributes, mode and times of a copied file or folder: the times last, as the rest moves them."""
    owned(copy, found)
    have, wanted = attributes(copy), attributes(source)
    for name in have.keys() - wanted.keys():
        os.removexattr(copy, name)
    for name, value in wanted.items():
        os.setxattr(copy, name, value)
    os.fchmod(copy, stat.S_IMODE(found.st_mode))
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))


def owned(copy: int | str, found: os.stat_result, folder: int | None = None) -> None:
    """Owner and group, as far as a process without rights may give them."""
    for uid, gid in ((found.st_uid, found.st_gid), (-1, found.st_gid)):
        try:
            os.chown(copy, uid, gid, dir_fd=folder, follow_symlinks=isinstance(copy, int))
        except PermissionError:
            continue
        return


def content(source: int, copy: int, found: os.stat_result) -> None:
    """The bytes of a file. Where the source has holes the copy has them, also where no call tells where they are."""
    sparse, at = found.st_blocks * 512 < found.st_size, 0
    while at < found.st_size:
        begin, end = at, found.st_size
        if sparse:
            try:
                begin = os.lseek(source, at, os.SEEK_DATA)
                end = os.lseek(source, begin, os.SEEK_HOLE)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    break
        at = begin
        while at < end:
            data = os.pread(source, min(HOLE if sparse else CHUNK, end - at), at)
            if not data:
                raise OSError(errno.EIO, "it was cut off while it was read")
            if not sparse or data.count(0) != len(data):
                view = memoryview(data)
                while view:
                    done = os.pwrite(copy, view, at + len(data) - len(view))
                    view = view[done:]
            at += len(data)
    os.ftruncate(copy, found.st_size)


def gone(folder: int, name: str) -> None:
    """Take something out of the copy."""
    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        os.chmod(name, 0o700, dir_fd=folder)
        inside = os.open(name, FOLDER, dir_fd=folder)
        try:
            for each in names(inside, name):
                gone(inside, each)
        finally:
            os.close(inside)
        os.rmdir(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


class Copy:
    """Copies one tree into another. ``top``: the folder of the copy; ``linked``: by inode where its first name is."""

    def __init__(self, top: int, tally: Tally) -> None:
        self.top, self.tally = top, tally
        self.linked: dict[tuple[int, int], str] = {}

    def folder(self, source: int, copy: int, path: str) -> None:
        """Copy what is in a folder. Raises OSError where the copy has no room."""
        wanted = names(source, path)
        for name in set(names(copy, path)) - set(wanted):
            gone(copy, name)
        for name in wanted:
            below = f"{path}/{name}" if path else name
            try:
                self._one(source, copy, name, below)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self.tally.problem(below, error.strerror)

    def _one(self, source: int, copy: int, name: str, path: str) -> None:
        found = os.stat(name, dir_fd=source, follow_symlinks=False)
        self.tally.add(path, found)
        self.tally.say("copying")
        try:
            there: os.stat_result | None = os.stat(name, dir_fd=copy, follow_symlinks=False)
        except FileNotFoundError:
            there = None
        kind = stat.S_IFMT(found.st_mode)
        first = self.linked.get((found.st_dev, found.st_ino)) if kind != stat.S_IFDIR else None
        if there is not None and (stat.S_IFMT(there.st_mode) != kind or not self._stays(found, there, first)):
            gone(copy, name)
            there = None
        if kind != stat.S_IFDIR and found.st_nlink > 1:
            self.linked.setdefault((found.st_dev, found.st_ino), path)
        if kind == stat.S_IFDIR:
            self._into(source, copy, name, path, found, made=there is not None)
        elif kind == stat.S_IFSOCK:
            self.tally.counts["sockets"] += 1
        elif there is not None:
            return
        elif first is not None:
            self._link(copy, name, first)
        elif kind == stat.S_IFREG:
            self._file(source, copy, name, found)
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=copy)
            owned(name, found, copy)
            os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=copy, follow_symlinks=False)
        elif kind == stat.S_IFIFO:
            os.mkfifo(name, 0o600, dir_fd=copy)
            owned(name, found, copy)
            os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=copy)
            os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=copy, follow_symlinks=False)
        else:
            raise OSError(errno.EPERM, "a device")

    def _stays(self, found: os.stat_result, there: os.stat_result, first: str | None) -> bool:
        """Whether what an earlier run made is whole: its time is set last. A file of several names is made anew."""
        if stat.S_ISDIR(found.st_mode):
            return True
        same = (found.st_size, found.st_mtime_ns, found.st_mode) == (there.st_size, there.st_mtime_ns, there.st_mode)
        return same and first is None and found.st_nlink == 1 and there.st_nlink == 1

    def _into(self, source: int, copy: int, name: str, path: str, found: os.stat_result, *, made: bool) -> None:
        if not made:
            os.mkdir(name, 0o700, dir_fd=copy)
        os.chmod(name, 0o700, dir_fd=copy)
        inside = os.open(name, FOLDER, dir_fd=source)
        try:
            below = os.open(name, FOLDER, dir_fd=copy)
            try:
                self.folder(inside, below, path)
                finish(inside, below, found)
            finally:
                os.close(below)
        finally:
            os.close(inside)

    def _link(self, copy: int, name: str, first: str) -> None:
        """Another name of a file: its folder is reached step by step, as a path may be longer than a call takes."""
        *folders, last = first.split("/")
        where = os.dup(self.top)
        try:
            for each in folders:
                below = os.open(each, FOLDER, dir_fd=where)
                os.close(where)
                where = below
            os.link(last, name, src_dir_fd=where, dst_dir_fd=copy, follow_symlinks=False)
        finally:
            os.close(where)

    def _file(self, source: int, copy: int, name: str, found: os.stat_result) -> None:
        before = os.open(name, FILE, dir_fd=source)
        try:
            after = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=copy)
            try:
                content(before, after, found)
                finish(before, after, found)
            finally:
                os.close(after)
        finally:
            os.close(before)
