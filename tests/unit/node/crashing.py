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
    from pdshub.node import kernel

    def guarded(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **options: Any) -> Any:
            step(name)
            return call(*args, **options)

        return wrapper

    for name in ("mount", "umount", "attach"):
        setattr(kernel, name, guarded(name, getattr(kernel, name)))


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


async def start(module: str = "worker") -> asyncio.subprocess.Process:
    """As workers._start, and armed."""
    code = (
        f"import sys; sys.path[:0] = {[str(ROOT / 'operator'), str(ROOT)]!r};"
        "from tests.unit.node import crashing; crashing.arm();"
        f"from pdshub.node.{module} import main; main()"
    )
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-I", "-S", "-c", code, stdin=pipe, stdout=pipe)


def main() -> None:
    from pdshub.node import main as plugin
    from pdshub.node import workers

    os.environ["PDSHUB_TEST_PLUGIN"] = str(os.getpid())
    workers._start = start
    arm()
    plugin.main()


if __name__ == "__main__":
    sys.argv[0] = "pdshub-node"
    main()
