"""How ``kubectl pdshub proxy check`` speaks: HTTP/1.1 and websockets over TLS, with the standard library alone.

Paths and headers are sent byte by byte as they are written; nothing follows a redirect.
Sources: RFC 9112 (HTTP/1.1), RFC 6455 (websockets), RFC 7301 (ALPN).
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

SECONDS = 30.0
MOST = 64 << 20
"""Bytes that are read of an answer, and of a message on a websocket."""
PIECE = 1 << 16
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class DoorError(Exception):
    """No connection, or no answer that can be understood; the text says which."""


@dataclass(frozen=True)
class Answer:
    """An answer; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    local: str = ""
    """The address of this machine on that connection."""

    def json(self) -> Any:
        """What the body holds as JSON. Raises DoorError."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise DoorError(f"an answer with status {self.status} is no JSON") from None


@dataclass(frozen=True)
class Door:
    """Where to connect, and under which name. ``address`` empty: where the name leads."""

    name: str
    port: int = 443
    address: str = ""
    context: ssl.SSLContext | None = None
    """None: plain HTTP."""

    @property
    def host(self) -> str:
        """What the header ``Host`` says."""
        return self.name if self.port == (443 if self.context else 80) else f"{self.name}:{self.port}"

    def connect(self, seconds: float = SECONDS) -> socket.socket:
        """A connection, under TLS where there is a context. Raises DoorError, ssl.SSLError."""
        try:
            plain = socket.create_connection((self.address or self.name, self.port), seconds)
        except OSError as error:
            raise DoorError(f"{self.address or self.name} port {self.port}: {error.strerror or error}") from error
        if self.context is None:
            return plain
        try:
            return self.context.wrap_socket(plain, server_hostname=self.name)
        except ssl.SSLError:
            plain.close()
            raise
        except OSError as error:
            plain.close()
            raise DoorError(f"{self.name} port {self.port}: TLS: {error.strerror or error}") from error

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        seconds: float = SECONDS,
    ) -> Answer:
        """One request on a connection of its own. Raises DoorError, ssl.SSLError."""
        connection = self._sent(path, method, headers or {}, body, seconds)
        local = _local(connection.sock)
        try:
            found = connection.getresponse()
            fields = {key.lower(): value for key, value in found.getheaders()}
            return Answer(found.status, fields, found.read(MOST), local)
        except (OSError, http.client.HTTPException) as error:
            raise DoorError(f"{method} {path}: {_words(error)}") from error
        finally:
            connection.close()

    def digest(self, path: str, headers: Mapping[str, str], seconds: float) -> tuple[int, int, str]:
        """Status, bytes and SHA-256 of a file that is too large to be kept. Raises DoorError, ssl.SSLError."""
        connection = self._sent(path, "GET", headers, None, seconds)
        try:
            found, made, size = connection.getresponse(), hashlib.sha256(), 0
            while piece := found.read(PIECE):
                made.update(piece)
                size += len(piece)
            return found.status, size, made.hexdigest()
        except (OSError, http.client.HTTPException) as error:
            raise DoorError(f"GET {path}: {_words(error)}") from error
        finally:
            connection.close()

    def _sent(
        self, path: str, method: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.name)
        connection.sock = self.connect(seconds)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            given = {"Host": self.host, "Connection": "close", **headers}
            if body is not None:
                given["Content-Length"] = str(len(body))
            for key, value in given.items():
                connection.putheader(key, value)
            connection.endheaders(body)
        except (OSError, ValueError, http.client.HTTPException) as error:
            connection.close()
            raise DoorError(f"{method} {path}: {_words(error)}") from error
        return connection


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _local(connection: socket.socket | None) -> str:
    try:
        return str(connection.getsockname()[0]) if connection else ""
    except OSError:
        return ""


class WebSocket:
    """An open websocket of a client. Messages are texts; pings are answered while it is read."""

    def __init__(self, connection: socket.socket, rest: bytes) -> None:
        self._connection, self._buffer = connection, bytearray(rest)

    @classmethod
    def open(cls, door: Door, path: str, headers: Mapping[str, str] | None = None) -> tuple[Self | None, Answer]:
        """The websocket, or None where the other side does not switch to one; and its answer.

        Raises DoorError, ssl.SSLError.
        """
        key = base64.b64encode(os.urandom(16)).decode()
        given = {
            "Host": door.host, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key, **(headers or {}),
        }  # fmt: skip
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
        if any("\r" in line or "\n" in line for line in lines):
            raise DoorError(f"{path!r} is no path")
        connection = door.connect()
        try:
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            head, rest = _head(connection)
        except OSError as error:
            connection.close()
            raise DoorError(f"websocket {path}: {_words(error)}") from error
        except DoorError:
            connection.close()
            raise
        expected = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324 - RFC 6455
        if head.status == 101 and head.headers.get("sec-websocket-accept") == expected:
            return cls(connection, rest), head
        connection.close()
        return None, head

    def send(self, text: str) -> None:
        """Sends a text. Raises DoorError where the websocket has ended."""
        self._frame(_TEXT, text.encode())

    def receive(self, seconds: float) -> str:
        """The next text. Raises DoorError where none comes in time, or the websocket has ended.

        What the other side asks meanwhile, as its pings do, gives it no more time.
        """
        end, message = time.monotonic() + seconds, bytearray()
        while True:
            first, held = self._read(end, MOST - len(message))
            code = first & 15
            if code == _CLOSE:
                raise DoorError("the websocket was closed")
            if code == _PING:
                self._frame(_PONG, held)
            elif code != _PONG:
                message += held
                if first & 128:
                    return message.decode("utf-8", "replace")

    def close(self) -> None:
        """Ends it."""
        self._connection.close()

    def _frame(self, code: int, held: bytes) -> None:
        mask, length = os.urandom(4), len(held)
        head = bytes([128 | code])
        if length < 126:
            head += bytes([128 | length])
        else:
            head += (
                bytes([128 | 126]) + length.to_bytes(2) if length < 65536 else bytes([128 | 127]) + length.to_bytes(8)
            )
        masked = bytes(byte ^ mask[at & 3] for at, byte in enumerate(held))
        try:
            self._connection.settimeout(SECONDS)
            self._connection.sendall(head + mask + masked)
        except OSError as error:
            raise DoorError(f"the websocket has ended: {_words(error)}") from error

    def _read(self, end: float, most: int) -> tuple[int, bytes]:
        """First byte and content of the next frame; one that is not whole in time stays for the next call."""
        self._fill(2, end)
        length, start = self._buffer[1] & 127, 2
        if length > 125:
            start = 4 if length == 126 else 10
            self._fill(start, end)
            length = int.from_bytes(self._buffer[2:start])
        if length > most:
            raise DoorError("a message on the websocket is too long")
        self._fill(start + length, end)
        first, held = self._buffer[0], bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return first, held

    def _fill(self, count: int, end: float) -> None:
        while len(self._buffer) < count:
            try:
                if (left := end - time.monotonic()) <= 0:
                    raise TimeoutError("timed out")
                self._connection.settimeout(left)
                found = self._connection.recv(PIECE)
            except OSError as error:
                raise DoorError(f"websocket: {_words(error)}") from error
            if not found:
                raise DoorError("the websocket was cut off")
            self._buffer += found


def _head(connection: socket.socket) -> tuple[Answer, bytes]:
    """The head of an answer, and what came after it."""
    held = bytearray()
    while b"\r\n\r\n" not in held:
        found = connection.recv(PIECE)
        if not found or len(held) > PIECE:
            raise DoorError("no answer to the request for a websocket")
        held += found
    head, _, rest = bytes(held).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[1].isdecimal():
        raise DoorError("the answer to the request for a websocket is none")
    return Answer(int(words[1]), _fields(lines)), rest


def _fields(lines: Iterable[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
