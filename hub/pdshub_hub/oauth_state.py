"""A way back from a sign-in service is taken once, soon, and in the browser that set out.

OAuthenticator compares the state in the address with that in a signed cookie. A cookie that was copied stays good for a
month; here a state lives for minutes, and for one use. Where servers have names below the hub's, its cookie is one that
no other name can set: a page could else put a state of its own there, and sign somebody in as somebody else.
Source: RFC 6749, section 10.12 (CSRF); OAuthenticator 17.4, oauth2.py (OAuthCallbackHandler).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from oauthenticator.oauth2 import STATE_COOKIE_NAME, OAuthCallbackHandler, OAuthLoginHandler, _deserialize_state
from tornado.web import HTTPError

STATE_SECONDS = 600
"""How long somebody may take at the sign-in service."""
_KEPT = 100_000
"""States of the last ten minutes that are remembered; more would be no people."""


@dataclass
class UsedStates:
    """States that came back."""

    clock: Callable[[], float] = time.monotonic
    _used: dict[str, float] = field(default_factory=dict)

    def use(self, state: str) -> bool:
        """Whether this is its first use, which it is not any more."""
        now = self.clock()
        while self._used:
            oldest = next(iter(self._used))
            if now - self._used[oldest] <= STATE_SECONDS and len(self._used) < _KEPT:
                break
            del self._used[oldest]
        if state in self._used:
            return False
        self._used[state] = now
        return True


USED = UsedStates()
"""Of this process."""


def cookie_name(settings: Mapping[str, Any]) -> str:
    """The name of the state's cookie, by the hub's settings. Source: RFC 6265bis, section 4.1.3.2 (``__Host-``)."""
    return f"__Host-{STATE_COOKIE_NAME}" if settings.get("cookie_host_prefix_enabled") else STATE_COOKIE_NAME


class StateLogin(OAuthLoginHandler):  # type: ignore[misc]
    """Where people set out to the sign-in service."""

    def set_state_cookie(self, state_cookie_value: str) -> None:
        """Keep the state in this browser, out of reach of scripts."""
        self._set_cookie(cookie_name(self.settings), state_cookie_value, expires_days=1, httponly=True)


class OnceOnlyCallback(OAuthCallbackHandler):  # type: ignore[misc]
    """Where the sign-in service sends people back to."""

    used = USED
    _state_cookie: str | None = None

    def get_state_cookie(self) -> str:
        """The state of the cookie, if it was set within STATE_SECONDS; empty if not."""
        if self._state_cookie is None:
            days = STATE_SECONDS / 86400
            name = cookie_name(self.settings)
            found = self.get_secure_cookie(name, max_age_days=days) or b""
            self._state_cookie = found.decode("utf8", "replace")
            self.clear_cookie(name)
        return self._state_cookie

    def check_state(self) -> None:
        """Raises HTTPError 400 for a state that is missing, another one, too old, or came back before."""
        try:
            super().check_state()
            state: Any = _deserialize_state(self.get_state_cookie()).get("state_id")
        except (AttributeError, ValueError) as error:
            raise HTTPError(HTTPStatus.BAD_REQUEST, "OAuth state is none") from error
        if not isinstance(state, str) or not self.used.use(state):
            raise HTTPError(HTTPStatus.BAD_REQUEST, "OAuth state was used before: sign in again")
