"""What is in a home: counted, and tried whether it can be read. ``kubectl pdshub homes move`` runs it in a pod.

The pod is given the text of this module, of home_copy and of home_compare, and nothing else of the project. No link is
followed: every name is opened within a folder that is open.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import time

SHOWN, TOLD_SECONDS = 50, 10.0
ATTRIBUTES = ("user.", "system.posix_acl_")
"""How names of attributes begin that their owner may write."""
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class Tally:
    """What was found. Names are the first ones; counts are of all."""

    def __init__(self) -> None:
        self.told = time.monotonic()
        self.counts = {"entries": 0, "files": 0, "bytes": 0, "used": 0, "sockets": 0, "problems": 0, "owners": 0}
        self.problems: list[list[str]] = []
        self.owners: list[list[str]] = []
        self.seen: set[tuple[int, int]] = set()
        self.mine = {os.getegid(), *os.getgroups()}

    def problem(self, path: str, why: str | None) -> None:
        """Something can not be done as it should."""
        self.counts["problems"] += 1
        if len(self.problems) < SHOWN:
            self.problems.append([path, why or "it failed"])

    def add(self, path: str, found: os.stat_result) -> None:
        """Count an entry; what a file of several names takes counts once."""
        self.counts["entries"] += 1
        once = found.st_nlink == 1 or stat.S_ISDIR(found.st_mode) or (found.st_dev, found.st_ino) not in self.seen
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            self.seen.add((found.st_dev, found.st_ino))
        if stat.S_ISREG(found.st_mode):
            self.counts["files"] += 1
            self.counts["bytes"] += found.st_size if once else 0
        self.counts["used"] += found.st_blocks * 512 if once else 0
        if os.geteuid() and (found.st_uid != os.geteuid() or found.st_gid not in self.mine):
            self.counts["owners"] += 1
            if len(self.owners) < SHOWN:
                self.owners.append([path, f"{found.st_uid}:{found.st_gid}"])

    def answer(self) -> dict[str, object]:
        """The same for who asked."""
        return {**self.counts, "problemNames": self.problems, "ownerNames": self.owners}

    def say(self, doing: str) -> None:
        """A line of how far it is, every few seconds."""
        if time.monotonic() - self.told > TOLD_SECONDS:
            self.told = time.monotonic()
            sys.stdout.write(json.dumps({"doing": doing, **self.counts}) + "\n")
            sys.stdout.flush()


def names(folder: int, path: str) -> list[str]:
    """Names in a folder; the file system's own folder at the top is none of the user's."""
    found = sorted(os.listdir(folder))
    if not path and "lost+found" in found and os.stat("lost+found", dir_fd=folder, follow_symlinks=False).st_uid == 0:
        found.remove("lost+found")
    return found


def look(folder: int, path: str, tally: Tally) -> None:
    """Count everything below a folder, and try whether it can be read."""
    for name in names(folder, path):
        below = f"{path}/{name}" if path else name
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            tally.add(below, found)
            tally.say("looking")
            if stat.S_ISDIR(found.st_mode):
                inside = os.open(name, FOLDER, dir_fd=folder)
                try:
                    look(inside, below, tally)
                finally:
                    os.close(inside)
            elif stat.S_ISREG(found.st_mode):
                os.close(os.open(name, FILE, dir_fd=folder))
            elif stat.S_ISSOCK(found.st_mode):
                tally.counts["sockets"] += 1
            elif not (stat.S_ISLNK(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
                tally.problem(below, "a device")
        except FileNotFoundError:
            continue  # a server may be running
        except OSError as error:
            tally.problem(below, error.strerror)


def attributes(where: int) -> dict[str, bytes]:
    """The attributes of something that is open which their owner may write."""
    try:
        found = [name for name in os.listxattr(where) if name.startswith(ATTRIBUTES)]
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM):
            return {}
        raise
    return {name: os.getxattr(where, name) for name in sorted(found)}
