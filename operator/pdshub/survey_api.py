"""The only door to surveyors: what a view should be goes in, what its surveyor keeps comes out. Mutual TLS.

A surveyor reads untrusted archives: its answers are bounded in size and time, and validated before they are used.
"""

from __future__ import annotations

import ssl
from typing import Any, NamedTuple, TypeVar

import aiohttp
from pydantic import ValidationError
from yarl import URL

from pdshub import tls_names
from pdshub.api.decision import plain
from pdshub.api.generation import Changes
from pdshub.api.survey import MAX_VALUES, Answer, Diff, SpecTaken, State, refused_field, values_at_most

TIMEOUT = 5.0
"""Seconds for one request: a surveyor answers from memory."""
DIFF_SECONDS = 2
"""Seconds for which a look waits for a comparison; one that takes longer is asked for again with the next look."""
STILL_AT_IT = 202
LIMIT = 8 << 20
"""Bytes of an answer; a state with 100 generations has some 60 kB."""
WORDS = 300
"""Characters of what a surveyor says of an error."""
_PLAIN = {"Accept-Encoding": "identity"}
_Answer = TypeVar("_Answer", bound=Answer)


class Where(NamedTuple):
    """A view's surveyor: no other one is believed, whatever answers at its address."""

    address: str
    """ip:port"""
    view: str


class SurveyError(Exception):
    """The surveyor did not answer, or with something that is no answer; the text says why."""


def reason(error: Exception) -> str:
    """Why a connection failed, in one line without the addresses of objects in memory that aiohttp's words hold."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is refused: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{error.host} port {error.port}: {error.os_error.strerror or error.os_error}"
    return next(iter(str(error).splitlines()), type(error).__name__)


def _url(address: str, path: str, query: dict[str, str]) -> URL:
    """From parts, so that no part can name another host. Raises ValueError for an address that is not ip:port."""
    host, _, port = address.rpartition(":")
    return URL.build(scheme="https", host=host.strip("[]"), port=int(port), path=path, query=query)


def _read(model: type[_Answer], data: bytes, what: str) -> _Answer:
    """An answer as its model. Raises SurveyError, which names the field that is refused."""
    if values_at_most(data) > MAX_VALUES:
        raise SurveyError(f"the surveyor's {what} is not understood: it has more than {MAX_VALUES} values")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise SurveyError(f"the surveyor's {what} is not understood: {refused_field(error)}") from None


class SurveyApi:
    """Requests to surveyors. ``tls`` is the operator's context."""

    async def _request(
        self,
        tls: ssl.SSLContext,
        method: str,
        where: Where,
        path: str,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Status (below 300) and body of the answer. Raises SurveyError.

        A redirect is an error, as it could lead anywhere, and nothing is unpacked, as a little could become much.
        """
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        name = tls_names.surveyor(where.view)
        try:
            url = _url(where.address, path, query or {})
            # a connection for each request: a kept one would outlive a renewed certificate
            async with (
                aiohttp.ClientSession(timeout=timeout, auto_decompress=False, headers=_PLAIN) as session,
                session.request(method, url, json=body, ssl=tls, server_hostname=name, allow_redirects=False) as answer,
            ):
                data = await answer.content.read(LIMIT + 1)
                while len(data) <= LIMIT and (more := await answer.content.read(LIMIT + 1 - len(data))):
                    data += more
                if len(data) > LIMIT:
                    raise SurveyError(f"the surveyor answers {method} {path} with more than {LIMIT >> 20} MB")
                if answer.status >= 300:
                    words = plain(data[: 4 * WORDS].decode(errors="replace"), WORDS)
                    raise SurveyError(f"the surveyor answers {method} {path} with {answer.status}: {words}")
                return answer.status, data
        except TimeoutError:
            raise SurveyError(f"the surveyor did not answer within {TIMEOUT:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SurveyError(f"the surveyor does not answer: {reason(error)}") from None

    async def put_spec(self, tls: ssl.SSLContext, where: Where, body: dict[str, Any]) -> SpecTaken:
        """Say what the view should be; the same twice changes nothing. Returns its digests. Raises SurveyError."""
        _, data = await self._request(tls, "PUT", where, "/spec", body)
        return _read(SpecTaken, data, "answer to PUT /spec")

    async def state(self, tls: ssl.SSLContext, where: Where) -> State:
        """What the surveyor keeps and does. Raises SurveyError."""
        _, data = await self._request(tls, "GET", where, "/state")
        return _read(State, data, "state")

    async def changes(self, tls: ssl.SSLContext, where: Where, before: str, after: str) -> Changes | None:
        """What differs between two generations, or between the sources (``before`` is live) and one.

        None while that is worked out. Raises SurveyError.
        """
        query = {"from": before, "to": after, "limit": "0", "wait": str(DIFF_SECONDS)}
        status, data = await self._request(tls, "GET", where, "/diff", query=query)
        return None if status == STILL_AT_IT else _read(Diff, data, "diff").counted()
