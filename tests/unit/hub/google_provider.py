"""An OpenID provider that speaks as Google does: its paths and its claims, over oidc-provider-mock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import oidc_provider_mock
import requests
from werkzeug.serving import make_server

os.environ.setdefault("AUTHLIB_INSECURE_TRANSPORT", "1")
PATHS = {
    "/o/oauth2/v2/auth": "/oauth2/authorize",
    "/oauth2/v4/token": "/oauth2/token",
    "/oauth2/v1/userinfo": "/userinfo",
}
"""Google's paths, and those of the mock. Source: OAuthenticator 17.4, google.py."""


class Google:
    """The WSGI application: the mock, whose pages are found at Google's paths."""

    def __init__(self) -> None:
        self.app = oidc_provider_mock.app()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        environ["PATH_INFO"] = PATHS.get(environ["PATH_INFO"], environ["PATH_INFO"])
        return self.app(environ, start)


def urls(base: str) -> dict[str, str]:
    """``signIn.google`` of an installation whose hubs go to ``base``."""
    authorize, token, userdata = (base + path for path in PATHS)
    return {"authorizeUrl": authorize, "tokenUrl": token, "userdataUrl": userdata}


def account(base: str, sub: str, email: str, **claims: Any) -> str:
    """Make an account, with a verified e-mail address unless told otherwise; returns ``sub``."""
    domain = email.rpartition("@")[2]
    body = {"id": sub, "email": email, "verified_email": True, "hd": domain, **claims}
    requests.put(f"{base}/users/{sub}", json={k: v for k, v in body.items() if v is not None}, timeout=10)
    return sub


@contextmanager
def running(host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """The provider on this machine, by default at a free port; gives its base URL, as it is here."""
    server = make_server(host, port, Google(), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
