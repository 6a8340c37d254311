"""Taking somebody out of a hub, step by step: servers, tokens, groups, shares, the record and with it sessions.

Nothing is remembered: each round looks at what there is of the user and takes that away, until there is nothing. A
kill at any step costs that round. The home stays.
Source: JupyterHub 5, apihandlers/users.py: deleting a record is the only way to end sessions (cookies), and for a
service that is no admin the only way to take the admin's role away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pdshub.hub_api import HubClient, HubUser


class Step(StrEnum):
    """How far a removal is. The values are an interface: the audit log holds them."""

    WAITING = "waiting"
    SERVERS = "servers"
    TOKENS = "tokens"
    GROUPS = "groups"
    SHARES = "shares"
    STOPPING = "stopping"
    RECORD = "record"
    DONE = "done"

    @property
    def words(self) -> str:
        """The same as a condition says it."""
        return _WORDS[self]


_WORDS = {
    Step.WAITING: "waits for its turn",
    Step.SERVERS: "servers are stopped",
    Step.TOKENS: "tokens are ended",
    Step.GROUPS: "groups are left",
    Step.SHARES: "shares are ended",
    Step.STOPPING: "a server is stopping",
    Step.RECORD: "the record is deleted, and with it sessions",
    Step.DONE: "taken out",
}
PAUSE = 0.5
"""Seconds between two rounds."""
_LONGEST = 120.0
"""Seconds after which a removal that gets nowhere makes room; it is begun anew."""


@dataclass
class Removed:
    """What was taken away from somebody."""

    name: str
    servers: int = 0
    tokens: int = 0
    found: bool = False
    """Whether the hub knew them at all."""

    @property
    def words(self) -> str:
        """For an event."""
        return f"{self.name} was taken out of the hub: {self.servers} servers, {self.tokens} tokens; the home stays"


Told = Callable[[Step], None]


async def remove(hub: HubClient, name: str, told: Told, slots: asyncio.Semaphore, pause: float = PAUSE) -> Removed:
    """Take somebody out; returns once the hub has no record of them. ``slots``: how many may call the hub at a time.

    What waits for a server to stop holds no slot. Raises HubError; TimeoutError after two minutes.
    """
    done, began = Removed(name), asyncio.get_running_loop().time()
    deleted = False
    while True:
        stops: list[asyncio.Task[bool]] = []
        try:
            async with slots:
                user = await hub.user(name)
                if user is None:
                    return done
                done.found = True
                told(Step.SERVERS)
                stops = [asyncio.create_task(hub.stop(name, server.name)) for server in user.servers]
                await _take_away(hub, user, told, done)
            if stops:
                told(Step.STOPPING)
                done.servers = max(done.servers, len(stops))
            ready = all(await asyncio.gather(*stops))
        finally:
            for stop in stops:
                stop.cancel()
            await asyncio.gather(*stops, return_exceptions=True)
        async with slots:
            if ready:
                told(Step.RECORD)
                ready = await hub.delete(name)
        if asyncio.get_running_loop().time() - began > _LONGEST:
            raise TimeoutError
        # whether a record has gone is looked at once; one that is still there has time
        await asyncio.sleep(0 if ready and not deleted else pause)
        deleted = ready


async def _take_away(hub: HubClient, user: HubUser, told: Told, done: Removed) -> None:
    """Everything but servers and the record: it needs not wait for them."""
    told(Step.TOKENS)
    for token in await hub.tokens(user.name):
        await hub.end_token(user.name, token)
        done.tokens += 1
    for group in user.groups:
        told(Step.GROUPS)
        await hub.leave(user.name, group)
    told(Step.SHARES)
    for owner, server in await hub.shared_with(user.name):
        await hub.end_share(user.name, owner, server)
