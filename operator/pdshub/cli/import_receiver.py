"""What runs beside a home of the new hub: it lists, takes in, removes and compares files. Standard library alone.

Its text is handed to ``python3 -c`` in a pod that has the home's claim and nothing else. Each answer is one line of
JSON on standard output, or one for each file.
"""
# ruff: noqa: PTH - names as bytes of the file system, looked at without following links

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


def walk(top: str) -> Iterator[tuple[str, os.stat_result]]:
    """Path below ``top`` and status of everything there."""
    folders = [""]
    while folders:
        folder = folders.pop()
        for name in sorted(os.listdir(os.path.join(top, folder)), reverse=True):
            path = os.path.join(folder, name)
            try:
                status = os.lstat(os.path.join(top, path))
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode):
                folders.append(path)
            yield path, status


def listing(top: str) -> None:
    """Prints what there is: path, kind, size, time, mode and target of each. What was begun and not ended goes."""
    kinds = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l"}
    for path, status in walk(top):
        kind = kinds.get(stat.S_IFMT(status.st_mode), "o")
        if kind == "f" and path.endswith(PART):
            os.unlink(os.path.join(top, path))
            continue
        target = os.readlink(os.path.join(top, path)) if kind == "l" else ""
        mode = stat.S_IMODE(status.st_mode) & 0o777
        print(json.dumps([path, kind, status.st_size if kind == "f" else 0, status.st_mtime_ns, mode, target]))


def digests(top: str) -> None:
    """Prints the SHA-256 of each file, and of the target of each link."""
    for path, status in walk(top):
        full = os.path.join(top, path)
        if stat.S_ISLNK(status.st_mode):
            print(json.dumps([path, hashlib.sha256(os.fsencode(os.readlink(full))).hexdigest()]))
        elif stat.S_ISREG(status.st_mode):
            with open(full, "rb") as opened:
                print(json.dumps([path, hashlib.file_digest(opened, "sha256").hexdigest()]))


def safe(top: str, path: str) -> str:
    """Where a path of the archive leads: below ``top``, through directories that are none of links. Else ValueError."""
    parts = path.split("/")
    if path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise ValueError(path)
    at = top
    for part in parts[:-1]:
        at = os.path.join(at, part)
        if not os.path.isdir(at) or os.path.islink(at):
            if os.path.lexists(at):
                raise ValueError(path)
            os.mkdir(at, 0o700)
    return os.path.join(at, parts[-1])


def receive(top: str) -> None:
    """Takes an archive from standard input. A file gets its name once it is whole."""
    done, refused = 0, list[list[str]]()
    os.makedirs(top, exist_ok=True)
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|", errors="surrogateescape") as archive:
        for member in archive:
            try:
                place(archive, member, safe(top, member.name))
                done += 1
            except (OSError, ValueError) as error:
                refused.append([member.name, str(error)[:200]])
                if getattr(error, "errno", 0) == 28:  # ENOSPC: nothing that follows has room
                    break
    # what stands in the pipe is read, or the sender would never come to its end
    while sys.stdin.buffer.read(1 << 20):
        pass
    print(json.dumps({"done": done, "refused": refused}))


def place(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    """One member of the archive at its place."""
    if member.isdir():
        if not os.path.isdir(path) or os.path.islink(path):
            clear(path)
            os.mkdir(path)
        os.chmod(path, member.mode | 0o700)
    elif member.issym():
        clear(path)
        os.symlink(member.linkname, path)
    elif member.isreg():
        part = path + PART
        clear(part)
        with open(part, "xb") as written:
            source = archive.extractfile(member)
            assert source is not None  # noqa: S101 - it is a regular file
            while chunk := source.read(1 << 20):
                written.write(chunk)
            written.flush()
            os.fsync(written.fileno())
        os.chmod(part, member.mode & 0o777)
        moment = int(member.pax_headers.get(MARK, int(member.mtime) * 10**9))
        os.utime(part, ns=(moment, moment))
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        os.replace(part, path)
    else:
        raise ValueError("neither file, directory nor link")


def clear(path: str) -> None:
    """Takes away a file, a link or an empty directory."""
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    elif os.path.isdir(path):
        os.rmdir(path)


def remove(top: str) -> None:
    """Removes the paths that standard input names; a directory only if it is empty."""
    done, refused = 0, list[list[str]]()
    for path in json.load(sys.stdin):
        try:
            clear(safe(top, path))
            done += 1
        except (OSError, ValueError) as error:
            refused.append([path, str(error)[:200]])
    print(json.dumps({"done": done, "refused": refused}))


def main(words: list[str]) -> None:
    """``list``, ``digest``, ``receive`` or ``remove``, and the directory."""
    what, top = words
    os.makedirs(top, exist_ok=True)
    {"list": listing, "digest": digests, "receive": receive, "remove": remove}[what](top)


if __name__ == "__main__":
    main(sys.argv[1:])
