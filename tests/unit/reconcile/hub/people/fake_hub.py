"""A hub in memory: users with servers, tokens, groups and shares, as JupyterHub's API shows and ends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pdshub.hub_api import HubError, HubServer, HubUser


class Killed(Exception):
    """The operator ends in the middle of a call's answer."""


@dataclass
class Person:
    """Somebody in the database."""

    admin: bool = False
    groups: set[str] = field(default_factory=set)
    servers: dict[str, str] = field(default_factory=dict)
    """By name: ready, spawn or stop."""
    tokens: set[str] = field(default_factory=set)
    shares: set[tuple[str, str]] = field(default_factory=set)
    seen: str = "2026-01-01T00:00:00Z"


def busy(**more: Any) -> Person:
    """Somebody who has everything that there is to take away."""
    having: dict[str, Any] = {
        "admin": True,
        "groups": {"g"},
        "servers": {"": "ready", "two": "ready"},
        "tokens": {"t1", "t2"},
        "shares": {("bela", "")},
    }
    return Person(**{**having, **more})


class FakeHub:
    """Calls are written down; after so many (``dies_after``) each ends in Killed, done as it is."""

    def __init__(self, **people: Person) -> None:
        self.people = people
        self.calls: list[str] = []
        self.dies_after: int | None = None
        self.slow: set[str] = set()
        """Whose servers never end."""
        self.away: HubError | None = None
        self.digest, self.trouble = "", ""
        self.admitted: set[str] = set()
        self.connected = 0

    def _called(self, *words: str) -> None:
        if self.away:
            raise self.away
        self.calls.append(" ".join(words))

    def _done(self) -> None:
        if self.dies_after is not None and len(self.calls) >= self.dies_after:
            raise Killed

    @asynccontextmanager
    async def connect(self, kube: Any, namespace: str, base_url: str, token: str) -> AsyncIterator[FakeHub]:
        self.connected += 1
        yield self

    def _user(self, name: str) -> HubUser:
        found = self.people[name]
        servers = tuple(HubServer(s, how == "ready", "" if how == "ready" else how) for s, how in found.servers.items())
        return HubUser(name, found.admin, tuple(sorted(found.groups)), servers, found.seen)

    async def list_in_effect(self) -> tuple[str, str]:
        self._called("list")
        return self.digest, self.trouble

    async def admits(self, user: str) -> bool:
        self._called("admits", user)
        return user in self.admitted

    async def users(self) -> list[HubUser]:
        self._called("users")
        return [self._user(name) for name in self.people]

    async def user(self, name: str) -> HubUser | None:
        await asyncio.sleep(0)
        self._called("user", name)
        self._done()
        return self._user(name) if name in self.people else None

    async def stop(self, user: str, server: str) -> bool:
        self._called("stop", user, server)
        if user in self.slow:
            self.people[user].servers[server] = "stop"
            return False
        if user in self.people:
            self.people[user].servers.pop(server, None)
        self._done()
        return True

    async def warn(self, user: str, id: str, message: str, seconds: float) -> None:
        self._called("warn", user, f"{seconds:.0f}")
        self._done()

    async def tokens(self, user: str) -> list[str]:
        self._called("tokens", user)
        self._done()
        return sorted(self.people[user].tokens)

    async def end_token(self, user: str, token: str) -> None:
        self._called("end_token", user, token)
        self.people[user].tokens.discard(token)
        self._done()

    async def leave(self, user: str, group: str) -> bool:
        self._called("leave", user, group)
        self.people[user].groups.discard(group)
        self._done()
        return True

    async def shared_with(self, user: str) -> list[tuple[str, str]]:
        self._called("shared_with", user)
        self._done()
        return sorted(self.people[user].shares)

    async def end_share(self, user: str, owner: str, server: str) -> None:
        self._called("end_share", user, owner)
        self.people[user].shares.discard((owner, server))
        self._done()

    async def delete(self, user: str) -> bool:
        self._called("delete", user)
        if user in self.people and self.people[user].servers:
            return False
        self.people.pop(user, None)
        self._done()
        return True
