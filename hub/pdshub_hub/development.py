"""One shared password, for hubs to try things. Who may use it says the list."""

from __future__ import annotations

from typing import Any

from jupyterhub.auth import DummyAuthenticator

from pdshub_hub.listed import ListedMixin


class PDSHubDevelopment(ListedMixin, DummyAuthenticator):  # type: ignore[misc]
    """Everybody on the list with the password of ``DummyAuthenticator.password``; without one nobody."""

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        """The name that was typed; None with a wrong password, and while there is none. Raises Refused for no name."""
        if not self.password or not data.get("username") or not data.get("password"):
            return None
        found: str | None = await super().authenticate(handler, data)
        return found and self.proved(found)
