"""What of JupyterHub's requests is written down: who signed in, who was refused, who entered whose server.

Tornado calls ``log_function`` once for each request that is over: what was asked and what came of it is read there. Why
somebody was refused is known to the authenticator alone; it is made a class that says so. Nothing here ever fails a
request. Source: Tornado, Application settings; JupyterHub 5, auth.py, handlers/base.py, apihandlers/auth.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jupyterhub.apihandlers import groups, shares, users
from jupyterhub.apihandlers.auth import OAuthAuthorizeHandler
from jupyterhub.handlers.login import LoginHandler, LogoutHandler
from jupyterhub.handlers.pages import SpawnHandler
from jupyterhub.log import log_request
from oauthenticator.oauth2 import OAuthCallbackHandler

from pdshub_hub import audit, audit_servers
from pdshub_hub.audit_attempts import ATTEMPT, Attempt, watched
from pdshub_hub.audit_spool import SCOPE, SpoolHandler

log = logging.getLogger("pdshub.audit")

Handler = Any
"""A request handler of JupyterHub (jupyterhub.handlers.base.BaseHandler), which is over."""


def who(handler: Handler) -> str:
    """Who asked: the name of a user, ``service NAME``, or nothing for somebody who is not known."""
    try:
        asked = handler.current_user
    except RuntimeError:
        return ""
    if asked is None:
        return ""
    return f"service {asked.name}" if asked.kind == "service" else str(asked.name)


def _address(handler: Handler) -> str:
    return str(handler.request.remote_ip or "")


# --- signing in and out


def signed_in(handler: Handler, status: int) -> None:
    """An attempt to sign in that is over: let in, refused by the authenticator, or refused before it was asked."""
    found: Attempt | None = getattr(handler, ATTEMPT, None)
    if found is not None and found.recorded:
        return
    if found is not None and found.reason:
        audit.record(audit.SIGN_IN_REFUSED, found.name, address=_address(handler), **found.details)
    elif found is not None and status < 400:
        audit.record(audit.SIGN_IN, found.name, address=_address(handler))
    elif status >= 400:
        name, reason = (found.name, audit.FAILED) if found is not None else ("", audit.BAD_REQUEST)
        audit.record(audit.SIGN_IN_REFUSED, name, address=_address(handler), reason=reason, status=status)


def signed_out(handler: Handler, status: int) -> None:
    """Somebody left. JupyterHub has forgotten who it was, but the request still has the cookie."""
    user = handler.get_current_user_cookie()
    if status < 400 and user is not None:
        audit.record(audit.SIGN_OUT, user.name, address=_address(handler))


# --- servers of others


def authorized(handler: Handler, status: int) -> None:
    """A server asked the hub who its visitor is: somebody enters the server of somebody else, or may not."""
    user, owner = who(handler), audit_servers.owner_of_client(handler.db, handler.get_argument("client_id", ""))
    if not owner or not user or owner == user:
        return
    location = urlsplit(handler._headers.get("Location", ""))
    if status == 302 and "code" in parse_qs(location.query):
        audit.record(audit.ACCESS, user, owner=owner, way="page", address=_address(handler))
    elif status == 403:
        audit.record(audit.ACCESS_REFUSED, user, owner=owner, way="page", address=_address(handler))


_entered = audit_servers.Entered()


def identified(handler: Handler, status: int) -> None:
    """Somebody showed a token: where it was a server that asked, its holder is in that server."""
    token = handler.get_token()
    if status != 200 or token is None or token.user is None:
        return
    user = str(token.user.name)
    owner = audit_servers.owner_of_client(handler.db, token.client_id or "")
    if not owner:
        owner = audit_servers.owner_at(handler.db, _address(handler))
    if owner and owner != user and _entered.new(user, owner):
        audit.record(audit.ACCESS, user, owner=owner, way="token")


def spawned(handler: Handler, status: int) -> None:
    """The page that starts a server, asked for one of somebody else."""
    owner = _named(handler)
    if status == 302 and owner not in ("", who(handler)):
        audit.record(audit.SERVER_START, who(handler), owner=owner, way="page")


# --- the API


def _named(handler: Handler, place: int = 0) -> str:
    """A name in the request's path."""
    found = [*handler.path_args, *handler.path_kwargs.values()]
    return str(found[place] or "") if len(found) > place else ""


def _body(handler: Handler) -> dict[str, Any]:
    found = handler.get_json_body()
    return found if isinstance(found, dict) else {}


