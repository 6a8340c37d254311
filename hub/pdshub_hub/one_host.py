"""A hub answers under its own name alone, where each server has a name below it.

The proxy sends the hub whatever it has no other route for: ``/hub/login`` under the name of a user's server, too.
Whoever signed in there would give a session to an origin that is that user's. Each address of the hub under such a name
leads to the same one under the hub's. Style sheets and pictures are answered: pages that say that a server is gone need
them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from jupyterhub.handlers.base import BaseHandler

Prepare = Callable[[BaseHandler], Awaitable[None]]


def host_of(header: str) -> str:
    """The name in a ``Host`` header, in lower case, without port and final dot. Source: RFC 9110, section 7.2."""
    return (urlsplit(f"//{header}").hostname or "").rstrip(".")


def is_below(header: str, domain: str) -> bool:
    """Whether a ``Host`` header names something below ``domain``, as servers are. Names inside the cluster do not."""
    try:
        return host_of(header).endswith(f".{domain.lower()}")
    except ValueError:  # no host at all
        return True


def there(public: str, uri: str) -> str:
    """A path and query of a request, at the hub's public address."""
    parts, path = urlsplit(public), uri.partition("?")
    return urlunsplit((parts.scheme, parts.netloc, f"/{path[0].lstrip('/')}", path[2], ""))


def guarded(prepare: Prepare, public: str, domain: str) -> Prepare:
    """``BaseHandler.prepare`` that answers nothing of the hub under the name of a server."""

    async def _prepare(self: BaseHandler) -> None:
        request, prefix = self.request, self.hub.base_url
        if not (is_below(request.host, domain) and f"{request.path}/".startswith(prefix)):
            await prepare(self)
            return
        # nobody is anybody here, whatever cookies came
        self._jupyterhub_user, self.expanded_scopes, self.parsed_scopes = None, set(), {}
        if request.method not in ("GET", "HEAD"):
            # no page: one would set the cookie of a form
            self.set_status(HTTPStatus.FORBIDDEN)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(f"The hub answers at {public} alone.\n")
            return
        self.redirect(there(public, request.uri))

    return _prepare


def setup(c: Any) -> None:
    """Guard the hub where ``subdomain_host`` is set. ``c``: the configuration that JupyterHub loads."""
    public = c.JupyterHub.get("subdomain_host")
    if isinstance(public, str) and public:
        whole = public if "://" in public else f"https://{public}"
        BaseHandler.prepare = guarded(BaseHandler.prepare, whole, urlsplit(whole).hostname or "")
