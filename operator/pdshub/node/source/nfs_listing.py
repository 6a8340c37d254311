"""A directory of an NFS server, whole or not at all.

The listing is taken page by page: only the page that the server calls the last one ends it. An iterator of nfs-rs
0.8.7 ends without an error when its client is closed meanwhile, which looks like a directory that is empty.
"""

from __future__ import annotations

import errno
from typing import Any

import nfs_rs

from pdshub.archive import directory as archive

#: A directory that changes as often while it is read is shown as it was read last: it has no state to be shown.
TRIES = 5
#: Entries of a directory that are taken, as many as a survey reads; half a kilobyte of memory each.
MOST = 1_000_000
_DOTS = (".", "..")


def listing(client: Any, path: str) -> list[Any]:
    """The entries of `path` (nfs_rs.DirEntry), without "." and "..", as they were at one moment.

    Raises what the client raises, and OSError (EOVERFLOW) where it does not end, or not within MOST entries.
    """
    before, entries = client.stat(path), list[Any]()
    doubted = False
    for _ in range(TRIES):
        entries = _pages(client, path)
        after = client.stat(path)
        if _state(after) != _state(before):
            before = after
            continue
        if doubted or not hollow(after, entries):
            break
        doubted = True  # once more; what it means if it stays so is for the survey to say
    return entries


def hollow(directory: Any, entries: list[Any]) -> bool:
    """Whether a directory's link count tells of sub-directories where none is listed, as a survey judges it."""
    subdirs = sum(entry.info.type is nfs_rs.FileType.DIRECTORY for entry in entries)
    return archive.hollow(directory.nlink, subdirs, len(entries) - subdirs)


def _state(info: Any) -> tuple[int, int, int, int]:
    return info.fileid, info.mtime, info.ctime, info.nlink


def _pages(client: Any, path: str) -> list[Any]:
    entries: list[Any] = []
    position, restarts, hollow_pages = nfs_rs.DirectoryCookie(), 0, 0
    while True:
        try:
            page = client.scandir_page(path, position)
        except nfs_rs.NfsBadCookieError:
            restarts += 1
            if restarts >= TRIES:
                raise
            entries, position = [], nfs_rs.DirectoryCookie()  # the directory changed: from the beginning
            continue
        entries += [entry for entry in page.entries if entry.name not in _DOTS]
        if page.eof:
            return entries
        hollow_pages = 0 if page.entries else hollow_pages + 1
        if len(entries) > MOST or hollow_pages > TRIES:
            raise OSError(errno.EOVERFLOW, f"a directory of more than {MOST} entries, or without an end", path)
        position = page.next
