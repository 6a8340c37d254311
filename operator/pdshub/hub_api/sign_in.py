"""An attempt to sign in, as people do it."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from pdshub.hub_api import address
from pdshub.kube import Kube


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
        address.path_of(base_url)
    except ValueError as error:
        return SignInAttempt(None, str(error))
    timeout = aiohttp.ClientTimeout(total=4 * address.SECONDS)
    # cookies for TLS alone: what is between here and the hub is the cluster's network
    inside = address.public(namespace, "/").origin()
    jar = aiohttp.CookieJar(unsafe=True, treat_as_secure_origin=inside)
    try:
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=jar) as session:
            return await _attempt(session, namespace, base_url, credentials, by)
    except TimeoutError:
        return SignInAttempt(None, f"the hub did not answer within {4 * address.SECONDS:.0f} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return SignInAttempt(None, f"the hub does not answer: {error}")


async def _attempt(
    session: aiohttp.ClientSession, namespace: str, base_url: str, credentials: Credentials, by: str
) -> SignInAttempt:
    """The attempt itself. Raises aiohttp.ClientError and ValueError."""

    def page(name: str) -> URL:
        return address.public(namespace, address.path_of(base_url, name))

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
