"""One NFS export as a FUSE file system, without the kernel's NFS client. A process of its own per source, without
rights (nfs_mount.py): what it reads is another machine's.

Reads come in pieces of at most 128 KiB; each open file reads ahead in larger ones when it is read in order.
The kernel's page cache is used (auto_cache: kept over opens while size and time are the same).
"""

from __future__ import annotations

import errno
import logging
import math
import os
import stat as modes
import threading
from typing import Any

import mfusepy

from pdshub.node.layout import KEPT
from pdshub.node.source.nfs_attributes import Attributes
from pdshub.node.source.nfs_client import Server, Session
from pdshub.node.source.nfs_listing import listing

log = logging.getLogger(__name__)

ATTRIBUTE_SECONDS = 3.0
#: Files and directories whose attributes are remembered: for ATTRIBUTE_SECONDS, and for catalogs (some 50 MB).
REMEMBERED, REMEMBERED_OF_CATALOGS = 20_000, 100_000
OPEN_TRIES = 5  # a file that was replaced as often while it was opened
AHEAD = 4 << 20  # bytes fetched at once for a file read in order
KINDS = {"directory": modes.S_IFDIR, "symlink": modes.S_IFLNK}


class Replaced(OSError):
    """Another file has the path now."""

    def __init__(self) -> None:
        """ESTALE, as the kernel's own client says it."""
        super().__init__(errno.ESTALE, "the file was replaced while it was open")


