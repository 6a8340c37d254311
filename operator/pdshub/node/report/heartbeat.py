"""The plugin's health in a file, which the kubelet's probe looks at: no process with rights listens for it.

The probe (charts/pdshub, node.yaml) wants a file that is not old and begins with OK.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from pdshub.files import write_text
from pdshub.node.reconcile.reconciler import Reconciler

log = logging.getLogger(__name__)

FILE = "health"
"""Below the plugin's --run-dir."""
OK = "ok"
EVERY = 5.0
"""Seconds between two beats; the probe allows 30."""
STUCK_SECONDS = 90
"""A loop without a whole turn for so long is stuck: a turn takes milliseconds, its longest step 20 s."""


async def said(reconciler: Reconciler, answers: Callable[[], Awaitable[bool]]) -> str:
    """What is in the file: OK in front, or why a restart is wanted.

    Anything else is what makes the kubelet start the plugin anew, so it is for what that may cure: a loop that does not
    come to the end of a turn, a socket that does not answer. A view at which the plugin fails would fail again, and the
    others would lose their plugin for it: that is said behind OK, in the view's status and in metrics.
    """
    idle = time.monotonic() - reconciler.last_turn
    if idle > STUCK_SECONDS:
        return f"no whole reconcile turn for {idle:.0f} s"
    if not await answers():
        return "the CSI socket does not answer"
    failing = reconciler.failing.message
    return f"{OK}, but failing: {failing}" if failing else OK


async def beat(path: Path, said: Callable[[], Awaitable[str]]) -> None:
    """Write what is said into the file, for ever. What a process of before has left says nothing of this one."""
    await asyncio.to_thread(path.unlink, missing_ok=True)
    while True:
        try:
            write_text(path, await said() + "\n", durable=False)
        except OSError as error:
            log.warning("%s: %s", path, error)
        await asyncio.sleep(EVERY)
