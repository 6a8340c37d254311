"""People at a door: requests at a steady pace, and a websocket that stays open."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cryptography import x509

HOST = "hub.example.org"


class Hub:
    """What stands behind the door: a server that answers with the headers it got, and echoes what it is streamed."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.heads: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while head := _head(connection):
                self.heads.append(head)
                if "\r\nupgrade:" in head.lower():
                    answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
                    connection.sendall(answer.encode())
                    while data := connection.recv(65536):
                        connection.sendall(data)
                    return
                body = head.encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def close(self) -> None:
        self._socket.close()


def _head(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            chunk = connection.recv(65536)
        except OSError:
            return ""
        if not chunk:
            return ""
        data += chunk
    return data.decode(errors="replace")


def connected(port: int, name: str = HOST) -> ssl.SSLSocket:
    """A TLS connection that believes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", port), 60)
    return context.wrap_socket(plain, server_hostname=name)


def certificate(port: int, name: str = HOST) -> x509.Certificate | None:
    """The certificate that is shown for a name; None while there is none."""
    try:
        with connected(port, name) as made:
            return x509.load_der_x509_certificate(made.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError):
        return None


def serial(port: int, name: str = HOST) -> int:
    """The serial number of the certificate that is shown; 0 while there is none."""
    found = certificate(port, name)
    return found.serial_number if found else 0


def request(connection: socket.socket, path: str = "/", host: str = HOST, **headers: str) -> tuple[str, str]:
    """Head and body of an answer.

    Raises ConnectionError where the connection ends before.
    """
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            raise ConnectionError(f"the connection ended: {data!r}")
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head.decode(), body.decode(errors="replace")


@contextmanager
def websocket(port: int) -> Iterator[ssl.SSLSocket]:
    """A connection that was upgraded."""
    with connected(port) as made:
        head, _ = request(made, "/user/ada/api/kernels/1/channels", Connection="Upgrade", Upgrade="websocket",
                          Sec_WebSocket_Key="x", Sec_WebSocket_Version="13")  # fmt: skip
        assert " 101 " in head.split("\r\n")[0], head
        yield made


def echoes(made: ssl.SSLSocket, words: bytes = b"still here") -> bool:
    """Whether a websocket lives."""
    made.sendall(words)
    return made.recv(65536) == words


@dataclass
class Traffic:
    """Requests at a steady pace, each on a connection of its own; what failed is written down."""

    port: int
    pace: float = 20.0
    failures: list[str] = field(default_factory=list)
    done: int = 0

    @contextmanager
    def running(self) -> Iterator[Traffic]:
        over = threading.Event()

        def go() -> None:
            while not over.wait(1 / self.pace):
                try:
                    with connected(self.port) as made:
                        head, _ = request(made)
                    if " 200 " not in head.split("\r\n")[0]:
                        self.failures.append(head)
                except (OSError, AssertionError) as error:
                    self.failures.append(f"{time.monotonic()}: {error!r}")
                self.done += 1

        thread = threading.Thread(target=go, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join(60)
