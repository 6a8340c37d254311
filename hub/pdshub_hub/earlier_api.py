"""``/hub/api/pdshub/earlier``: the operator fetches what people ask of their earlier versions, and answers.

It is for the operator's service alone: whoever could answer could show somebody names of files, and whoever could read
would learn what somebody looks for. A person's token may not, whatever roles give it.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from jupyterhub.apihandlers.base import APIHandler
from tornado.web import HTTPError

from pdshub_hub import earlier

SCOPE = "custom:pdshub:earlier"
"""Who may fetch and answer."""
LONGEST_WAIT = 30
LARGEST = 1 << 20
"""Bytes of an answer."""


class EarlierQuestionsHandler(APIHandler):  # type: ignore[misc]
    """Questions that are open."""

    async def get(self) -> None:
        """``{"run", "last", "asks"}``: every open question, the oldest first.

        ``wait``: seconds that the answer may take while there is none with a number greater than ``after`` of this
        ``run``.
        """
        self._of_operator()
        desk = earlier.DESK
        after = self._number("after", 2**62) if self.get_argument("run", "") == desk.run else 0
        if wait := self._number("wait", LONGEST_WAIT):
            await desk.newer(after, wait)
        asks = desk.open_now()
        last = max((ask.number for ask in asks), default=after)
        self.finish(json.dumps({"run": desk.run, "last": last, "asks": [ask.wire() for ask in asks]}))

    async def post(self) -> None:
        """An answer: ``{"run", "id", "done", "ok", …}``; 404 for a question that is not open in this run."""
        self._of_operator()
        if len(self.request.body) > LARGEST:
            raise HTTPError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.get_json_body()
        if not isinstance(body, dict) or not isinstance(body.get("id"), str):
            raise HTTPError(HTTPStatus.BAD_REQUEST, "an answer is an object that names its question")
        try:
            known = body.get("run") == earlier.DESK.run and earlier.DESK.answer(body["id"], body)
        except ValueError as error:
            raise HTTPError(HTTPStatus.BAD_REQUEST, str(error)) from None
        if not known:
            raise HTTPError(HTTPStatus.NOT_FOUND, "no such question is open")
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()

    def _of_operator(self) -> None:
        asking = self.current_user
        if asking is None or getattr(asking, "kind", "") != "service" or not self.has_scope(SCOPE):
            raise HTTPError(HTTPStatus.FORBIDDEN, "Only PDSHub's operator may ask and answer here")

    def _number(self, name: str, most: int) -> int:
        text = self.get_argument(name, "")
        if not text:
            return 0
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise HTTPError(HTTPStatus.BAD_REQUEST, f"{name} is a number")
        return min(int(text), most)


def setup(c: Any) -> None:
    """Add the address and the scope."""
    c.JupyterHub.extra_handlers.append((r"/api/pdshub/earlier", EarlierQuestionsHandler))
    c.JupyterHub.custom_scopes.update({SCOPE: {"description": "Answer what people ask of their earlier versions."}})
