"""The node plugin, killed before its N-th change of the mount table: run instead of pdshub.node.main.

While the file `armed` (in $PDSHUB_TEST_CRASH) holds a number, every change, by the plugin or one of its workers, adds
a line to `calls` there; before the change with that number both are killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


def arm() -> None:
    from pdshub.node.mount import syscalls

    def guarded(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **options: Any) -> Any:
            step(name)
            return call(*args, **options)

        return wrapper

    for name in ("mount", "umount", "attach"):
        setattr(syscalls, name, guarded(name, getattr(syscalls, name)))


def step(name: str) -> None:
    place = Path(os.environ["PDSHUB_TEST_CRASH"])
    try:
        number = int((place / "armed").read_text())
    except (OSError, ValueError):
        return
    with (place / "calls").open("a") as calls:
        calls.write(f"{name}\n")
    if len((place / "calls").read_text().splitlines()) == number:
        (place / "armed").unlink()
        os.kill(int(os.environ["PDSHUB_TEST_PLUGIN"]), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def armed(start: Callable[..., Any]) -> Callable[..., Any]:
    """asyncio.create_subprocess_exec for workers that are armed, too."""

    async def wrapper(*words: str, **options: Any) -> Any:
        arming = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.unit.node import crashing; crashing.arm(); "
        )
        changed = [w.replace("from pdshub.node", arming + "from pdshub.node", 1) for w in words]
        return await start(*changed, **options)

    return wrapper


def main() -> None:
    from pdshub.node import main as plugin

    os.environ["PDSHUB_TEST_PLUGIN"] = str(os.getpid())
    asyncio.create_subprocess_exec = armed(asyncio.create_subprocess_exec)
    arm()
    plugin.main()


if __name__ == "__main__":
    sys.argv[0] = "pdshub-node"
    main()
