"""The only door to surveyors: what a view should be goes in, what its surveyor keeps comes out. Mutual TLS.

A surveyor reads untrusted archives: its answers are bounded in size and time, and validated before they are used.
"""

from __future__ import annotations

import ssl
from typing import Any, Literal
from urllib.parse import quote, urlencode

import aiohttp
from pydantic import Field, ValidationError, model_validator

from pdshub import tls_names
from pdshub.api.base import StatusModel
from pdshub.api.generation import Changes, Counts, FindingCounts
from pdshub.generation_id import NAME

TIMEOUT = 5.0
"""Seconds for one request: a surveyor answers from memory."""
DIFF_SECONDS = 2
"""Seconds for which a look waits for a comparison; one that takes longer is asked for again with the next look."""
STILL_AT_IT = 202
LIMIT = 8 << 20
"""Bytes of an answer; a state with 100 generations has some 60 kB."""


class SurveyError(Exception):
    """The surveyor did not answer, or with something that is no answer; the text says why."""


def reason(error: Exception) -> str:
    """Why a connection failed, in one line without the addresses of objects in memory that aiohttp's words hold."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is refused: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{error.host} port {error.port}: {error.os_error.strerror or error.os_error}"
    return next(iter(str(error).splitlines()), type(error).__name__)


class Answer(StatusModel):
    """Base of what is received: null is as good as left out."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


class Guard(Answer):
    """Whether a generation lost more files than the view's threshold allows, compared with the one before."""

    accepted: bool = True


class Layer(Answer):
    """One layer of an entry, as the survey found it."""

    source: str = Field(default="", max_length=63)
    path: str = Field(default="", max_length=512)
    found: Literal["files", "missing", "denied", "empty", "settling"] = "files"


class Entry(Answer):
    """One entry of the tree."""

    path: str = Field(default="", max_length=512)
    layers: list[Layer] = Field(default_factory=list, max_length=8)


class Generation(Answer):
    """One generation of the store."""

    name: str = Field(pattern=f"^{NAME.pattern}$")
    as_of: str = ""
    counts: Counts = Field(default_factory=Counts)
    entries: list[Entry] = Field(default_factory=list, max_length=32)
    findings: FindingCounts = Field(default_factory=FindingCounts)
    guard: Guard = Field(default_factory=Guard)
    previous: str = ""
    changes: Changes = Field(default_factory=Changes)


class Progress(Answer):
    """The survey at work, or the last one."""

    state: str = "idle"
    phase: str = ""
    message: str = ""
    last_finished: str = ""
    request: str = ""


class Verified(Answer):
    """A generation compared with its sources; while that runs, the result before it if there is one."""

    generation: str = ""
    state: str = ""
    message: str = ""
    files: int | None = None
    drifted: int = 0
    examples: list[str] = Field(default_factory=list)


class State(Answer):
    """Everything that a surveyor says of itself."""

    view: str = ""
    spec: str | None = None
    survey: Progress = Field(default_factory=Progress)
    generations: list[Generation] = Field(default_factory=list, max_length=1000)
    verify: Verified | None = None


class DatasetDiff(Answer):
    """Datasets that differ."""

    added: list[Any] = Field(default_factory=list)
    removed: list[Any] = Field(default_factory=list)
    replaced: list[Any] = Field(default_factory=list)


class Number(Answer):
    """How many files of one kind."""

    count: int = 0


class FileDiff(Answer):
    """Files that differ."""

    added: Number = Field(default_factory=Number)
    removed: Number = Field(default_factory=Number)
    replaced: Number = Field(default_factory=Number)


class Diff(Answer):
    """Two generations compared, as pdshub.archive.diff says it."""

    datasets: DatasetDiff = Field(default_factory=DatasetDiff)
    files: FileDiff = Field(default_factory=FileDiff)


def counted(found: Diff) -> Changes:
    """A diff in numbers."""
    return Changes(
        datasets_added=len(found.datasets.added),
        datasets_removed=len(found.datasets.removed),
        datasets_replaced=len(found.datasets.replaced),
        files_added=found.files.added.count,
        files_removed=found.files.removed.count,
        files_replaced=found.files.replaced.count,
    )


class SurveyApi:
    """Requests to surveyors."""

    async def _request(
        self, tls: ssl.SSLContext, method: str, address: str, path: str, body: dict[str, Any] | None = None
    ) -> tuple[int, bytes]:
        """Status (below 300) and body of the answer. Raises SurveyError."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        url = f"https://{address}{path}"
        try:
            # a connection for each request: a kept one would outlive a renewed certificate
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(method, url, json=body, ssl=tls, server_hostname=tls_names.SURVEYOR) as answer,
            ):
                data = await answer.content.read(LIMIT + 1)
                while len(data) <= LIMIT and (more := await answer.content.read(LIMIT + 1 - len(data))):
                    data += more
                if len(data) > LIMIT:
                    raise SurveyError(f"the surveyor answers {method} {path} with more than {LIMIT >> 20} MB")
                if answer.status >= 300:
                    words = data[:300].decode(errors="replace").strip()
                    raise SurveyError(f"the surveyor answers {method} {path} with {answer.status}: {words}")
                return answer.status, data
        except TimeoutError:
            raise SurveyError(f"the surveyor did not answer within {TIMEOUT:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SurveyError(f"the surveyor does not answer: {reason(error)}") from None

    async def put_spec(self, tls: ssl.SSLContext, address: str, body: dict[str, Any]) -> None:
        """Say what the view should be; the same twice changes nothing. Raises SurveyError."""
        await self._request(tls, "PUT", address, "/spec", body)

    async def state(self, tls: ssl.SSLContext, address: str) -> State:
        """What the surveyor keeps and does. Raises SurveyError."""
        _, data = await self._request(tls, "GET", address, "/state")
        try:
            return State.model_validate_json(data)
        except ValidationError as error:
            raise SurveyError(f"the surveyor's state is not understood: {error.errors()[0]['msg']}") from None

    async def changes(self, tls: ssl.SSLContext, address: str, before: str, after: str) -> Changes | None:
        """What differs between two generations, or between the sources (``before`` is live) and one.

        None while that is worked out. Raises SurveyError.
        """
        query = urlencode({"from": before, "to": after, "limit": "0", "wait": str(DIFF_SECONDS)}, quote_via=quote)
        status, data = await self._request(tls, "GET", address, f"/diff?{query}")
        if status == STILL_AT_IT:
            return None
        try:
            return counted(Diff.model_validate_json(data))
        except ValidationError as error:
            raise SurveyError(f"the surveyor's diff is not understood: {error.errors()[0]['msg']}") from None
