"""Fetches what hubs wrote down: one question at a time for each hub, which the hub answers when it has something.

So a settled hub costs a request in WAIT seconds, and what happens is in the log a moment later. How far a hub was read
is known from the log itself: nothing is written twice, and what is missing is an entry.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pdshub import hub_api
from pdshub.audit_log import entry
from pdshub.audit_log.recorder import Recorder, Tell
from pdshub.audit_log.spools import Budget, Reader, SpoolError, read
from pdshub.kube import SECRET, Kube, KubeError
from pdshub.render.keys import TOKEN_KEY
from pdshub.render.names import Names

log = logging.getLogger(__name__)

HubKey = tuple[str, str]
"""Namespace and name of a hub."""
WAIT = 25
"""Seconds for which a hub may wait for something to tell."""
LIMIT = 500
"""Entries of one answer."""
PAUSE = 1.0
"""Seconds between two questions, at least."""
RETRIES = (5.0, 10.0, 30.0, 60.0)
"""Seconds before a hub that does not answer is asked again."""
LOOK = 2.0
"""Seconds between two looks at which hubs there are."""


@dataclass
class Followed:
    """What is known of one hub."""

    reader: Reader
    budget: Budget = field(default_factory=Budget)
    token: str = ""
    errors: int = 0
    answered: float = 0.0
    """Unix time of the last answer that was written."""
    why: str = ""
    """Why the last question failed."""


class Puller:
    """Follows every hub. ``hubs``: those that there are, each with its base URL; ``tell``: events about a hub."""

    def __init__(
        self, kube: Kube, recorder: Recorder, hubs: Callable[[], Mapping[HubKey, str]], tell: Callable[[HubKey], Tell]
    ) -> None:
        self._kube, self._recorder, self._hubs, self._tell = kube, recorder, hubs, tell
        self._tasks: dict[HubKey, asyncio.Task[None]] = {}
        self.followed: dict[HubKey, Followed] = {}

    async def run(self) -> None:
        """Follow hubs for ever, those that come and no longer those that go."""
        if not self._kube.in_cluster:
            log.info("hubs are only followed from inside the cluster")
            await asyncio.Event().wait()
        await self._recorder.memory()
        while True:
            there = self._hubs()
            for key in self._tasks.keys() - there.keys():
                self._tasks.pop(key).cancel()
                self.followed.pop(key, None)
            for key in there.keys() - self._tasks.keys():
                self._tasks[key] = asyncio.create_task(self._follow(key), name=f"audit {key}")
            await asyncio.sleep(LOOK)

    async def close(self) -> None:
        """Follow nobody any more."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, key: HubKey) -> None:
        while True:
            try:
                pause = await self.round(key)
            except Exception:
                # whatever a hub answers: it ends no loop
                log.exception("%s/%s: its spool could not be read", *key)
                pause = RETRIES[-1]
            await asyncio.sleep(pause)

    async def round(self, key: HubKey) -> float:
        """Ask one hub once, and write what it says; seconds until the next question."""
        hub = f"{key[0]}/{key[1]}"
        memory = await self._recorder.memory()
        found = self.followed.setdefault(key, Followed(Reader(hub, memory.positions.get(hub))))
        limit = found.budget.take(time.monotonic(), LIMIT)
        if not limit:
            return RETRIES[-1]
        try:
            found.token = found.token or await self._read_token(key)
            run, after = found.reader.at or ("", 0)
            async with hub_api.connect(self._kube, key[0], self._hubs().get(key, "/"), found.token) as client:
                entries = found.reader.entries(read(await client.spool(run, after, limit, WAIT), limit))
        except hub_api.HubError as error:
            if error.of_token:
                found.token = ""  # it may be another one now
            return self._failed(key, found, str(error))
        except (KubeError, SpoolError) as error:
            return self._failed(key, found, str(error))
        if not await self._recorder.keep(entries):
            return RETRIES[0]
        found.reader.written(entries)
        found.budget.spend(len(entries))
        found.errors, found.why, found.answered = 0, "", time.time()
        for each in entries:
            if each["event"] == entry.GAP:
                self._tell(key)(True, "AuditGap", f"{each['missing']} entries of this hub are missing in the audit log")
        return PAUSE

    def _failed(self, key: HubKey, found: Followed, why: str) -> float:
        if why != found.why:
            log.info("%s/%s: its spool is not read: %s", *key, why)
        found.why = why
        found.errors += 1
        return RETRIES[min(found.errors, len(RETRIES)) - 1]

    async def _read_token(self, key: HubKey) -> str:
        """The token of the operator's service in a hub. Raises KubeError where there is none."""
        name = Names(*key).keys
        secret = await self._kube.get(SECRET, name, key[0]) or {}
        try:
            token = base64.b64decode(str((secret.get("data") or {}).get(TOKEN_KEY, ""))).decode("ascii")
        except ValueError:
            token = ""
        if not token.isalnum() and not token.replace("-", "").replace("_", "").isalnum():
            raise KubeError(404, f"Secret {name} has no {TOKEN_KEY}")
        return token
