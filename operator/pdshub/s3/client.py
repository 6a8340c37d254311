"""Asks one bucket: pages of its listing and objects. Every request is counted, and a bound ends it.

A listing goes on behind the last key that was read, so one that broke loses nothing: it is asked for again from there.
Answers are bounded in size and time, redirections are not followed, and no proxy is taken from the environment.
"""

from __future__ import annotations

import errno
import io
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, cast
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from pdshub.s3 import page
from pdshub.s3.bucket import Bucket, S3Error
from pdshub.s3.page import NAMES, Object, Page
from pdshub.s3.signing import Signer

TRIES = 5
PAUSE = 1.0
"""Seconds before the second try; doubled before each further one."""
CONNECT, READ = 5.0, 30.0
PAGE_SECONDS = 120.0
_AGAIN = (429, 500, 502, 503, 504)
_CHUNK = 64 << 10
_WORDS = {
    301: "the bucket is in another region",
    307: "the bucket is in another region",
    400: "the service refuses the request: is the region right?",
    403: "the service refuses the keys",
    404: "there is no such bucket, or no such object",
}


@dataclass
class Count:
    """Requests that were asked, by what AWS prices them as."""

    limit: int = 0
    """None beyond; 0: unbounded."""
    lists: int = 0
    gets: int = 0

    @property
    def all(self) -> int:
        """Every request, also those that failed."""
        return self.lists + self.gets

    def one(self, listing: bool) -> None:
        """Another request. Raises S3Error where it would be one too many."""
        if self.limit and self.all >= self.limit:
            raise S3Error(
                f"it needs more than {self.limit} requests: raise limits.requestsPerSurvey of the source, or lower "
                "what is read"
            )
        self.lists, self.gets = self.lists + listing, self.gets + (not listing)


class Client:
    """One bucket. ``tell`` hears each page, with what was read so far."""

    def __init__(
        self,
        bucket: Bucket,
        count: Count | None = None,
        tell: Callable[[int], None] = lambda n: None,
        keys: tuple[str, str] | None = None,
    ) -> None:
        self.bucket, self.count = bucket, count or Count()
        self._tell, self._signer = tell, Signer(bucket, keys)
        context = ssl.create_default_context(cafile=str(bucket.authority) if bucket.authority else None)
        self._pool = urllib3.PoolManager(
            maxsize=8, ssl_context=context, retries=False, timeout=urllib3.Timeout(connect=CONNECT, read=READ)
        )

    def objects(self, folder: str = "", after: str = "") -> Iterator[Object]:
        """Every object of the bucket's folder, and of ``folder`` in it, in the order of keys. Raises S3Error.

        ``after``: only keys behind this one.
        """
        prefix = self.bucket.top + (f"{folder}/" if folder else "")
        last, seen = after.encode(), 0
        while True:
            found = self.page(prefix, last)
            for one in found.objects:
                if one.key <= last or not one.key.startswith(prefix.encode()):
                    raise S3Error("the listing is not in the order of its keys, or has others than were asked for")
                last = one.key
                yield one
            seen += len(found.objects)
            self._tell(seen)
            if not found.more:
                return
            if not found.objects:
                raise S3Error("the listing says that it goes on, and has nothing")

    def page(self, prefix: str, after: bytes = b"", names: int = NAMES) -> Page:
        """At most so many objects behind a key. Raises S3Error."""
        query: dict[str, Any] = {
            "list-type": 2, "encoding-type": "url", "max-keys": names, "prefix": prefix, "start-after": after,
        }  # fmt: skip
        url = f"{self.bucket.address()}?{urlencode({k: v for k, v in query.items() if v != b'' and v != ''})}"
        return page.parse(self._again(lambda: self._whole(url)))

    def open(self, key: str, etag: str, size: int) -> BinaryIO:
        """An object's bytes, if it is still the one with this ETag. To be closed. Raises OSError."""
        try:
            response = self._again(lambda: self._ask(self.bucket.address(key), False, {"If-Match": f'"{etag}"'}))
        except S3Error as error:
            if error.status == 403:
                raise PermissionError(errno.EACCES, "the service refuses the keys for it") from None
            if error.status == 404:
                raise FileNotFoundError(errno.ENOENT, "it is not there any more") from None
            raise
        return cast(BinaryIO, io.BufferedReader(_Body(response, size), _CHUNK))

    def _again(self, ask: Callable[[], Any]) -> Any:
        pause = PAUSE
        for number in range(1, TRIES + 1):
            try:
                return ask()
            except FileNotFoundError:
                raise
            except S3Error as error:
                if number == TRIES or error.status not in _AGAIN:
                    raise
            except (HTTPError, OSError) as error:
                if number == TRIES:
                    raise S3Error(f"{self.bucket.url} does not answer: {_reason(error)}") from None
            time.sleep(pause)
            pause *= 2
        raise AssertionError

    def _ask(self, url: str, listing: bool, more: dict[str, str]) -> urllib3.BaseHTTPResponse:
        headers = self._signer.headers(url, {"Accept-Encoding": "identity", **more})
        self.count.one(listing)
        response = self._pool.request("GET", url, headers=headers, preload_content=False, redirect=False)
        if response.status not in (200, 206):
            response.close()
            if response.status == 412:
                raise FileNotFoundError(errno.ENOENT, "another object has its name now")
            text = _WORDS.get(response.status, "the service does not do it")
            raise S3Error(f"{self.bucket.place}: {text} (HTTP {response.status})", response.status)
        return response

    def _whole(self, url: str) -> bytes:
        end, parts, size = time.monotonic() + PAGE_SECONDS, list[bytes](), 0
        response = self._ask(url, True, {})
        try:
            while part := response.read(_CHUNK):
                size += len(part)
                parts.append(part)
                if size > page.LARGEST:
                    raise S3Error(f"a page of the listing is larger than {page.LARGEST >> 20} MiB", 413)
                if time.monotonic() > end:
                    raise S3Error("a page of the listing takes too long", 408)
        finally:
            response.close() if parts and size > page.LARGEST else response.release_conn()
        return b"".join(parts)

    def close(self) -> None:
        """Give all connections back."""
        self._pool.clear()


class _Body(io.RawIOBase):
    """An answer's body as a file: as many bytes as the listing says, and no more."""

    def __init__(self, response: urllib3.BaseHTTPResponse, size: int) -> None:
        self._response, self._left = response, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        room = min(len(buffer), self._left)
        if not room:
            return 0
        try:
            data = self._response.read(room)
        except HTTPError as error:
            raise S3Error(f"an object cannot be read: {_reason(error)}") from None
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            with suppress(HTTPError, OSError):
                self._response.close()
        super().close()


def _reason(error: Exception) -> str:
    """The innermost cause in words: those of urllib3 name objects of Python."""
    reason: BaseException = error
    while (inner := getattr(reason, "reason", None) or reason.__cause__) is not None and isinstance(
        inner, BaseException
    ):
        reason = inner
    if isinstance(reason, ssl.SSLError):
        return f"its certificate is not believed ({reason.reason})"
    if isinstance(reason, OSError) and reason.strerror:
        return str(reason.strerror)
    return type(reason).__name__
