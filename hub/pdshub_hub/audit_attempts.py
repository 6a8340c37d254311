"""What the authenticator thinks of somebody who signs in: who it is, and why not.

JupyterHub asks ``get_authenticated_user`` and hears only yes or no. A class of ours around the one that is configured
keeps at which step it ended. What the class itself recorded is not said twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.utils import maybe_future
from tornado.web import HTTPError
from traitlets.utils.importstring import import_item

from pdshub_hub import audit
from pdshub_hub.listed import Refused

ATTEMPT = "_pdshub_attempt"
"""The attribute of a request handler that keeps its attempt to sign in."""


@dataclass
class Attempt:
    """An attempt to sign in."""

    name: str = ""
    """Who it is, as far as that is proven."""
    reason: str = ""
    """Why it was refused; empty where it was not."""
    claimed: str = ""
    """The name that was typed where nothing was proven."""
    said: str = ""
    """What a refusal of the authenticator's says in words."""
    recorded: bool = False
    """The authenticator has recorded it itself."""
    details: dict[str, str | int | bool] = field(init=False, default_factory=dict)

    def end(self, reason: str, said: str = "") -> None:
        """It was refused."""
        self.reason, self.said = reason, said
        found = {"reason": reason, "claimed": "" if self.name else self.claimed, "said": said}
        self.details = {key: text for key, text in found.items() if text}


def _why(error: Exception, proven: bool) -> tuple[str, str]:
    """The reason of a refusal by an exception, and what it says."""
    if isinstance(error, Refused):
        return error.why.value, ""
    if not isinstance(error, HTTPError):
        return audit.FAILED, type(error).__name__
    said = str(error.log_message or error.reason or "")
    if error.status_code >= 500:
        return audit.FAILED, said
    # 403 before anybody is proven: an address that is not verified, a foreign domain
    return audit.NOT_ALLOWED if proven or error.status_code == 403 else audit.NOT_PROVEN, said


class _Watched:
    """What is laid over an authenticator class."""

    async def authenticate(self, handler: Any, data: Any = None, **kwargs: Any) -> Any:
        """As the class does; who it is, is kept."""
        model = await maybe_future(super().authenticate(handler, data, **kwargs))  # type: ignore[misc]
        attempt: Attempt | None = getattr(handler, ATTEMPT, None)
        if attempt is not None and model is not None:
            name = model.get("name", "") if isinstance(model, dict) else model
            attempt.name = str(self.normalize_username(str(name)))  # type: ignore[attr-defined]
        return model

    async def get_authenticated_user(self, handler: Any, data: Any) -> Any:
        """As the class does; how it ended is kept with the request."""
        typed = data.get("username") if isinstance(data, dict) else None
        attempt = Attempt(claimed=typed if isinstance(typed, str) else "")
        if handler is not None:
            setattr(handler, ATTEMPT, attempt)
        with audit.noticing() as seen:
            try:
                model = await super().get_authenticated_user(handler, data)  # type: ignore[misc]
            except Exception as error:
                if isinstance(error, Refused) and not attempt.name:
                    attempt.claimed = error.name
                attempt.end(*_why(error, bool(attempt.name)))
                attempt.recorded = audit.SIGN_IN_REFUSED in seen
                raise
        if model is None:
            attempt.end(audit.NOT_ALLOWED if attempt.name else audit.NOT_PROVEN)
        attempt.recorded = audit.SIGN_IN_REFUSED in seen or audit.SIGN_IN in seen
        return model

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> Any:
        """As the class does; that somebody may go on no longer is recorded."""
        with audit.noticing() as seen:
            found = await maybe_future(super().refresh_user(user, handler, **kwargs))  # type: ignore[misc]
        if not found and audit.CUT_OFF not in seen:
            audit.record(audit.CUT_OFF, str(user.name))
        return found


def _class_of(configured: Any) -> Any:
    """A class from itself, its full path or the name of an entry point; what is none of them as it is."""
    if not isinstance(configured, str):
        return configured
    registered = {each.name.lower(): each for each in entry_points(group="jupyterhub.authenticators")}
    try:
        found = registered.get(configured.lower())
        return found.load() if found else import_item(configured)
    except (ImportError, AttributeError):
        return configured


def watched(configured: Any) -> Any:
    """The authenticator class that is configured, with its refusals kept.

    What JupyterHub itself would not take is given back as it is: it says better what is wrong.
    """
    kind = _class_of(configured)
    if not isinstance(kind, type) or not issubclass(kind, Authenticator) or issubclass(kind, _Watched):
        return configured
    # of the same name, by which its settings are found
    return type(kind.__name__, (_Watched, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})
