"""Try to change a published view, as a user, without harming it should it let itself be changed.

Only for child processes. Every attempt asks the kernel for write access to the mount (mnt_want_write), which a
read-only mount refuses with EROFS before anything else is looked at. What would happen if it did not:

- a file, a directory and a link of an own, random name are made, and removed again;
- a file of the archive gets the times and the mode that it has already: nothing changes;
- a file of the archive is opened for writing, and nothing is written;
- what is renamed and removed is the own file, or a name that does not exist. A proof that loses a file when it
  finds a hole would be worse than the hole.
"""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pdshub.node.mount import syscalls, targets

SUCCEEDED = "succeeded"
#: What a read-only mount answers. Anything else was refused by file permissions or by chance.
REFUSED = "EROFS"
#: Opening for writing looks at the file's mode first: a mode without write permission is as good an answer.
ALSO_REFUSED = {"open": {"EACCES", "ETXTBSY"}}
UNANSWERED = tuple(errno.errorcode[number] for number in targets.DEAD)
"""What a path answers whose mount is renewed just now: nobody was asked for write access yet."""
_LOOK_AT = 200  # directory entries, for finding a file to try


def outcome(attempt: Callable[[], object]) -> str:
    """How one attempt ended: "succeeded", or the error's name."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))
    return SUCCEEDED


def refused(action: str, result: str) -> bool:
    """Whether the archive is safe from this action, by this result."""
    return result == REFUSED or result in ALSO_REFUSED.get(action, ())


def some_file(folder: str = ".", levels: int = 3) -> str:
    """A regular file's path, in a directory or near below it in the same mount; empty if there is none."""
    below = []
    with suppress(OSError), os.scandir(folder) as entries:
        # of directories alone: on an overlay files have device numbers of their own
        device = Path(folder).stat().st_dev
        for entry in itertools.islice(entries, _LOOK_AT):
            if entry.is_file(follow_symlinks=False):
                return entry.path
            if entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_dev == device:
                below.append(entry.path)
    return next(filter(None, (some_file(path, levels - 1) for path in below[:5] if levels)), "")


def attempts() -> dict[str, str]:
    """Action -> outcome, in the working directory."""
    own, renamed = (Path(f".pdshub-proof-{secrets.token_hex(8)}{end}") for end in ("", "-r"))
    theirs = some_file()
    found: dict[str, str] = {}

    def touch() -> None:
        info = Path(theirs).lstat()
        os.utime(theirs, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)

    def make_directory() -> None:
        own.mkdir(0o700)
        own.rmdir()

    def make_link() -> None:
        own.symlink_to("nowhere")
        own.unlink()

    def open_for_writing(path: str | Path, flags: int = 0) -> None:
        os.close(os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o600))

    found["mkdir"] = outcome(make_directory)
    found["symlink"] = outcome(make_link)
    found["create"] = outcome(lambda: open_for_writing(own, os.O_CREAT | os.O_EXCL))
    made = found["create"] == SUCCEEDED
    if theirs:
        found["change"] = outcome(touch)
        found["open"] = outcome(lambda: open_for_writing(theirs))
    target = own if made else Path(theirs or ".")
    found["chmod"] = outcome(lambda: target.chmod(stat.S_IMODE(target.lstat().st_mode)))
    # where nothing could be made these names are not there: a read-only mount refuses before it looks for them
    found["rename"] = outcome(lambda: own.rename(renamed))
    found["remove"] = outcome((renamed if found["rename"] == SUCCEEDED else own).unlink)
    return found


def read_only(directory: int) -> bool:
    """What the mount says of itself."""
    return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)


class InMounts:
    """All attempts in some mounts. Made as root (the kubelet's directories are root's), called as a user; closed
    soon, because an open directory keeps a mount busy."""

    def __init__(self, target: str, points: Iterable[str]) -> None:
        """`points` below `target`; one that is gone meanwhile is left out. No link on the way is followed: a mount
        of the target may lie over it. Raises OSError."""
        self._target = target
        self._open: dict[str, int] = {}
        top = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for point in points:
                with suppress(FileNotFoundError):
                    self._open[point] = syscalls.open_beneath(top, point, listed=True)
        finally:
            os.close(top)

    def __enter__(self) -> InMounts:
        """Itself; the directories are open since it was made."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the directories: an open one keeps its mount busy."""
        for directory in self._open.values():
            os.close(directory)

    def __call__(self) -> list[dict[str, Any]]:
        """For each mount: target, mount point below it, whether it says that it is read-only, and action -> outcome."""
        return [self._one(point, directory) for point, directory in self._open.items()]

    def _one(self, point: str, directory: int) -> dict[str, Any]:
        os.fchdir(directory)
        # a directory that users may not enter refuses all for that reason alone
        inside = os.access("./.", os.X_OK)
        actions = attempts() if inside else {}
        return {"target": self._target, "at": point, "readOnly": read_only(directory), "actions": actions}
