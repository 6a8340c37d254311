"""A user's server as ``kubectl pdshub proxy check`` uses it: kernels, files, what JupyterLab does by the same ways.

Sources: REST API of JupyterHub 5 and of Jupyter Server 2; messaging protocol of Jupyter 5.3.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

from pdshub.cli.proxy_client import Answer, Door, DoorError, WebSocket

PIECE = 1 << 20
"""JupyterLab uploads in pieces of so many bytes."""
NAMES = ("a b.txt", "100%.txt", "what?.txt", "a%2Fb.txt", "ä 星.txt", "x+y&z='q'#1.txt")
SECONDS = 60.0


@dataclass
class Server:
    """A running server. ``prefix``: the path below which it answers, with a slash at its end."""

    door: Door
    token: str
    prefix: str

    def ask(self, path: str, method: str = "GET", body: Any = None, seconds: float = SECONDS) -> Answer:
        """A call of its API; ``path`` is below the prefix. Raises DoorError where it is refused."""
        return _asked(self.door, self.token, self.prefix + path, method, body, seconds)

    def kernel(self) -> Kernel:
        """A new kernel with its websocket. Raises DoorError."""
        made = self.ask("api/kernels", "POST", {})
        name = str(made.json().get("id", ""))
        path = f"{self.prefix}api/kernels/{quote(name, safe='')}/channels"
        opened, answer = WebSocket.open(self.door, path, {"Authorization": f"token {self.token}"})
        if opened is None:
            raise DoorError(f"no websocket to a kernel: status {answer.status}")
        return Kernel(self, name, opened)

    def files(self) -> list[str]:
        """Writes and reads files with odd names; returns those that did not come back. Raises DoorError."""
        folder = f"pdshub-check-{secrets.token_hex(4)}"
        self.ask(f"api/contents/{folder}", "PUT", {"type": "directory"})
        wrong, tried = [], []
        try:
            for name in NAMES:
                path, text = f"{folder}/{quote(name, safe='')}", f"{name}\n"
                try:
                    self.ask(f"api/contents/{path}", "PUT", {"type": "file", "format": "text", "content": text})
                    tried.append(path)
                    same = self.ask(f"files/{path}").body == text.encode()
                except DoorError:
                    same = False
                wrong += [] if same else [name]
        finally:
            for path in (*tried, folder):
                self.ask(f"api/contents/{path}", "DELETE")
        return wrong

    def upload(self, size: int, told: Callable[[str], None]) -> tuple[float, float]:
        """Uploads so many bytes and downloads them; returns the seconds of each. Raises DoorError."""
        name, made, began = f"pdshub-check-{secrets.token_hex(4)}.bin", hashlib.sha256(), time.monotonic()
        pieces = -(-size // PIECE) or 1
        try:
            for number in range(1, pieces + 1):
                piece = secrets.token_bytes(min(PIECE, size - (number - 1) * PIECE))
                made.update(piece)
                held = {"type": "file", "format": "base64", "content": base64.b64encode(piece).decode()}
                # a file of one piece is none in pieces; the last piece is -1
                more = {} if pieces == 1 else {"chunk": -1 if number == pieces else number}
                self.ask(f"api/contents/{name}", "PUT", {**held, **more})
                if number % 256 == 0:
                    told(f"{number} of {pieces} MiB are uploaded")
            middle = time.monotonic()
            headers = {"Authorization": f"token {self.token}"}
            status, length, digest = self.door.digest(f"{self.prefix}files/{name}", headers, 3600)
            if (status, length, digest) != (200, size, made.hexdigest()):
                raise DoorError(f"{length} of {size} bytes came back, with status {status}, or others than were sent")
            return middle - began, time.monotonic() - middle
        finally:
            self.ask(f"api/contents/{name}", "DELETE")


@dataclass
class Kernel:
    """A kernel and its websocket."""

    server: Server
    name: str
    socket: WebSocket

    def echo(self, seconds: float = SECONDS) -> float:
        """Has the kernel turn a word round; returns the seconds that it took. Raises DoorError."""
        word, began = secrets.token_hex(8), time.monotonic()
        header = {
            "msg_id": secrets.token_hex(16), "session": "pdshub-check", "username": "", "date": "",
            "msg_type": "execute_request", "version": "5.3",
        }  # fmt: skip
        content = {"code": f"'{word}'[::-1]", "silent": False, "store_history": False, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self.socket.send(json.dumps(message))
        while (left := began + seconds - time.monotonic()) > 0:
            if word[::-1] in self.socket.receive(left):
                return time.monotonic() - began
        raise DoorError(f"the kernel says nothing within {seconds:.0f} s")

    def silent(self, seconds: float) -> None:
        """Says nothing for so long; only the server's pings are answered. Raises DoorError where the socket ends."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                self.socket.receive(left)
            except DoorError as error:
                if not isinstance(error.__cause__, TimeoutError):
                    raise

    def close(self) -> None:
        """Ends both. Raises DoorError."""
        self.socket.close()
        self.server.ask(f"api/kernels/{quote(self.name, safe='')}", "DELETE")


def start(door: Door, token: str, user: str, seconds: float, told: Callable[[str], None]) -> tuple[Server, bool]:
    """The server of a user (empty: of the token's owner), and whether it was started for this. Raises DoorError."""
    name = user or str(_asked(door, token, "/hub/api/user").json().get("name", ""))
    where = f"/hub/api/users/{quote(name, safe='')}"
    end, started = time.monotonic() + seconds, False
    while True:
        found = (_asked(door, token, where).json().get("servers") or {}).get("") or {}
        if found.get("ready"):
            return Server(_below(door, str(found.get("full_url") or "")), token, str(found.get("url") or "")), started
        if not started and not found.get("pending"):
            told(f"starting the server of {name}")
            _asked(door, token, f"{where}/server", "POST")
            started = True
        if time.monotonic() > end:
            raise DoorError(f"the server of {name} is not ready within {seconds:.0f} s")
        time.sleep(1)


def stop(door: Door, token: str, user: str) -> None:
    """Stops a server that was started for this. Raises DoorError."""
    name = user or str(_asked(door, token, "/hub/api/user").json().get("name", ""))
    _asked(door, token, f"/hub/api/users/{quote(name, safe='')}/server", "DELETE")


def _below(door: Door, full: str) -> Door:
    """The door of the server: another name where each user has one, which has to lie below the hub's."""
    name = urlsplit(full).hostname or door.name
    if name != door.name and not name.endswith(f".{door.name}"):
        raise DoorError(f"the hub sends to {name}, which is not below {door.name}: the token is not sent there")
    return replace(door, name=name)


def _asked(
    door: Door, token: str, path: str, method: str = "GET", body: Any = None, seconds: float = SECONDS
) -> Answer:
    headers = {"Authorization": f"token {token}"}
    sent = None if body is None else json.dumps(body).encode()
    if body is not None:
        headers["Content-Type"] = "application/json"
    elif method == "POST":
        sent = b""
    found = door.ask(path, method, headers, sent, seconds)
    if not 200 <= found.status < 300:
        raise DoorError(f"{method} {path}: status {found.status}")
    return found