def _server(event: str) -> Callable[[Handler], None]:
    def noticed(handler: Handler) -> None:
        if (owner := _named(handler)) != who(handler):
            audit.record(event, who(handler), owner=owner, way="api")

    return noticed


def _made_users(handler: Handler) -> None:
    body = _body(handler)
    names = body.get("usernames")
    for name in names if isinstance(names, list) else [_named(handler)]:
        admin = bool(body.get("admin"))
        audit.record(audit.USER_ADDED, who(handler), target=str(name))
        if admin:
            audit.record(audit.ADMIN_CHANGE, who(handler), target=str(name), admin=True)


def _changed_user(handler: Handler) -> None:
    body = _body(handler)
    if "admin" in body:
        audit.record(audit.ADMIN_CHANGE, who(handler), target=_named(handler), admin=bool(body["admin"]))
    if body.get("name", _named(handler)) != _named(handler):
        audit.record(audit.USER_ADDED, who(handler), target=str(body["name"]), was=_named(handler))


def _on(event: str) -> Callable[[Handler], None]:
    def noticed(handler: Handler) -> None:
        audit.record(event, who(handler), target=_named(handler), asked=handler.request.method)

    return noticed


API: dict[tuple[type, str], Callable[[Handler], None]] = {
    (users.UserServerAPIHandler, "POST"): _server(audit.SERVER_START),
    (users.UserServerAPIHandler, "DELETE"): _server(audit.SERVER_STOP),
    (users.UserListAPIHandler, "POST"): _made_users,
    (users.UserAPIHandler, "POST"): _made_users,
    (users.UserAPIHandler, "PATCH"): _changed_user,
    (users.UserAPIHandler, "DELETE"): _on(audit.USER_DELETED),
    (users.UserTokenListAPIHandler, "POST"): _on(audit.TOKEN_MADE),
    (users.UserTokenAPIHandler, "DELETE"): _on(audit.TOKEN_DELETED),
    **{
        (handler, method): _on(audit.GROUP_CHANGE)
        for handler in (groups.GroupListAPIHandler, groups.GroupAPIHandler, groups.GroupUsersAPIHandler)
        for method in ("POST", "DELETE")
    },
    **{
        (handler, method): _on(audit.SHARE_CHANGE)
        for handler in (shares.ServerShareAPIHandler, shares.ServerShareCodeAPIHandler)
        for method in ("POST", "PATCH", "DELETE")
    },
}
"""What of the API is written down once it is done, by handler and method."""

PAGES: dict[tuple[type, str], Callable[[Handler, int], None]] = {
    (OAuthCallbackHandler, "GET"): signed_in,
    (LoginHandler, "POST"): signed_in,
    (LogoutHandler, "GET"): signed_out,
    (OAuthAuthorizeHandler, "GET"): authorized,
    (OAuthAuthorizeHandler, "POST"): authorized,
    (users.SelfAPIHandler, "GET"): identified,
    (users.UserTokenListAPIHandler, "POST"): lambda handler, status: _by_password(handler, status),
    (SpawnHandler, "GET"): spawned,
    (SpawnHandler, "POST"): spawned,
}
"""What else is looked at, whatever came of it."""


def _by_password(handler: Handler, status: int) -> None:
    """A token that was asked for without a session, by what proves who somebody is."""
    if getattr(handler, ATTEMPT, None) is not None:
        signed_in(handler, status)


def notice(handler: Handler) -> None:
    """Write down what a request that is over was, if it is one of those that are. Raises nothing."""
    status, method = handler.get_status(), handler.request.method
    try:
        for (kind, asked), look in PAGES.items():
            if asked == method and isinstance(handler, kind):
                look(handler, status)
        if status < 400:
            for (kind, asked), done in API.items():
                if asked == method and isinstance(handler, kind):
                    done(handler)
    except Exception:
        log.exception("a request could not be written down: %s %s", method, type(handler).__name__)


def log_function(handler: Handler) -> None:
    """JupyterHub's own line about a request, and ours."""
    log_request(handler)
    notice(handler)


def setup(c: Any) -> None:
    """Into the hub's configuration: what sees requests, what sees refusals, and the way to fetch what was seen."""
    c.JupyterHub.tornado_settings.update({"log_function": log_function})
    c.JupyterHub.extra_handlers.append((r"/api/pdshub/audit", SpoolHandler))
    c.JupyterHub.custom_scopes.update({SCOPE: {"description": "Read what happened to people at this hub."}})
    if "authenticator_class" in c.JupyterHub:
        c.JupyterHub.authenticator_class = watched(c.JupyterHub.authenticator_class)
