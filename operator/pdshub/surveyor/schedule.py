"""When to survey and which unchanged directories to read again. Pure; times are seconds since 1970."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

from pdshub.api.generation import FULL

BACKOFF_SECONDS = 30.0
MAX_BACKOFF_SECONDS = 900.0
STAMP_SECONDS = 30.0
MIN_SETTLE_SECONDS = 5.0


@dataclass(frozen=True)
class Facts:
    """What the decision depends on. A former attempt is one that ended, well or not."""

    now: float
    interval: float
    content: str  # digest of what makes a generation: sources, tree, authority
    request: str = ""  # token; a new one asks for a survey
    stamp: str = ""  # state of the stamp file; "" when there is none
    tried_content: str = ""  # of the former attempt
    tried_request: str = ""
    tried_stamp: str = ""
    finished: float | None = None  # end of the last survey that went well
    failed: float | None = None  # end of the last attempt, when that failed
    failures: int = 0  # in a row
    settles: float | None = None  # when the datasets that are being copied may have settled


def backoff(failures: int, interval: float, longest: float = MAX_BACKOFF_SECONDS) -> float:
    """Seconds to wait after so many failures in a row: doubling, never longer than the interval or ``longest``."""
    return min(BACKOFF_SECONDS * 2.0 ** min(max(0, failures - 1), 20), longest, interval)


def due(facts: Facts) -> tuple[str, float]:
    """(why a survey begins now, 0) or ("", seconds until the next look)."""
    if facts.content != facts.tried_content:
        return "the view changed", 0.0
    if facts.request and facts.request != facts.tried_request:
        return "asked for", 0.0
    if facts.failed is not None:
        wait = facts.failed + backoff(facts.failures, facts.interval) - facts.now
        return ("the last one failed", 0.0) if wait <= 0 else ("", wait)
    if facts.stamp and facts.stamp != facts.tried_stamp:
        return "the stamp file changed", 0.0
    if facts.finished is None:
        return "there was none yet", 0.0
    waits = {"the interval passed": facts.finished + facts.interval - facts.now}
    if facts.finished > facts.now + 60:  # the clock was set back: do not wait for it to come round
        waits["the clock was set back"] = 0.0
    if facts.settles is not None:
        waits["a settle time ended"] = facts.settles - facts.now
    reason = min(waits, key=lambda name: waits[name])
    return (reason, 0.0) if waits[reason] <= 0 else ("", waits[reason])


def full(request: str, tried: str) -> bool:
    """Whether a person asked, since the former attempt, for a survey that reads every directory: the request begins
    with FULL. What nodes ask for stands behind a plus and is no new request of a person."""
    asked, before = request.partition("+")[0], tried.partition("+")[0]
    return asked.startswith(FULL) and asked != before


def everything(path: str) -> bool:
    """Every directory is read."""
    return True


def nothing(path: str) -> bool:
    """Unchanged directories are not read."""
    return False


def restat(last: float | None, now: float, hours: float) -> Callable[[str], bool]:
    """Which unchanged directories are read again, so that every one is within ``hours`` (0: none).

    A path's checksum is its place in the period; a survey reads what lies between the former survey's time and
    its own. So surveys may be near together or far apart, and a failed one leaves its part to the next.
    """
    period = hours * 3600
    if period <= 0:
        return nothing
    if last is None or now < last or now - last >= period:
        return everything
    begin, end = last % period / period, now % period / period

    def inside(path: str) -> bool:
        place = crc32(path.encode("utf-8", "surrogateescape")) / 2**32
        return begin <= place < end if begin <= end else place >= begin or place < end

    return inside
