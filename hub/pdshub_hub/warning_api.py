"""``/hub/api/pdshub/warnings``: the operator warns somebody; that person's server asks what they are warned of."""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import Any

from jupyterhub.apihandlers.base import APIHandler
from tornado.web import HTTPError

from pdshub_hub import warning

SCOPE = "custom:pdshub:warnings"
"""Who may warn."""
OF_SERVER = "users:activity"
"""A scope that the token of one's own server has, and that which a visitor leaves with somebody else's has not."""
LARGEST = 1 << 14
"""Bytes of a warning."""


class WarningsHandler(APIHandler):  # type: ignore[misc]
    """Warnings."""

    async def get(self) -> None:
        """``{"warnings": [{"id", "message", "seconds"}]}``: those of who asks, and in how many seconds they are due."""
        asking = self.current_user
        if asking is None or getattr(asking, "kind", "user") == "service" or OF_SERVER not in self.parsed_scopes:
            raise HTTPError(HTTPStatus.FORBIDDEN, "Only somebody's own server may ask what they are warned of")
        rows = [
            {"id": one.id, "message": one.message, "seconds": round(left)}
            for one, left in warning.BOARD.of(str(asking.name))
        ]
        self.finish(json.dumps({"warnings": rows}))

    async def post(self) -> None:
        """Warn somebody: ``{"id", "user", "message", "seconds"}``; with 0 seconds it is taken back."""
        asking = self.current_user
        if asking is None or getattr(asking, "kind", "") != "service" or SCOPE not in self.parsed_scopes:
            raise HTTPError(HTTPStatus.FORBIDDEN, "Only PDSHub's operator may warn people")
        if len(self.request.body) > LARGEST:
            raise HTTPError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.get_json_body()
        try:
            warning.BOARD.put(body if isinstance(body, dict) else {})
        except ValueError as error:
            raise HTTPError(HTTPStatus.BAD_REQUEST, str(error)) from None
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()


def shown(user: Any) -> list[str]:
    """What the hub's pages say to somebody: called with each page that is made (``template_vars``)."""
    if user is None:
        return []
    return [
        f"{time.strftime('%H:%M', time.gmtime(time.time() + left))} UTC: {one.message}"
        for one, left in warning.BOARD.of(str(user.name))
    ]


def setup(c: Any) -> None:
    """Add the address, the scope, and ``pdshub_warnings`` for pages."""
    c.JupyterHub.extra_handlers.append((r"/api/pdshub/warnings", WarningsHandler))
    c.JupyterHub.custom_scopes.update({SCOPE: {"description": "Warn people that their server is going to be stopped."}})
    c.JupyterHub.template_vars = {"pdshub_warnings": shown, **dict(c.JupyterHub.get("template_vars") or {})}
