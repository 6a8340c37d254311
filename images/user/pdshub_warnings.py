"""What the hub warns whoever works here of, for JupyterLab: an extension of the server, which asks in its name.

The page asks this server (earlier/static/remoteEntry.js), as it cannot ask the hub: that may have another name, and its
session is not the page's. The server asks the hub by its own token. A hub that is older, or away, warns of nothing.
"""

import json
import os
import time
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.httpclient import AsyncHTTPClient

PATH = ("pdshub", "warnings")
FRESH = 10.0
"""Seconds for which an answer holds: several tabs ask as one."""
LARGEST = 1 << 16
MOST = 5


def read(text: bytes) -> list[dict[str, Any]]:
    """The warnings in the hub's answer; none in any other text."""
    try:
        rows = json.loads(text)["warnings"]
        return [
            {"id": str(row["id"]), "message": str(row["message"])[:300], "seconds": float(row["seconds"])}
            for row in rows[:MOST]
        ]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []


class Asked:
    """What the hub said last."""

    def __init__(self) -> None:
        self._at = float("-inf")
        self._rows: list[dict[str, Any]] = []

    async def rows(self) -> list[dict[str, Any]]:
        """The warnings, with the seconds that are left of each now."""
        if time.monotonic() - self._at > FRESH:
            self._at = time.monotonic()
            self._rows = await self._fetched()
        age = time.monotonic() - self._at
        return [{**row, "seconds": row["seconds"] - age} for row in self._rows if row["seconds"] > age]

    async def _fetched(self) -> list[dict[str, Any]]:
        url = "/".join([os.environ.get("JUPYTERHUB_API_URL", ""), *PATH])
        headers = {"Authorization": f"token {os.environ.get('JUPYTERHUB_API_TOKEN', '')}"}
        client = AsyncHTTPClient(force_instance=True, max_body_size=LARGEST)
        try:
            answer = await client.fetch(url, headers=headers, request_timeout=10, follow_redirects=False)
            return read(answer.body)
        except Exception:  # whatever it is, nobody's work may end by it
            return []
        finally:
            client.close()


ASKED = Asked()


class WarningsHandler(APIHandler):
    """``{"warnings": [{"id", "message", "seconds"}]}``."""

    @web.authenticated
    async def get(self) -> None:
        """What the owner of this server is warned of."""
        self.finish(json.dumps({"warnings": await ASKED.rows()}))


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "pdshub_warnings"}]


def _load_jupyter_server_extension(app: Any) -> None:
    made = app.web_app
    made.add_handlers(".*$", [(url_path_join(made.settings["base_url"], *PATH), WarningsHandler)])