class OpenFile:
    """A file open on the server, opened again with another client when its own is busy or was lost.

    It is one file for as long as it is open: `fileid` is the one that its path had, and when the path has another
    the bytes come from the clients that have it open, or not at all (ESTALE).
    """

    def __init__(self, server: Server, path: str, fileid: int) -> None:
        """`path` on the server. Nothing is asked before `check` or `read`."""
        self._server, self._path, self._fileid = server, path, fileid
        self._files: dict[Session, Any] = {}
        self.info: Any = None  # nfs_rs.FileInfo, as it was when it was opened last
        self._lock = threading.Lock()
        self._start, self._ahead, self._expected = 0, b"", 0

    def _fetch(self, offset: int, size: int) -> bytes:
        def read(session: Session) -> bytes:
            file = self._files.get(session)
            if file is None:
                file = self._files[session] = self._opened(session)
            return bytes(file.read_at(offset, size))

        self._files = {session: file for session, file in self._files.items() if not session.ended}
        had = tuple(self._files)
        try:
            return self._server.call(read, had)
        except OSError as error:
            if not had or error.errno not in (errno.ESTALE, errno.ENOENT):
                raise
        return self._server.call(read, had, only=True)

    def _opened(self, session: Session) -> Any:
        file = session.client.open(self._path, "rb")
        info = session.client.stat(self._path)
        if info.fileid == self._fileid:
            self.info = info
            return file
        session.finished.append(file)
        raise Replaced

    def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset`. Raises OSError: ESTALE for a file that was replaced, EIO for a lost
        server."""
        with self._lock:
            inside = offset - self._start
            if inside >= 0 and inside + size <= len(self._ahead):
                self._expected = offset + size
                return self._ahead[inside : inside + size]
            # The kernel's own read-ahead arrives a little out of order: near is in order.
            in_order = abs(offset - self._expected) <= AHEAD // 4 and offset > 0
            data = self._fetch(offset, AHEAD if in_order else size)
            if in_order:
                self._start, self._ahead = offset, data
            self._expected = offset + size
            return data[:size]

    def check(self) -> None:
        """Open it now, so that a missing permission is said at open."""
        self._fetch(0, 0)

    def close(self) -> None:
        """Close the file on every client that has it open."""
        for session, file in self._files.items():
            self._server.pool.finish(session, file)


class ExportFileSystem(mfusepy.Operations):  # type: ignore[misc]
    """One NFS export as a FUSE file system, read-only. Methods are FUSE's operations: they raise OSError with the
    errno for the reader, and `path` is absolute below the mount."""

    use_ns = True

    def __init__(self, server: Server, export: str) -> None:
        """`export`: its path on the server."""
        self._server, self._export = server, export.strip("/")
        self._open: dict[int, OpenFile] = {}
        self._last = 0
        self._fresh, self._kept = (
            Attributes(REMEMBERED, ATTRIBUTE_SECONDS),
            Attributes(REMEMBERED_OF_CATALOGS, math.inf),
        )
        self._lock = threading.Lock()

    def _attributes(self, path: str) -> Attributes:
        return self._kept if path.startswith(f"/{KEPT}") else self._fresh

    def _path(self, path: str) -> str:
        """On the server."""
        if path.startswith(f"/{KEPT}"):
            path = f"/{path[1:].partition('/')[2]}"
        return (self._export + path).strip("/") or "."

    def _remember(self, path: str, info: Any) -> dict[str, Any]:
        found = {
            "st_mode": KINDS.get(info.type.value, modes.S_IFREG) | (info.mode & 0o777),
            "st_nlink": info.nlink, "st_uid": info.uid, "st_gid": info.gid, "st_size": info.size,
            "st_mtime": info.mtime, "st_ctime": info.ctime, "st_atime": info.atime, "st_ino": info.fileid,
            "st_blocks": (info.used + 511) // 512,
        }  # fmt: skip
        self._attributes(path).put(path, found)
        return found

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """stat(2): times in nanoseconds, sizes in bytes. Remembered for ATTRIBUTE_SECONDS, for catalogs for ever."""
        return self._attributes(path).get(path) or self._remember(path, self._asked(path))

    def _asked(self, path: str) -> Any:
        return self._server.call(lambda session: session.client.stat(self._path(path)))

    def readdir(self, path: str, fh: int) -> Any:
        """Names, each with its type and inode; the attributes of all are remembered."""
        entries = self._server.call(lambda session: listing(session.client, self._path(path)))
        result: list[Any] = [".", ".."]
        for entry in entries:
            known = self._remember(f"{path.rstrip('/')}/{entry.name}", entry.info)
            result.append((entry.name, {"st_mode": known["st_mode"], "st_ino": known["st_ino"]}, 0))
        return result

    def readlink(self, path: str) -> str:
        """The link's text."""
        return str(self._server.call(lambda session: session.client.readlink(self._path(path))))

    def open(self, path: str, flags: int) -> int:
        """A handle of the file; EROFS for any other mode than reading."""
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise mfusepy.FuseOSError(errno.EROFS)
        file = self._opened(path)
        with self._lock:
            self._last += 1
            self._open[self._last] = file
            return self._last

    def _opened(self, path: str) -> OpenFile:
        """The file that the path has now; its attributes are remembered, as the kernel asks for them at once."""
        known = self._attributes(path).last(path)
        fileid = known["st_ino"] if known else self._asked(path).fileid
        for last in (*[False] * (OPEN_TRIES - 1), True):
            file = OpenFile(self._server, self._path(path), fileid)
            try:
                file.check()
            except OSError as error:
                if error.errno != errno.ESTALE or last:
                    raise
                fileid = self._asked(path).fileid
            else:
                self._remember(path, file.info)
                break
        return file

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """At most `size` bytes from `offset` of an open file."""
        return self._open[fh].read(offset, size)

    def release(self, path: str, fh: int) -> int:
        """Forget a handle and close its file."""
        with self._lock:
            file = self._open.pop(fh)
        file.close()
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        """Always asks the server: what the node plugin's probe relies on."""
        root = self._export or "."
        self._server.call(lambda session: session.client.stat(root))
        return {"f_bsize": 1 << 20, "f_frsize": 1 << 20, "f_blocks": 1 << 20, "f_namemax": 255}


def serve(filesystem: ExportFileSystem, fuse: int) -> None:
    """Answer the kernel until the mount is gone. `fuse`: a descriptor of /dev/fuse that somebody else has mounted:
    libfuse takes it by this path (fuse_session_mount(3)), and needs no rights for it."""
    mfusepy.FUSE(
        filesystem,
        f"/dev/fd/{fuse}",
        foreground=True,
        auto_cache=True,
        use_ino=True,
        readdir_ino=True,
        attr_timeout=ATTRIBUTE_SECONDS,
        entry_timeout=ATTRIBUTE_SECONDS,
        ac_attr_timeout=0,
        negative_timeout=1,
        max_threads=16,
    )
