"""The operator as a service of a hub: what it asks for and does with its token, each call with an end.

Answers are bounded in size and time, and redirects are answers.
Source: JupyterHub 5, REST API.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from pdshub.hub_api import address
from pdshub.hub_api.users import HubUser, user_of
from pdshub.kube import Kube

_SECONDS = 20.0
"""For one call; a hub waits 10 s for a server to stop before it answers that it is still at it."""
_BYTES = 8 << 20
"""Of an answer; a page of users has some 100 KiB."""
_PAGE = 200
"""Users in an answer: JupyterHub's own bound (api_page_max_limit)."""
_PAGES = 1000
_PAGINATED = "application/jupyterhub-pagination+json"


class HubError(Exception):
    """The hub refused a call. ``status`` is the HTTP status, 0 when it did not answer, or nothing sensible."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def of_token(self) -> bool:
        """Whether the hub does not take the token, or the token may not do this."""
        return self.status in (401, 403)


class HubClient:
    """Calls of one hub. All raise HubError."""

    def __init__(self, session: aiohttp.ClientSession, root: URL, token: str) -> None:
        """``root``: the URL of the hub's API without a slash at its end."""
        self._session, self._root, self._token = session, root, token

    def _url(self, parts: tuple[str, ...], query: Mapping[str, str]) -> URL:
        """The URL of names that others chose: none can leave its place in the path."""
        if any(set(part) <= {"."} for part in parts if part):
            raise HubError("a name of dots alone has no place in the hub's API")
        path = "/".join([self._root.raw_path, *(quote(part, safe="@") for part in parts)])
        return self._root.with_path(path, encoded=True).with_query(query)

    async def _call(
        self,
        method: str,
        *parts: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        also: tuple[int, ...] = (),
        seconds: float = _SECONDS,
    ) -> tuple[int, Any]:
        """One call: its status and the JSON of its answer, None for none. A status above 299 has to be in ``also``."""
        headers = {"Authorization": f"token {self._token}", "Accept": _PAGINATED}
        url, end = self._url(parts, query or {}), aiohttp.ClientTimeout(total=seconds)
        options: Any = {"headers": headers, "json": body, "allow_redirects": False, "timeout": end}
        try:
            async with self._session.request(method, url, **options) as answer:
                data = b""
                async for chunk in answer.content.iter_chunked(1 << 16):
                    data += chunk
                    if len(data) > _BYTES:
                        raise HubError(f"the hub's answer has more than {_BYTES >> 20} MiB")
                status = answer.status
        except TimeoutError:
            raise HubError(f"the hub did not answer within {seconds:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise HubError(f"the hub does not answer: {type(error).__name__}") from None
        if status >= 300 and status not in also:
            raise HubError(f"the hub answers {status} to {method} {parts[0]}", status)
        try:
            return status, json.loads(data) if data.strip()[:1] in (b"{", b"[") else None
        except (ValueError, RecursionError):
            raise HubError("the hub's answer is no JSON") from None

    # --- the list

    async def list_in_effect(self) -> tuple[str, str]:
        """Digest of the list that the hub goes by now, and what it has against a newer one."""
        _, found = await self._call("GET", "pdshub", "people")
        if not isinstance(found, Mapping) or not isinstance(found.get("digest"), str):
            raise HubError("the hub does not say by which list it goes")
        return found["digest"], str(found.get("trouble") or "")[:500]

    async def admits(self, user: str) -> bool:
        """Whether the hub would let somebody in who is on no list by name: by a group that they are a member of."""
        _, found = await self._call("GET", "pdshub", "people", query={"user": user})
        if not isinstance(found, Mapping) or not isinstance(found.get("allowed"), bool):
            raise HubError("the hub does not say whether a user is allowed")
        return bool(found["allowed"])

    # --- what it wrote down

    async def spool(self, run: str, after: int, limit: int, wait: int) -> Any:
        """What the hub wrote down after an entry of one of its runs: JSON that is not looked at here.

        ``wait``: seconds for which the hub may wait for something to tell.
        """
        query = {"run": run, "after": str(after), "limit": str(limit), "wait": str(wait)}
        _, found = await self._call("GET", "pdshub", "audit", query=query, seconds=wait + _SECONDS)
        return found

    # --- earlier versions

    async def questions(self, run: str, after: int, wait: int) -> Any:
        """What people ask of their earlier versions: JSON that is not looked at here.

        ``wait``: seconds for which the hub may wait for a question after number ``after`` of one of its runs.
        """
        query = {"run": run, "after": str(after), "wait": str(wait)}
        _, found = await self._call("GET", "pdshub", "earlier", query=query, seconds=wait + _SECONDS)
        return found

    async def answer(self, body: Mapping[str, Any]) -> bool:
        """Answer a question; False where it is not open any more."""
        status, _ = await self._call("POST", "pdshub", "earlier", body=dict(body), also=(404,))
        return status != 404

    async def warn(self, user: str, id: str, message: str, seconds: float) -> None:
        """Warn somebody who works in their server of something in so many seconds; the same ``id`` is the same."""
        body = {"id": id, "user": user, "message": message, "seconds": seconds}
        await self._call("POST", "pdshub", "warnings", body=body)

    # --- users

    async def users(self) -> list[HubUser]:
        """Everybody in the hub's database, page by page."""
        found: dict[str, HubUser] = {}
        for page in range(_PAGES):
            query = {"offset": str(page * _PAGE), "limit": str(_PAGE)}
            _, answer = await self._call("GET", "users", query=query)
            items = answer.get("items") if isinstance(answer, Mapping) else None
            if not isinstance(items, list):
                raise HubError("the hub's list of users is none")
            try:
                found |= {user.name: user for user in map(user_of, items)}
            except ValueError as error:
                raise HubError(f"the hub's list of users has {error}") from None
            if len(items) < _PAGE:
                return list(found.values())
        raise HubError(f"the hub lists more than {_PAGES * _PAGE} users")

    async def user(self, name: str) -> HubUser | None:
        """One user, None where there is none."""
        status, found = await self._call("GET", "users", name, also=(404,))
        try:
            return None if status == 404 else user_of(found)
        except ValueError as error:
            raise HubError(f"the hub answers with {error}") from None

    # --- taking away

    async def stop(self, user: str, server: str) -> bool:
        """Ask for a server's end; True when it has ended. A start that is under way is broken off."""
        where = ("users", user, "servers", server) if server else ("users", user, "server")
        status, _ = await self._call("DELETE", *where, also=(404,))
        return status != 202

    async def tokens(self, user: str) -> list[str]:
        """The ids of a user's API and OAuth tokens, those of servers too."""
        status, found = await self._call("GET", "users", user, "tokens", also=(404,))
        listed = found.get("api_tokens") if isinstance(found, Mapping) else None
        if status == 404:
            return []
        if not isinstance(listed, list):
            raise HubError("the hub's list of tokens is none")
        return [str(token["id"]) for token in listed if isinstance(token, Mapping) and token.get("id")]

    async def end_token(self, user: str, token: str) -> None:
        """End one token."""
        await self._call("DELETE", "users", user, "tokens", token, also=(404,))

    async def leave(self, user: str, group: str) -> bool:
        """Take a user out of a group; False where the authenticator alone manages groups: it goes with the record."""
        status, _ = await self._call("DELETE", "groups", group, "users", body={"users": [user]}, also=(400, 403, 404))
        return status < 300 or status == 404

    async def shared_with(self, user: str) -> list[tuple[str, str]]:
        """Servers of others that a user may enter: owner and server."""
        status, found = await self._call("GET", "users", user, "shared", also=(404,))
        items = found.get("items") if isinstance(found, Mapping) else None
        if status == 404 or not isinstance(items, list):
            return []
        servers = [item.get("server") for item in items if isinstance(item, Mapping)]
        pairs = [((s.get("user") or {}).get("name"), s.get("name")) for s in servers if isinstance(s, Mapping)]
        return [(str(owner), str(name or "")) for owner, name in pairs if owner]

    async def end_share(self, user: str, owner: str, server: str) -> None:
        """Take away that a user may enter another's server."""
        await self._call("DELETE", "users", user, "shared", owner, server, also=(404,))

    async def delete(self, user: str) -> bool:
        """Delete a user's record; False while a server of theirs stops.

        With it go sessions, the admin's role, groups, and what others were let into of theirs.
        """
        status, _ = await self._call("DELETE", "users", user, also=(400, 404))
        return status != 400


@asynccontextmanager
async def connect(kube: Kube, namespace: str, base_url: str, token: str) -> AsyncIterator[HubClient]:
    """The API of a namespace's hub. Raises HubError where it cannot be asked."""
    if not kube.in_cluster:
        raise HubError("the hub is only asked from inside the cluster")
    try:
        root = address.public(namespace, address.path_of(base_url, "api"))
    except ValueError as error:
        raise HubError(str(error)) from None
    async with opened(root, token) as client:
        yield client


@asynccontextmanager
async def opened(root: URL, token: str) -> AsyncIterator[HubClient]:
    """The API at a URL."""
    # no cookies: a hub that answers with one must not steer the next call
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield HubClient(session, root, token)
