"""Times as Kubernetes and the manifests write them: RFC 3339 in UTC, whole seconds, for example 2026-01-31T00:00:00Z.

Source: RFC 3339, section 5.6, date-time with time-offset "Z".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def text(seconds: float) -> str:
    """The moment ``seconds`` after 1970-01-01T00:00:00Z; fractions are cut off.

    Raises ValueError where no calendar has such a moment: before year 1 or after year 9999.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError) as error:
        raise ValueError(f"{seconds} is no moment of the calendar") from error


def for_people(seconds: float) -> str:
    """The same for a time that anybody may have set, such as a file's: words where no calendar has it."""
    try:
        return text(seconds)
    except ValueError:
        return "an impossible time"


def now() -> str:
    """This moment by this machine's clock."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(moment: Any) -> float:
    """Seconds from 1970-01-01T00:00:00Z to a moment written down; 0 for what is none, such as an empty text."""
    try:
        return datetime.fromisoformat(str(moment)).timestamp()
    except ValueError:
        return 0.0
