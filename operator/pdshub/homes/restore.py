"""One file of a checkpoint, put back beside what is there now.

Both trees are a user's: names and links in them are theirs, and servers may run meanwhile. So no link is followed on
either side, nothing that is there is replaced, and the copy has its name only once it is whole.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat

from pdshub.homes.errors import ArgumentError, MissingError, TakenError
from pdshub.node.mount import syscalls


def split(path: str) -> tuple[str, str]:
    """Folder and name of a relative path. Raises ArgumentError for what could lead elsewhere."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or not parts or ".." in parts or "\0" in path:
        raise ArgumentError(f"{path!r} is no path of a file in a home")
    return "/".join(parts[:-1]), parts[-1]


def beside(name: str, mark: str) -> str:
    """What a file is called that comes back: notes.ipynb of daily-2026-01-31 is notes.daily-2026-01-31.ipynb."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.{mark}.{suffix}" if dot and stem else f"{name}.{mark}"


def file(source: str, home: str, path: str, mark: str) -> str:
    """Copy the regular file ``path`` of the mount ``source`` into the same folder of ``home``: the new path.

    ``mark``: what its name gets. Owner, mode and time are those of the file. Raises MissingError, ArgumentError for
    what is no regular file, TakenError where the new name is in use, and OSError.
    """
    folder, name = split(path)
    new = beside(name, mark)
    try:
        with syscalls.opened(source, folder) as there, syscalls.opened(home, folder) as here:
            _copy(there, name, here, new)
    except FileNotFoundError as error:
        raise MissingError(f"{path}: the file, or the folder that it goes to, is not there") from error
    except FileExistsError as error:
        raise TakenError(f"{folder}/{new} is there already".lstrip("/")) from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EXDEV):
            raise ArgumentError(f"{path}: there is a link on the way") from error
        raise
    return f"{folder}/{new}".lstrip("/")


def _copy(there: int, name: str, here: int, new: str) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(name, flags, dir_fd=there)
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)  # or the checkpoint could not be unmounted
        raise ArgumentError(f"{name} is no regular file")
    with os.fdopen(descriptor, "rb") as old:
        # without a name until it is whole: open(2), O_TMPFILE
        made = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=here)
        with os.fdopen(made, "wb") as copy:
            shutil.copyfileobj(old, copy)
            copy.flush()
            os.fchown(made, about.st_uid, about.st_gid)
            os.fchmod(made, about.st_mode & 0o777)
            os.utime(made, ns=(about.st_atime_ns, about.st_mtime_ns))
            os.fsync(made)
            os.link(f"/proc/self/fd/{made}", new, dst_dir_fd=here, follow_symlinks=True)
