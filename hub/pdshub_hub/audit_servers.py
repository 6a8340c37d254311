"""Whose server it is that asks the hub about its visitor."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jupyterhub import orm

AGAIN = 3600.0
"""Seconds after which somebody who still is in a server counts as having entered it once more."""
_PAIRS = 10_000


def owner_of_client(db: Any, client: str) -> str:
    """Whose server an OAuth client is; empty for what is no server."""
    if not client or client == "jupyterhub":
        return ""
    found = db.query(orm.OAuthClient).filter_by(identifier=client).first()
    if found is None or found.spawner is None:
        return ""
    return str(found.spawner.user.name)


def owner_at(db: Any, address: str) -> str:
    """Whose server has this address; empty where none has it, or more than one: then it is no pod's own."""
    if not address:
        return ""
    servers = db.query(orm.Spawner).join(orm.Server, orm.Spawner.server).filter(orm.Server.ip == address).limit(2)
    owners = {str(each.user.name) for each in servers}
    return owners.pop() if len(owners) == 1 else ""


@dataclass
class Entered:
    """Who is in whose server, as servers ask about each visitor again and again."""

    clock: Callable[[], float] = time.monotonic
    _at: OrderedDict[tuple[str, str], float] = field(default_factory=OrderedDict)

    def new(self, user: str, owner: str) -> bool:
        """Whether somebody was not seen there for AGAIN seconds; from now on they were."""
        now, pair = self.clock(), (user, owner)
        last = self._at.get(pair)
        if last is not None and now - last < AGAIN:
            return False
        self._at[pair] = now
        self._at.move_to_end(pair)
        while len(self._at) > _PAIRS:
            self._at.popitem(last=False)
        return True
