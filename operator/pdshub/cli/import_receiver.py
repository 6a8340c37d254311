"""What runs beside homes of the new hub: it lists, takes in, removes and compares files of one. Standard library alone.

Its text is handed to ``python3 -c`` in a pod that has claims of homes and nothing else. Each answer is one line of
JSON on standard output, or one for each file.

Whoever's home it is may put a link in the place of a directory at any moment, and homes of others are mounted beside
it. So everything is opened below the mount name by name, without links, and done to what was opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import tarfile
from collections.abc import Iterator

MARK = "PDSHUB.mtime_ns"
"""A field of the archive (pax): the time of change to the nanosecond, which the format's own has as a float."""
PART = ".pdshub-import-part"
"""Ends the name of a file that is being written."""
DEEPEST = 300
"""Directories inside of each other that are looked at: deeper ones are none of an import's."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def parts_of(path: str) -> list[str]:
    """The names of a path below a directory. Raises ValueError for one that leads elsewhere."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ValueError(path)
    return parts


def opened(top: int, parts: list[str], make: bool = False) -> int:
    """A descriptor of the directory below ``top``; ``make``: those that are missing are made. Raises OSError for a link
    on the way."""
    at = os.dup(top)
    for part in parts:
        try:
            if make:
                try:
                    os.mkdir(part, 0o700, dir_fd=at)
                except FileExistsError:
                    pass
            below = os.open(part, _FOLDER, dir_fd=at)
        finally:
            os.close(at)
        at = below
    return at


def walk(top: int) -> Iterator[tuple[int, str, str, os.stat_result]]:
    """Of everything below ``top``: a descriptor of its directory, its name, its path and its status."""
    folders: list[list[str]] = [[]]
    while folders:
        folder = folders.pop()
        try:
            at = opened(top, folder)
        except OSError:
            continue  # it went, or became a link
        try:
            for name in sorted(os.listdir(at), reverse=True):
                try:
                    status = os.lstat(name, dir_fd=at)
                except OSError:
                    continue
                if stat.S_ISDIR(status.st_mode) and len(folder) < DEEPEST:
                    folders.append([*folder, name])
                yield at, name, "/".join([*folder, name]), status
        finally:
            os.close(at)


def listing(top: int) -> None:
    """Prints what there is: path, kind, size, time, mode and target of each. What was begun and not ended goes."""
    kinds = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l"}
    for at, name, path, status in walk(top):
        kind = kinds.get(stat.S_IFMT(status.st_mode), "o")
        if kind == "f" and name.endswith(PART):
            os.unlink(name, dir_fd=at)
            continue
        try:
            target = os.readlink(name, dir_fd=at) if kind == "l" else ""
        except OSError:
            continue  # it is no link any more
        mode = stat.S_IMODE(status.st_mode) & 0o777
        print(json.dumps([path, kind, status.st_size if kind == "f" else 0, status.st_mtime_ns, mode, target]))


def digests(top: int) -> None:
    """Prints the SHA-256 of each file, and of the target of each link."""
    for at, name, path, status in walk(top):
        try:
            if stat.S_ISLNK(status.st_mode):
                print(json.dumps([path, hashlib.sha256(os.fsencode(os.readlink(name, dir_fd=at))).hexdigest()]))
            elif stat.S_ISREG(status.st_mode):
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                with open(os.open(name, flags, dir_fd=at), "rb") as file:
                    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                        print(json.dumps([path, hashlib.file_digest(file, "sha256").hexdigest()]))
        except OSError:
            continue  # what can not be read has no digest, and so differs


def receive(top: int) -> None:
    """Takes an archive from standard input. A file gets its name once it is whole."""
    done, refused = 0, list[list[str]]()
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|", errors="surrogateescape") as archive:
        for member in archive:
            try:
                *folders, name = parts_of(member.name)
                at = opened(top, folders, make=True)
                try:
                    place(archive, member, at, name)
                finally:
                    os.close(at)
                done += 1
            except (OSError, ValueError) as error:
                refused.append([member.name, str(error)[:200]])
                if getattr(error, "errno", 0) == 28:  # ENOSPC: nothing that follows has room
                    break
    # what stands in the pipe is read, or the sender would never come to its end
    while sys.stdin.buffer.read(1 << 20):
        pass
    print(json.dumps({"done": done, "refused": refused}))


def place(archive: tarfile.TarFile, member: tarfile.TarInfo, at: int, name: str) -> None:
    """One member of the archive, in the directory of the descriptor ``at``."""
    if member.isdir():
        if not is_folder(at, name):
            clear(at, name)
            os.mkdir(name, dir_fd=at)
        folder = os.open(name, _FOLDER, dir_fd=at)
        try:
            os.fchmod(folder, member.mode & 0o777 | 0o700)
        finally:
            os.close(folder)
    elif member.issym():
        clear(at, name)
        os.symlink(member.linkname, name, dir_fd=at)
    elif member.isreg():
        part = hashlib.sha256(os.fsencode(name)).hexdigest()[:32] + PART  # a name may have 255 bytes already
        clear(at, part)
        try:
            _write(archive, member, at, part)
            if is_folder(at, name):
                os.rmdir(name, dir_fd=at)
            os.replace(part, name, src_dir_fd=at, dst_dir_fd=at)
        except OSError:
            clear(at, part)
            raise
    else:
        raise ValueError("neither file, directory nor link")


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, at: int, part: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(part, flags, 0o600, dir_fd=at), "wb") as written:
        source = archive.extractfile(member)
        assert source is not None  # noqa: S101 - it is a regular file
        while chunk := source.read(1 << 20):
            written.write(chunk)
        written.flush()
        os.fchmod(written.fileno(), member.mode & 0o777)
        moment = int(member.pax_headers.get(MARK, int(member.mtime) * 10**9))
        os.utime(written.fileno(), ns=(moment, moment))
        os.fsync(written.fileno())


def is_folder(at: int, name: str) -> bool:
    """Whether a name is a directory, and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(name, dir_fd=at).st_mode)
    except OSError:
        return False


def clear(at: int, name: str) -> None:
    """Takes away whatever has a name; a directory only if it is empty."""
    if is_folder(at, name):
        os.rmdir(name, dir_fd=at)
        return
    try:
        os.unlink(name, dir_fd=at)
    except FileNotFoundError:
        return


def remove(top: int) -> None:
    """Removes the paths that standard input names; a directory only if it is empty."""
    done, refused = 0, list[list[str]]()
    for path in json.load(sys.stdin):
        try:
            *folders, name = parts_of(path)
            at = opened(top, folders)
            try:
                clear(at, name)
            finally:
                os.close(at)
            done += 1
        except (OSError, ValueError) as error:
            refused.append([path, str(error)[:200]])
    print(json.dumps({"done": done, "refused": refused}))


def main(words: list[str]) -> None:
    """``list``, ``digest``, ``receive`` or ``remove``, the directory of a home, and the folder of it that is meant."""
    what, mount, *inner = words
    home = os.open(mount, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    top = opened(home, parts_of(inner[0]) if inner and inner[0] else [], make=True)
    {"list": listing, "digest": digests, "receive": receive, "remove": remove}[what](top)


if __name__ == "__main__":
    main(sys.argv[1:])
