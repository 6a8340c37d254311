"""One operation on a real disk, in a process that kills itself after so many changes of the disk."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pdshub.homes import command, files, images, loop, names
from pdshub.homes.files import FileBackend
from pdshub.homes.locks import Locks
from pdshub.homes.operations import Homes
from pdshub.homes.policy import Limits

SIZE = 320 << 20


def _counted(step: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wraps what changes the disk: the process ends before the change number ``step`` (from 0)."""
    done = [0]

    def wrap(change: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **more: Any) -> Any:
            if done[0] == step:
                os.kill(os.getpid(), signal.SIGKILL)
            done[0] += 1
            return change(*args, **more)

        return counted

    return wrap


def run(pool: Path, kubelet: Path, what: str, step: int) -> None:
    """``what``: operation:name."""
    operation, _, name = what.partition(":")
    volume = names.volume_id(name)
    homes = Homes(FileBackend(pool), Locks(pool / "locks"), Limits(overcommit=10), kubelet)
    wrap = _counted(step)
    # every way in which the backend changes something
    for module, function in (
        (os, "truncate"),
        (os, "ftruncate"),
        (images, "copy"),
        (files, "write_json"),
        (files, "sync"),
        (loop, "refresh"),
        (command.subprocess, "run"),
    ):
        setattr(module, function, wrap(getattr(module, function)))
    for method in ("replace", "unlink", "touch"):
        setattr(Path, method, wrap(getattr(Path, method)))
    calls: dict[str, Callable[[], Any]] = {
        "create": lambda: homes.create(name, SIZE, 0),
        "grow": lambda: homes.grow(volume, 2 * SIZE),
        "checkpoint": lambda: homes.checkpoint(volume, name),
        "delete": lambda: homes.delete(volume),
        "drop": lambda: homes.drop(names.checkpoint_id(volume, name)),
    }
    calls[operation]()
