"""Trees on targets: put there, switched, taken away. Runs in the worker (worker_main.py)."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pdshub.node.mount import syscalls

DEAD = (errno.ENOTCONN, errno.ESTALE, errno.ECONNABORTED)
_TRIES, _MOMENT = 20, 0.005  # times, seconds between
MOST = 6  # mounts of one point, where the kernel can't attach beneath


def put(directory: int, point: str, *, beneath: bool = False) -> None:
    """A read-only copy of a mount, or of a directory of it, on (or beneath what is on) `point`.

    `directory`: a descriptor: nobody can put a link in its place.
    """
    copy = syscalls.clone("", directory)
    try:
        syscalls.set_attributes(copy, add=syscalls.SAFE, propagation=syscalls.MS_PRIVATE)
        syscalls.attach(copy, point, beneath=beneath)
    finally:
        os.close(copy)


@contextmanager
def place(target: str, at: str, root: str) -> Iterator[str]:
    """A path for the mount point `at` of a target. A tree may lie over the point while it is prepared, or cleared
    away, below: the point's directory is then found by its handle, taken from the root, which nothing covers."""
    above, _, name = at.rpartition("/")
    if not above:
        yield f"{target}/{name}"
        return
    directory = syscalls.open_covered(target, f"{root}/{above}")
    try:
        yield f"/proc/self/fd/{directory}/{name}"
    finally:
        os.close(directory)


def attach(origin: str, target: str, at: str, root: str, sub: str = "") -> None:
    """Put a read-only copy of the mount at `origin`, or of its directory `sub`, on the mount point `at` of a target.
    `root`: see `place`.

    Raises OSError; ELOOP where a link is on the way to `sub`, which is a path of an image.
    """
    with syscalls.opened(origin, sub) as directory, place(target, at, root) as point:
        put(directory, point)


def switch(origin: str, points: list[tuple[str, str, int]], root: str, lazy: bool = False, sub: str = "") -> list[str]:
    """New content for all points (target, at, mounts there now): for each "switched", "held" while somebody still
    uses the old one (it stays on top), or what went wrong. `lazy`: nobody is waited for. `origin`, `sub`: as for
    `attach`."""
    results: list[str] = []
    try:
        with syscalls.opened(origin, sub) as directory:
            for target, at, depth in points:
                try:
                    with place(target, at, root) as point:
                        results.append(_slide(directory, point, 1 if lazy else depth))
                except OSError as error:
                    results.append(_words(error, target, at))
    except OSError as error:
        return [_words(error, target, at) for target, at, _ in points]
    places = [(target, at) for target, at, _ in points]
    if not lazy:
        return _take_all(places, root, results)
    slid = [n for n, result in enumerate(results) if result == "held"]
    for n, result in zip(slid, detach([places[n] for n in slid], root, lazy=True), strict=True):
        results[n] = result
    return results


def detach(points: list[tuple[str, str]], root: str, lazy: bool) -> list[str]:
    """Take the topmost mounts away; results as those of `switch`."""
    if not lazy:
        return _take_all(points, root, ["held"] * len(points))
    results = []
    for target, at in points:
        try:
            with place(target, at, root) as point:
                syscalls.umount(point, lazy=True)
            results.append("switched")
        except OSError as error:
            results.append(_words(error, target, at))
    return results


def _words(error: OSError, target: str, at: str) -> str:
    return f"{error.strerror or error} ({target}/{at})"


def _take_all(points: list[tuple[str, str]], root: str, results: list[str]) -> list[str]:
    """Those of `points` whose result is "held". A moment's use (an open) is waited out, for all of them together."""
    for turn in range(_TRIES):
        waiting = [n for n, result in enumerate(results) if result == "held"]
        if not waiting:
            break
        if turn:
            time.sleep(_MOMENT)
        for n in waiting:
            try:
                with place(*points[n], root) as point:
                    results[n] = _take(point)
            except OSError as error:
                results[n] = _words(error, *points[n])
    return results


def _slide(origin: int, point: str, depth: int) -> str:
    """While an earlier switch is still held, another would slide its content between the two, and the one that was
    to come would stay below for good: that one comes first, the newest after it."""
    if depth > 1 and syscalls.attaches_beneath():
        return "held"
    try:
        put(origin, point, beneath=True)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ESTALE, errno.ENOTCONN):
            raise
        return _switch_on_top(origin, point, depth, dead=error.errno in DEAD)
    return "held"


def _switch_on_top(origin: int, point: str, depth: int, *, dead: bool) -> str:
    """Before Linux 6.5: put the new one on top; the old ones below stay until the pod ends, a few at most.

    When they are too many the lowest stays, and is what is seen for an instant: the point is never empty.
    """
    gone = depth if dead or is_dead(point) else depth - 1 if depth >= MOST else 0
    for _ in range(gone):
        syscalls.umount(point, lazy=True)
    put(origin, point)
    return "switched"


def is_dead(point: str) -> bool:
    """A mount whose server process is gone (the user-space helper was restarted) answers nothing but errors."""
    try:
        next(Path(point).iterdir(), None)
    except OSError as error:
        return error.errno in DEAD
    return False


def _take(point: str) -> str:
    """Take the topmost mount away: "switched", or "held" if somebody works in it."""
    try:
        syscalls.umount(point)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        if not is_dead(point):
            return "held"
        syscalls.umount(point, lazy=True)
    return "switched"
