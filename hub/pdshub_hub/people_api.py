"""``GET /hub/api/pdshub/people``: which list is in effect now, and whether it admits somebody.

The operator asks it after each change, and for people of the database that its own list does not name.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from jupyterhub.apihandlers.base import APIHandler
from tornado.web import HTTPError

from pdshub_hub.listed import ListedMixin
from pdshub_hub.people import Why

SCOPE = "custom:pdshub:people"
"""What may ask."""


class PeopleHandler(APIHandler):  # type: ignore[misc]
    """The list that is in effect."""

    async def get(self) -> None:
        """``{"digest", "trouble"}``; with ``?user=NAME`` ``{"allowed", "why"}`` of somebody in the hub's database.

        ``digest`` is that of the list by which people are judged, empty before one could be read; ``trouble`` says why
        the file can't be read. ``why`` is one of :class:`pdshub_hub.people.Why`.
        """
        # JupyterHub's decorator wants to know a scope before the configuration, which adds it, is read
        if SCOPE not in self.parsed_scopes:
            raise HTTPError(HTTPStatus.FORBIDDEN, "Only PDSHub's operator may ask for the list")
        self.set_header("Content-Type", "application/json")
        authenticator, name = self.authenticator, self.get_argument("user", "")
        if not isinstance(authenticator, ListedMixin):
            self.write(json.dumps({"digest": "", "trouble": "another authenticator decides who signs in"}))
            return
        if not name:
            reading = authenticator.people.read()
            digest = reading.people.digest if reading.people else ""
            self.write(json.dumps({"digest": digest, "trouble": reading.trouble}))
            return
        user = self.find_user(name)
        why = Why.NOT_LISTED if user is None else (await authenticator.judge(user))[0]
        self.write(json.dumps({"allowed": why.admits, "why": why.value}))


def setup(c: Any) -> None:
    """Add the address and the scope."""
    c.JupyterHub.extra_handlers.append((r"/api/pdshub/people", PeopleHandler))
    c.JupyterHub.custom_scopes.update({SCOPE: {"description": "Ask PDSHub's list who may sign in"}})
