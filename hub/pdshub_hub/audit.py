"""What happens to people at this hub, kept until the operator has fetched it: sign-ins, refusals, access to servers.

Entries have a number that grows by one. Only the newest are kept: what is fetched within seconds need not be kept long.
Whoever can make the hub write something could do it without end, to bury what matters: in each minute only so many
entries of an event are kept, the others are counted, and one entry says how many they were.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

SIGN_IN, SIGN_OUT = "sign-in", "sign-out"
SIGN_IN_REFUSED = "sign-in-refused"
"""With ``reason``: one of those below, or one of the authenticator's own."""
CUT_OFF = "cut-off"
"""Somebody who was signed in may go on no longer."""
ACCESS, ACCESS_REFUSED = "access", "access-refused"
"""``user`` entered, or tried to enter, the server of ``owner``."""
SERVER_START, SERVER_STOP = "server-start", "server-stop"
"""``user`` started or stopped the server of ``owner``."""
ADMIN_CHANGE = "admin-change"
"""``user`` made ``target`` an admin, or none any more (``admin``)."""
TOKEN_MADE, TOKEN_DELETED = "token-made", "token-deleted"
USER_ADDED, USER_DELETED = "user-added", "user-deleted"
GROUP_CHANGE, SHARE_CHANGE = "group-change", "share-change"
MORE = "more"
"""``count`` entries of the event ``of`` were not kept: too many within a minute."""
EARLIER_BROWSE, EARLIER_RESTORE = "earlier-browse", "earlier-restore"
"""``user`` looked into a backup of their own home, or asked for something of it back: ``version`` and ``path``."""
EARLIER_REFUSED = "earlier-refused"
"""``user`` asked for what is no version of their own files, or no path in their home (``reason``)."""

NOT_PROVEN = "not-proven"
"""What was typed, or what the provider said, proves nobody."""
NOT_ALLOWED = "not-allowed"
"""Somebody proved who they are, and may not sign in here."""
BAD_REQUEST = "bad-request"
"""The form's token, or the state or code of the provider's answer, was missing, old, or somebody else's."""
FAILED = "failed"
"""The hub or the provider could not answer."""

LIMIT = 10_000
"""Entries that are kept; the oldest go first, and their number tells that they are gone."""
LONGEST = 300
"""Characters of a text in an entry."""
EACH_MINUTE = {SIGN_IN_REFUSED: 60}
ELSE_EACH_MINUTE = 120
"""Entries of an event that are kept in each minute."""

_seen: ContextVar[list[str] | None] = ContextVar("pdshub_audit_seen", default=None)


@contextmanager
def noticing() -> Iterator[list[str]]:
    """The events that are recorded within, also by tasks that begin there: what is known need not be said twice."""
    found: list[str] = []
    token = _seen.set(found)
    try:
        yield found
    finally:
        _seen.reset(token)


def plain(text: str) -> str:
    """A text as it is kept: on one line, printable, and not longer than LONGEST."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in text[: LONGEST + 1])
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


@dataclass
class Spool:
    """The newest entries of this run of the hub."""

    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Names this run: numbers begin anew with each."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""
    _entries: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=LIMIT))
    _count: int = 0
    _minute: int = 0
    _kept: Counter[str] = field(default_factory=Counter)
    _over: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=set)

    def record(self, event: str, user: str, **details: str | int | bool) -> None:
        """Keep one entry: what happened, who did it, when (seconds since 1970), and details that are no secrets."""
        if (seen := _seen.get()) is not None:
            seen.append(event)
        with self._lock:
            self._turn()
            if self._kept[event] >= EACH_MINUTE.get(event, ELSE_EACH_MINUTE):
                self._over[event] += 1
                return
            self._kept[event] += 1
            self._add(event, user, **details)

    def after(self, seq: int, limit: int = 1000) -> list[dict[str, Any]]:
        """Entries with a greater number, oldest first, at most ``limit``."""
        with self._lock:
            self._turn()
            return [entry for entry in self._entries if entry["seq"] > seq][:limit]

    async def newer(self, seq: int, seconds: float) -> None:
        """Wait until there is an entry with a greater number, for so many seconds at most."""
        heard = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if self._count > seq:
                return
            self._waiting.add(heard)
        try:
            await asyncio.wait_for(heard[1].wait(), seconds)
        except TimeoutError:
            return
        finally:
            self._waiting.discard(heard)

    @property
    def bounds(self) -> tuple[int, int]:
        """The numbers of the oldest entry that is kept and of the newest; (1, 0) before the first."""
        with self._lock:
            return self._count - len(self._entries) + 1, self._count

    def _turn(self) -> None:
        """Begin a new minute where one has begun, and say what was not kept in the one before."""
        if (minute := int(self.clock() // 60)) == self._minute:
            return
        over, self._minute = self._over, minute
        self._kept, self._over = Counter(), Counter()
        for event, count in sorted(over.items()):
            self._add(MORE, "", of=event, count=count)

    def _add(self, event: str, user: str, **details: str | int | bool) -> None:
        self._count += 1
        said = {key: plain(value) if isinstance(value, str) else value for key, value in details.items()}
        entry = {"seq": self._count, "time": self.clock(), "event": event, "user": plain(user)}
        self._entries.append({**said, **entry})
        for loop, heard in self._waiting:
            loop.call_soon_threadsafe(heard.set)


SPOOL = Spool()
"""Of this process."""


def record(event: str, user: str, **details: str | int | bool) -> None:
    """Keep an entry in the spool of this process."""
    SPOOL.record(event, user, **details)
