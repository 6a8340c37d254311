"""The home that something is restored into: a folder aside in it, and the moves from there to the place.

What is restored is written into ``STAGE`` first, a folder of the home itself, and moved to its place whole, by rename.
So until then nothing that the user has was touched, and a Job that is killed leaves what is in ``STAGE``. Before the
first move a note says what is going to be moved; the next Job, for this or another restore, finds the note and goes on
with the moves (``resume``). Without a note, what lies in ``STAGE`` is half written and goes.

Nothing is ever replaced by a rename: a name that is taken gets a number (``restored-2026-01-31-2``), and what a restore
in place replaces is moved to ``replaced-<now>`` first.

The user may be at work here, with the same uid, and may do anything to ``STAGE``, the note included. All of it is
opened below the home's descriptor and through no link, and the note is checked like any text from outside: whoever
changes it moves their own files within their own home.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import posixpath
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from pdshub.api.base import Model, RelativePath
from pdshub.archive.beneath import open_below
from pdshub.backup.unpack import at, parent
from pdshub.backup.verdict import Failed

STAGE = ".pdshub-restore"
NEW = "new"
NOTE = "note.json"
REPLACED = re.compile(r"replaced-\d{4}-\d\d-\d\d-\d{6}(-\d{1,3})?")
UNPLACED = "restored-unplaced"
"""Where a restore is that could not be moved to its place."""
LEFT = (STAGE, "lost+found")
"""What a restore of the whole home leaves where it is."""
TRIES = 999
"""Names that are tried."""
_NOREPLACE = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Unplaced(Exception):
    """What was restored could not be moved to its place, and is elsewhere."""

    def __init__(self, error: OSError, place: str, replaced: str) -> None:
        super().__init__(str(error))
        self.error, self.place, self.replaced = error, place, replaced


class Note(Model):
    """What is going to be moved."""

    run: Annotated[str, Field(max_length=253)]
    path: RelativePath
    in_place: bool
    place: RelativePath
    """Where it goes; another one, when that is taken by then."""
    replaced: Annotated[str, Field(pattern=f"^({REPLACED.pattern})?$")] = ""
    name: Annotated[str, Field(pattern=r"^[^/\x00]*$", max_length=255)] = ""
    """What was restored is new/NAME; '': new itself."""
    emptied: bool = False
    """Of a restore of the whole home: what was there has been moved."""
    files: int = 0
    size: int = 0


@contextmanager
def writable(folder: int, name: str) -> Iterator[None]:
    """Give the owner all rights to a folder for a while. Raises OSError where it is none."""
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        Path(at(descriptor)).chmod(mode | 0o700)
        try:
            yield
        finally:
            Path(at(descriptor)).chmod(mode)
    finally:
        os.close(descriptor)


def rename(old: int, name: str, new: int, to: str, *, _forced: bool = False) -> None:
    """Move something from one open folder to another, where nothing has its name. Raises OSError: FileExistsError.

    Source: renameat2(2), RENAME_NOREPLACE. A file system without it (NFS) is asked before.
    """
    done = _libc.renameat2(old, os.fsencode(name), new, os.fsencode(to), _NOREPLACE)
    if done == 0:
        return
    number = ctypes.get_errno()
    if number == errno.EACCES and not _forced:
        # a folder that its owner may not write to cannot get another parent
        with suppress(NotADirectoryError), writable(old, name):
            rename(old, name, new, to, _forced=True)
            return
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number), to)
    with suppress(FileNotFoundError):
        os.stat(to, dir_fd=new, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), to)
    os.rename(name, to, src_dir_fd=old, dst_dir_fd=new)


def names(base: str) -> Iterator[str]:
    """A name, and the same with numbers."""
    yield base
    for number in range(2, TRIES):
        yield f"{base}-{number}"


class Home:
    """A home, held open."""

    def __init__(self, path: str) -> None:
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Failed("BadRequest", f"nothing is mounted to restore into: {error.strerror}") from None

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)

    def alone(self) -> None:
        """From now on no other restore works here; what two of them lay aside in one place would be neither's. Raises
        Failed(Locked). Where the file system has no such locks, the operator's order of restores is all there is."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(
                "Locked", "something else is being restored into this home, or a program has it locked"
            ) from None
        except OSError:
            return

    def free(self) -> int:
        """Bytes that its file system has left for this user."""
        found = os.fstatvfs(self.descriptor)
        return found.f_bavail * found.f_frsize

    # --- what lies aside

    def prepare(self, name: str) -> int:
        """An empty ``STAGE``, and in it the open folder that is unpacked into; with a name the thing will be
        new/NAME."""
        self.discard()
        os.mkdir(STAGE, 0o700, dir_fd=self.descriptor)
        self._mkdir(f"{STAGE}/{NEW}")
        if name:
            self._mkdir(f"{STAGE}/{NEW}/{name}")
        return open_below(at(self.descriptor), f"{STAGE}/{NEW}", os.O_RDONLY | os.O_DIRECTORY)

    def discard(self) -> None:
        """Take ``STAGE`` away, whatever it is."""
        try:
            status = os.stat(STAGE, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(status.st_mode):
            self._remove()
        else:
            os.unlink(STAGE, dir_fd=self.descriptor)

    def _remove(self) -> None:
        def again(function: Callable[..., object], path: str, info: object) -> None:
            """A folder without permissions: what was restored may have such."""

        for _ in range(2):
            shutil.rmtree(STAGE, dir_fd=self.descriptor, onerror=again)
            if not self.has(STAGE):
                return
            self._open_up(STAGE)
        shutil.rmtree(STAGE, dir_fd=self.descriptor)

    def _open_up(self, top: str) -> None:
        waiting = [top]
        while waiting:
            path = waiting.pop()
            with suppress(OSError):
                held = open_below(at(self.descriptor), path, os.O_PATH | os.O_DIRECTORY)
                try:
                    Path(at(held)).chmod(0o700)
                finally:
                    os.close(held)
                descriptor = open_below(at(self.descriptor), path, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    with os.scandir(descriptor) as entries:
                        waiting += [f"{path}/{e.name}" for e in entries if e.is_dir(follow_symlinks=False)]
                finally:
                    os.close(descriptor)

    # --- the note

    def write_note(self, note: Note) -> None:
        """Say what is going to be moved, so that it outlives this process and the machine. Raises OSError."""
        with parent(self.descriptor, f"{STAGE}/{NOTE}") as (folder, name):
            part = f"{name}.part"
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600, dir_fd=folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(json.dumps(note.wire()).encode())
                file.flush()
                os.fsync(file.fileno())
            os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(self.descriptor)

    def read_note(self) -> Note | None:
        """The note; None when there is none, or one that makes no sense."""
        try:
            descriptor = open_below(at(self.descriptor), f"{STAGE}/{NOTE}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                return Note.model_validate_json(file.read(65536))
        except (OSError, ValidationError, ValueError):
            return None

    # --- moves

    def has(self, path: str) -> bool:
        """Whether something has this name, a link as well."""
        try:
            with parent(self.descriptor, path) as (folder, name):
                os.stat(name, dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _mkdir(self, path: str) -> None:
        with parent(self.descriptor, path) as (folder, name), suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=folder)

    def _mkdirs(self, path: str) -> None:
        parts = [p for p in path.split("/") if p not in ("", ".")]
        for n in range(1, len(parts) + 1):
            self._mkdir("/".join(parts[:n]))

    def _move(self, source: str, to: str) -> str:
        """Move to a place, or with a number behind it where that is taken; its name then. Raises OSError."""
        with parent(self.descriptor, source) as (old, name), parent(self.descriptor, to) as (new, base):
            for free in names(base):
                try:
                    rename(old, name, new, free)
                except FileExistsError:
                    continue
                return posixpath.join(posixpath.dirname(to), free)
        raise Failed("Failed", f"there are {TRIES} of {to}: take some away")

    def aside(self, path: str, replaced: str) -> None:
        """Move what is at a place into the folder for what was replaced, under the same path there."""
        if self.has(path):
            self._mkdirs(posixpath.dirname(f"{replaced}/{path}"))
            self._move(path, f"{replaced}/{path}")

    def finish(self, note: Note) -> Note:
        """Do the moves that a note says, from wherever they stopped; the note as it became true. Raises Unplaced."""
        try:
            return self._finish(note)
        except OSError as error:
            replaced = note.replaced if note.replaced and self.has(note.replaced) else ""
            raise Unplaced(error, self.rescue(), replaced) from None

    def rescue(self) -> str:
        """Give what was restored a name of its own at the top, where it is found; '' when nothing is left of it."""
        if not self.has(f"{STAGE}/{NEW}"):
            return ""
        place = self._move(f"{STAGE}/{NEW}", UNPLACED)
        self.discard()
        return place

    def _finish(self, note: Note) -> Note:
        new = f"{STAGE}/{NEW}"
        if note.in_place and note.path == ".":
            note = self._whole(note, new)
        elif self.has(thing := f"{new}/{note.name}" if note.in_place else new):
            self._mkdirs(posixpath.dirname(note.place))
            if note.in_place:
                self.aside(note.place, note.replaced)
            note = note.model_copy(update={"place": self._move(thing, note.place)})
        os.fsync(self.descriptor)
        with suppress(OSError):  # the next restore takes away what is left of it
            self.discard()
        return note

    def _whole(self, note: Note, new: str) -> Note:
        if not note.emptied:
            for name in self._list("."):
                if name not in LEFT and name != note.replaced:
                    self._mkdirs(note.replaced)
                    with suppress(PermissionError):  # somebody else's: it stays, and what comes gets a number
                        self._move(name, f"{note.replaced}/{name}")
            note = note.model_copy(update={"emptied": True})
            self.write_note(note)
        if self.has(new):
            for name in self._list(new):
                if name in LEFT:  # of a snapshot that was made while somebody restored
                    continue
                if name != note.replaced:
                    with suppress(PermissionError):
                        self.aside(name, note.replaced)
                self._move(f"{new}/{name}", name)
        return note

    def _list(self, path: str) -> list[str]:
        descriptor = open_below(at(self.descriptor), path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return sorted(os.listdir(descriptor))  # noqa: PTH208 a descriptor is no path
        finally:
            os.close(descriptor)

    def resume(self) -> Note | None:
        """Go on with what a killed Job began to move; None when it had not come to that, and what it left is taken
        away. Raises OSError; Unplaced, and the next one has nothing to go on with."""
        note = self.read_note()
        if note is None:
            self.discard()
            return None
        return self.finish(note)
