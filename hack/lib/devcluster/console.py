"""What the user sees: one line per event, with the seconds since the command began."""

from __future__ import annotations

import sys
import threading
import time

_started = time.monotonic()
_lock = threading.Lock()


def elapsed() -> float:
    """Seconds since the command began."""
    return time.monotonic() - _started


def say(text: str) -> None:
    """Print ``text`` behind the elapsed seconds."""
    with _lock:
        print(f"{elapsed():5.0f}s  {text}", flush=True)


def complain(text: str) -> None:
    """Print ``text`` to standard error."""
    with _lock:
        sys.stdout.flush()
        print(text, file=sys.stderr, flush=True)
