"""What somebody wants to read of the log: by whom, where, what, since when. Pure."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pdshub import rfc3339
from pdshub.audit_log.verify import anchor

LIMIT, MOST = 1000, 100_000
"""Entries that are shown, the newest, unless somebody asks for more; and at most."""
PEOPLE = ("user", "owner", "target", "claimed", "by")
"""Fields that name a person: who did it, to whom, whom somebody claimed to be."""
NAMED = ("added", "removed", "allowed", "admins", "suspended")
"""The same, where several are named."""
_AGO = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def since(words: str) -> str:
    """``24h``, ``7d``, a date or a moment as RFC 3339; nothing is nothing. Raises argparse.ArgumentTypeError."""
    if not words:
        return ""
    if ago := _AGO.fullmatch(words):
        return rfc3339.text(max(0.0, time.time() - int(ago[1]) * _UNITS[ago[2]]))
    try:
        moment = datetime.fromisoformat(words)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return rfc3339.text(aware.timestamp())
    except (ValueError, OverflowError):
        known = "90m, 24h, 7d, 2w, 2026-01-31 or 2026-01-31T08:00:00Z"
        raise argparse.ArgumentTypeError(f"{words[:60]!r} is no time: write {known}") from None


def _limit(words: str) -> int:
    if not (words.isascii() and words.isdigit() and 0 < int(words[:7]) <= MOST and len(words) <= 6):
        raise argparse.ArgumentTypeError(f"{words[:60]!r}: write a number from 1 to {MOST}")
    return int(words)


def _anchor(words: str) -> str:
    try:
        if words:
            anchor(words)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return words


def _hub(words: str) -> str:
    if words and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,252}(/[a-z0-9][a-z0-9.-]{0,252})?", words):
        raise argparse.ArgumentTypeError(f"{words[:60]!r}: write NAMESPACE or NAMESPACE/NAME")
    return words


def arguments(parser: argparse.ArgumentParser) -> None:
    """The same questions for ``kubectl pdshub audit`` and for the program in the reader's pod."""
    parser.add_argument("--user", default="", metavar="NAME", help="who did it, or to whom it was done")
    parser.add_argument("--hub", type=_hub, default="", metavar="NAMESPACE[/NAME]", help="of this hub, or namespace")
    parser.add_argument("--event", default="", metavar="EVENT", help="like sign-in-refused or access")
    parser.add_argument("--since", type=since, default="", metavar="WHEN", help="like 24h, 7d or 2026-01-31")
    parser.add_argument("--limit", type=_limit, default=LIMIT, metavar="N", help=f"the newest N (default {LIMIT})")
    parser.add_argument("--verify", action="store_true", help="whether the log is as it was written; shows no entries")
    parser.add_argument(
        "--anchor", type=_anchor, default="", metavar="NUMBER:SHA256", help="as an earlier --verify printed it"
    )


def words_of(args: argparse.Namespace) -> list[str]:
    """The questions once more as a command line, each as one word, so that none is taken for an option."""
    asked = [
        f"--{key}={getattr(args, key)}" for key in ("user", "hub", "event", "since", "anchor") if getattr(args, key)
    ]
    return [*asked, f"--limit={args.limit}", *(["--verify"] if args.verify else [])]


@dataclass(frozen=True)
class Asked:
    """A question."""

    user: str = ""
    hub: str = ""
    event: str = ""
    since: str = ""

    def matches(self, found: Mapping[str, Any]) -> bool:
        """Whether an entry answers it."""
        hub = str(found.get("hub", ""))
        return (
            (not self.event or found.get("event") == self.event)
            and (not self.hub or hub == self.hub or hub.partition("/")[0] == self.hub)
            and (not self.since or str(found.get("time", "")) >= self.since)
            and (not self.user or self._names(found))
        )

    def _names(self, found: Mapping[str, Any]) -> bool:
        user = self.user.casefold()
        several = [item for key in NAMED if isinstance(found.get(key), list) for item in found[key]]
        names = [*(found.get(key) for key in PEOPLE), *several]
        # a list of people is written with their kind: allowed:ada@example.org
        return any(user in (str(name).casefold(), str(name).casefold().partition(":")[2]) for name in names)
