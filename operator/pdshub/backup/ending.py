"""When the Job ends: by its deadline, by SIGTERM, and how restic is ended in order then.

restic removes its lock on SIGINT, if it is given a moment. So it is interrupted first, and its process group is killed
only after ``GRACE``. A pod has 30 s from SIGTERM to SIGKILL (Kubernetes, terminationGracePeriodSeconds), so the moment
is shorter than that.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from subprocess import Popen
from typing import Any

from pdshub.backup.verdict import Failed

GRACE = 20.0
"""Seconds from the interrupt to the kill."""
LATE = "the Job's deadline came before it was done; the next run goes on"
TOLD = "the Job was told to end before it was done; the next run goes on"


class Ending:
    """The end of this Job: a moment, or whenever it is told to."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic, grace: float = GRACE) -> None:
        self._clock, self._end, self._grace = clock, clock() + seconds, grace
        self._told = False
        self._process: Popen[bytes] | None = None

    @property
    def left(self) -> float:
        """Seconds until the deadline; 0 when it is over or the Job was told to end."""
        return 0.0 if self._told else max(0.0, self._end - self._clock())

    @property
    def over(self) -> bool:
        """Whether nothing new may begin."""
        return self.left <= 0

    def check(self) -> None:
        """Raises Failed(Deadline) when it is over. Whoever works for long in this process asks now and then."""
        if self.over:
            raise Failed("Deadline", TOLD if self._told else LATE)

    def wait(self, seconds: float) -> None:
        """Do nothing for a while. Raises Failed(Deadline) as soon as it is over."""
        end = self._clock() + seconds
        self.check()
        while (left := end - self._clock()) > 0:
            time.sleep(min(1.0, left))
            self.check()

    def tell(self, *_: Any) -> None:
        """End now: what SIGTERM does."""
        self._told = True
        process = self._process
        if process is not None:
            self.interrupt(process)

    def listen(self) -> None:
        """SIGTERM and SIGINT tell it. SIGHUP is ignored: restic sends it to the pid that an old lock names, to learn
        whether that lives, and in a new pod this may be this program's."""
        signal.signal(signal.SIGTERM, self.tell)
        signal.signal(signal.SIGINT, self.tell)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    @contextmanager
    def bounds(self, process: Popen[bytes], seconds: float | None = None) -> Iterator[Callable[[], bool]]:
        """While it is open the process is ended by the deadline, or after ``seconds``. Gives whether ``seconds`` were
        what ended it."""
        own = self._end - self._clock() if seconds is None else min(seconds, self._end - self._clock())
        short = threading.Event()

        def late() -> None:
            if seconds is not None and not self.over:
                short.set()
            self.interrupt(process)

        timer = threading.Timer(max(0.0, own), late)
        timer.daemon = True
        self._process = process
        timer.start()
        try:
            if self._told:
                self.interrupt(process)
            yield short.is_set
        finally:
            timer.cancel()
            self._process = None

    def interrupt(self, process: Popen[bytes]) -> None:
        """Ask a process to end in order; its group is killed when it has not after a while."""
        with suppress(ProcessLookupError, PermissionError):
            if process.returncode is None:
                os.kill(process.pid, signal.SIGINT)
        timer = threading.Timer(self._grace, kill, [process])
        timer.daemon = True
        timer.start()


def kill(process: Popen[bytes]) -> None:
    """End a process that leads a group, and its group, at once. Does nothing once it was waited for."""
    with suppress(ProcessLookupError, PermissionError):
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
