"""Every request to JupyterHub goes through here: over the proxy, as people come in, so that an answer proves both."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from pdshub.kube import Kube, KubeError

PROXY_SERVICE = "proxy-public"
"""The Service in front of the proxy, as the zero-to-jupyterhub chart names it."""
_SECONDS = 4.0
_BASE = re.compile(r"(/[A-Za-z0-9_~@:,;=+!$&'()*.-]+)*/?")
"""A base URL as hub charts take it. It comes from values, which others write: nothing of it may end the path."""


def path_of(base_url: str, page: str = "health") -> str:
    """The path of a page of a hub; by default the one that tells its health.

    Raises ValueError for a base that is no plain path.
    """
    if not _BASE.fullmatch(base_url) or {".", ".."} & set(base_url.split("/")):
        raise ValueError("hub.baseUrl is no plain path: the hub is not asked anything")
    return f"{base_url.rstrip('/')}/hub/{page}"


def _public(namespace: str, path: str) -> URL:
    """The proxy's Service, from parts: no part can name another host."""
    return URL.build(scheme="http", host=f"{PROXY_SERVICE}.{namespace}.svc", path=path)


async def healthy(kube: Kube, namespace: str, base_url: str = "/") -> str:
    """Ask the hub whether it is well; empty when it is, else what was the matter.

    Outside the cluster the API server passes the question on.
    """
    try:
        path = path_of(base_url)
    except ValueError as error:
        return str(error)
    try:
        if not kube.in_cluster:
            await kube.raw("GET", f"/api/v1/namespaces/{namespace}/services/{PROXY_SERVICE}:http/proxy{path}")
            return ""
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        url = _public(namespace, path)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            return "" if answer.status == 200 else f"the hub answers {answer.status} at {path}"
    except TimeoutError:
        return f"the hub did not answer within {_SECONDS:.0f} s at {path}"
    except (aiohttp.ClientError, OSError) as error:
        return f"the hub does not answer at {path}: {error}"
    except KubeError as error:
        return f"the hub does not answer at {path}: {error}"
    except asyncio.IncompleteReadError:
        return f"the hub broke off its answer at {path}"


@dataclass(frozen=True)
class Credentials:
    """What somebody types into the hub's form."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class SignInAttempt:
    """How an attempt to sign in ended. ``admitted`` is None where it told nothing; ``said`` is it in words."""

    admitted: bool | None
    said: str


async def try_sign_in(
    kube: Kube, namespace: str, base_url: str, credentials: Credentials, by: str = ""
) -> SignInAttempt:
    """Try to sign in as people do: get the form, fill it in, and see whether the hub shows a home.

    ``by`` is the host that has to prove who somebody is; empty where the form itself does. The attempt is made from
    inside the cluster only. Raises nothing. Source: JupyterHub 5, jupyterhub/handlers/login.py.
    """
    if not kube.in_cluster:
        return SignInAttempt(None, "a sign-in is only tried from inside the cluster")
    try:
        path_of(base_url)
    except ValueError as error:
        return SignInAttempt(None, str(error))
    timeout = aiohttp.ClientTimeout(total=4 * _SECONDS)
    jar = aiohttp.CookieJar(unsafe=True)
    try:
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=jar) as session:
            return await _attempt(session, namespace, base_url, credentials, by)
    except TimeoutError:
        return SignInAttempt(None, f"the hub did not answer within {4 * _SECONDS:.0f} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return SignInAttempt(None, f"the hub does not answer: {error}")


async def _attempt(
    session: aiohttp.ClientSession, namespace: str, base_url: str, credentials: Credentials, by: str
) -> SignInAttempt:
    """The attempt itself. Raises aiohttp.ClientError and ValueError."""

    def page(name: str) -> URL:
        return _public(namespace, path_of(base_url, name))

    async with session.get(page("login"), allow_redirects=False) as answer:
        if answer.status >= 500:
            return SignInAttempt(None, f"the hub answers {answer.status} at its form")
    token = next((cookie.value for cookie in session.cookie_jar if cookie.key == "_xsrf"), "")
    if not token and not by:
        return SignInAttempt(None, "the hub's form has no token, so it can not be filled in")
    form = {"username": credentials.name, "password": credentials.password, "_xsrf": token}
    async with session.post(page("login"), data=form, allow_redirects=False) as answer:
        refused = answer.status
    async with session.get(page("home"), allow_redirects=False) as answer:
        if answer.status == 200:
            return SignInAttempt(True, f"{credentials.name}, a name on no list, was let in")
    if by:
        async with session.get(page("oauth_login"), allow_redirects=False) as answer:
            where = urlsplit(answer.headers.get("Location", "")).hostname or "no other host"
        if where != by:
            return SignInAttempt(None, f"the hub sends people to {where[:100]} to sign in, not to {by}")
    return SignInAttempt(False, f"a name on no list was refused ({refused})")
