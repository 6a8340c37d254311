"""What people ask at the page *Earlier versions*, kept until the operator has answered.

The hub has no key of a repository, and for this no right in Kubernetes: it keeps questions, each with the name of who
is signed in, and the operator fetches them and answers (earlier_api). Answers hold names of files, sizes and times;
what is in a file never passes through the hub. All of it is in memory: a hub that begins anew asks anew.

One question of each person is open at a time, and each kind of question has a pace: what a browser without rest sends
costs neither memory nor a Job.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pdshub_hub import earlier_answers
from pdshub_hub.earlier_answers import Answer, Folder, Listing
from pdshub_hub.earlier_asks import Ask, Refused, Said, What, Why
from pdshub_hub.earlier_pace import Paces

MOST_OPEN = 200
"""Questions of all people that are open: the operator answers a few at a time."""
MOST_LISTINGS, MOST_FOLDERS = 1000, 500
"""Answers that are remembered, of all people; the ones that nobody looked at go first."""
PATIENCE = 300.0
"""Seconds after which a question is given up of which the operator says nothing."""
FRESH = 120.0
"""Seconds for which a list is shown without asking again."""
FOLLOWED = 90.0
"""Seconds after the operator's last question within which it is there: it asks at least each half minute."""

Key = tuple[str, str, str]
"""User, version and path."""
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass
class Desk:
    """Questions and answers of this run of the hub. ``clock``: seconds of a clock that never goes back."""

    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Names this run: numbers begin anew with each."""
    clock: Callable[[], float] = time.monotonic
    paces: Paces = field(default_factory=Paces)
    _open: dict[str, Ask] = field(default_factory=dict)
    """By user."""
    _heard: dict[str, float] = field(default_factory=dict)
    """By user: when something was last said of the open question."""
    _said: OrderedDict[str, Said] = field(default_factory=OrderedDict)
    _listings: OrderedDict[str, Listing] = field(default_factory=OrderedDict)
    _folders: OrderedDict[Key, Folder] = field(default_factory=OrderedDict)
    _count: int = 0
    _asked: float | None = None
    _waiting: set[asyncio.Event] = field(default_factory=set)

    # --- people

    def ask(self, user: str, what: What, version: str = "", path: str = ".") -> Ask:
        """Open a question. ``version``: a snapshot of the user's own list, or a day. Raises Refused."""
        self._give_up()
        if not self.followed:
            raise Refused(Why.AWAY)
        if user in self._open:
            raise Refused(Why.BUSY)
        if len(self._open) >= MOST_OPEN:
            raise Refused(Why.CROWDED)
        snapshot, as_of = self._version(user, version) if what is not What.LIST else ("", "")
        if not self.paces.take(user, what, self.clock()):
            raise Refused(Why.TOO_OFTEN)
        self._count += 1
        made = Ask(uuid.uuid4().hex, self._count, user, what, version, snapshot, as_of, path)
        self._open[user], self._heard[user] = made, self.clock()
        if what is not What.LIST:  # which the page asks by itself: what was said stays to be read
            self._said.pop(user, None)
        for heard in self._waiting:
            heard.set()
        return made

    def _version(self, user: str, version: str) -> tuple[str, str]:
        """Snapshot or moment of a version. Raises Refused for a snapshot that is not in the user's own list."""
        if earlier_answers.SNAPSHOT.fullmatch(version):
            listing = self._listings.get(user)
            if listing is None or all(one.id != version for one in listing.versions):
                raise Refused(Why.NOT_FOUND)
            return version, ""
        return "", earlier_answers.end_of_day(version)

    def waits(self, user: str) -> Ask | None:
        """The open question of somebody."""
        self._give_up()
        return self._open.get(user)

    def said(self, user: str) -> Said | None:
        """What was last said to somebody, about a question that is open or over."""
        return self._said.get(user)

    def listing(self, user: str) -> Listing | None:
        """What somebody's list said last."""
        return _used(self._listings, user)

    def folder(self, user: str, version: str, path: str) -> Folder | None:
        """A folder of a version, where it was looked at before. A snapshot never changes; a day's newest may."""
        return _used(self._folders, (user, version, path))

    def is_due(self, user: str) -> bool:
        """Whether somebody's list has to be asked for."""
        if not self.followed or self.waits(user):
            return False
        found = self._listings.get(user)
        return found is None or self.clock() - found.at > FRESH

    # --- the operator

    @property
    def followed(self) -> bool:
        """Whether the operator asks for questions: it does where there are backups."""
        return self._asked is not None and self.clock() - self._asked < FOLLOWED

    def open_now(self) -> list[Ask]:
        """Every open question, the oldest first."""
        self._give_up()
        self._asked = self.clock()
        return sorted(self._open.values(), key=lambda ask: ask.number)

    async def newer(self, number: int, seconds: float) -> None:
        """Wait until there is a question with a greater number, for so many seconds at most."""
        self._asked = self.clock()
        if self._count > number:
            return
        heard = asyncio.Event()
        self._waiting.add(heard)
        try:
            await asyncio.wait_for(heard.wait(), seconds)
        except TimeoutError:
            return
        finally:
            self._waiting.discard(heard)

    def answer(self, id: str, body: Mapping[str, Any]) -> bool:
        """Take an answer; False for one to a question that is not open. Raises ValueError for one that is none."""
        self._give_up()
        ask = next((ask for ask in self._open.values() if ask.id == id), None)
        if ask is None:
            return False
        self._take(ask, earlier_answers.read(body, ask, self.clock()))
        return True

    def _take(self, ask: Ask, answer: Answer) -> None:
        self._heard[ask.user] = self.clock()
        if answer.words:
            _put(self._said, ask.user, Said(answer.ok, answer.words, answer.reason), MOST_LISTINGS)
        if not answer.done:
            return
        del self._open[ask.user], self._heard[ask.user]
        if answer.listing is not None:
            _put(self._listings, ask.user, answer.listing, MOST_LISTINGS)
        if answer.folder is not None:
            _put(self._folders, (ask.user, ask.version, ask.path), answer.folder, MOST_FOLDERS)
        if ask.what is What.RESTORE and (known := self._listings.get(ask.user)):  # the next one says what became of it
            self._listings[ask.user] = replace(known, at=-math.inf)

    def _give_up(self) -> None:
        now = self.clock()
        for user in [user for user, heard in self._heard.items() if now - heard > PATIENCE]:
            del self._open[user], self._heard[user]
            _put(self._said, user, Said(False, Why.UNANSWERED.words, Why.UNANSWERED.value), MOST_LISTINGS)


def _used(kept: OrderedDict[_Key, _Value], key: _Key) -> _Value | None:
    if key in kept:
        kept.move_to_end(key)
    return kept.get(key)


def _put(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)


DESK = Desk()
"""Of this process."""
