"""``GET /hub/api/pdshub/audit``: the operator fetches what happened, and waits here for more."""

from __future__ import annotations

import json
from typing import Any

from jupyterhub.apihandlers.base import APIHandler
from tornado.web import HTTPError

from pdshub_hub import audit

SCOPE = "custom:pdshub:audit"
"""Who may fetch it."""
MOST, LONGEST_WAIT = 1000, 30


class SpoolHandler(APIHandler):  # type: ignore[misc]
    """Entries of the spool, oldest first."""

    async def get(self) -> None:
        """Entries after number ``after`` of run ``run``, ``limit`` at most; of another run than this, from its first.

        ``wait``: seconds that the answer may take where there is none yet. The answer names this ``run``, the ``first``
        number that is kept and the ``last``, so that what is missing shows.
        """
        if not self.current_user or not self.has_scope(SCOPE):
            raise HTTPError(403)
        spool = audit.SPOOL
        after = self._number("after", 0, 2**62)
        if self.get_argument("run", "") != spool.run:
            after = 0
        limit = self._number("limit", MOST, MOST)
        if wait := self._number("wait", 0, LONGEST_WAIT):
            await spool.newer(after, wait)
        entries = spool.after(after, limit)
        first, last = spool.bounds
        answer: dict[str, Any] = {"run": spool.run, "first": first, "last": last, "entries": entries}
        self.finish(json.dumps(answer))

    def _number(self, name: str, otherwise: int, most: int) -> int:
        text = self.get_argument(name, "")
        if not text:
            return otherwise
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise HTTPError(400, f"{name} is a number")
        return min(int(text), most)
