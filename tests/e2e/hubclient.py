"""A person with a browser: signs in over HTTP, starts a server, runs cells through the kernel API."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import requests
import websocket


class SignInRefused(AssertionError):
    """The hub did not let this person in."""


@dataclass
class Cell:
    """What a cell printed, and its error if it ended with one."""

    text: str = ""
    error: str = ""

    def ok(self) -> str:
        """The printed text, stripped; fails when the cell raised."""
        assert not self.error, self.error
        return self.text.strip()


@dataclass
class Person:
    """One signed-in user of a hub at ``address`` (http://host:port)."""

    address: str
    name: str
    password: str
    session: requests.Session = field(default_factory=requests.Session)
    token: str = ""
    host: str = ""
    """Host name of this person's server, where it has one of its own and ``address`` is that of the proxy."""

    def url(self, path: str) -> str:
        """An address on this hub."""
        return self.address.rstrip("/") + path

    @property
    def slug(self) -> str:
        """The name as it stands in URLs."""
        return quote(self.name, safe="@~")

    def page(self, path: str) -> str:
        """The HTML that this person sees."""
        return self.session.get(self.url(path), timeout=30).text

    def sign_in(self) -> Self:
        """Fill in the login form. Raises SignInRefused."""
        self.session.get(self.url("/hub/login"), timeout=30)
        xsrf = next((c.value for c in self.session.cookies if c.name == "_xsrf"), "")
        reply = self.session.post(
            self.url("/hub/login?next=%2Fhub%2Fhome"),
            data={"username": self.name, "password": self.password, "_xsrf": xsrf},
            timeout=60,
        )
        if reply.status_code != 200 or "/hub/login" in urlsplit(reply.url).path or 'id="login-main"' in reply.text:
            raise SignInRefused(f"{self.name}: HTTP {reply.status_code} at {reply.url}")
        xsrf = next((c.value for c in self.session.cookies if c.name == "_xsrf" and c.path.startswith("/hub")), xsrf)
        made = self.session.post(
            self.url(f"/hub/api/users/{self.slug}/tokens"),
            params={"_xsrf": xsrf},
            json={"note": "e2e", "expires_in": 7200},
            headers={"Referer": self.url("/hub/home")},
            timeout=30,
        )
        made.raise_for_status()
        self.token = made.json()["token"]
        return self

    def call(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """A call with this person's token."""
        headers = {"Authorization": f"token {self.token}", **self.named(path)}
        return requests.request(method, self.url(path), headers=headers, timeout=kwargs.pop("timeout", 60), **kwargs)

    def named(self, path: str) -> dict[str, str]:
        """The header that names the server which a path belongs to."""
        return {"Host": self.host} if self.host and path.startswith("/user/") else {}

    def model(self) -> dict[str, Any]:
        """This person as the hub's API describes them."""
        found: dict[str, Any] = self.call("GET", f"/hub/api/users/{self.slug}").json()
        return found

    def start(self, within: float = 240.0, profile: str | None = None) -> float:
        """Start the server and wait until it answers; returns seconds from request to answer."""
        began = time.monotonic()
        body = {"profile": profile} if profile else None
        reply = self.call("POST", f"/hub/api/users/{self.slug}/server", json=body)
        assert reply.status_code in (201, 202, 400), reply.text
        if reply.status_code == 400:
            assert "already" in reply.text or "pending" in reply.text, reply.text
        while time.monotonic() - began < within:
            server = self.model().get("servers", {}).get("")
            if server and server.get("ready"):
                answer = self.call("GET", f"/user/{self.slug}/api/status")
                if answer.status_code == 200:
                    return time.monotonic() - began
            elif server is None and time.monotonic() - began > 5:
                raise AssertionError(f"the server of {self.name} failed to start")
            time.sleep(0.1)
        raise AssertionError(f"the server of {self.name} did not answer within {within:.0f} s")

    def stop(self, within: float = 120.0) -> None:
        """Stop the server and wait until it is gone; a hub that was busy with it is asked again, as people do."""
        deadline, asked = time.monotonic() + within, 0.0
        while time.monotonic() < deadline:
            server = self.model().get("servers", {}).get("")
            if not server:
                return
            if server.get("pending") != "stop" and time.monotonic() - asked > 5:
                self.call("DELETE", f"/hub/api/users/{self.slug}/server")
                asked = time.monotonic()
            time.sleep(0.3)
        raise AssertionError(f"the server of {self.name} did not stop within {within:.0f} s")

    def kernel(self) -> Kernel:
        """A fresh Python kernel in the running server."""
        return Kernel(self)


class Kernel:
    """A Python kernel, driven over its websocket as JupyterLab does (Jupyter messaging 5.3)."""

    def __init__(self, person: Person) -> None:
        self.person = person
        reply = person.call("POST", f"/user/{person.slug}/api/kernels", json={"name": "python3"}, timeout=300)
        assert reply.status_code == 201, reply.text
        self.id: str = reply.json()["id"]
        self.session = uuid.uuid4().hex
        self.socket = self.connect()

    def connect(self) -> websocket.WebSocket:
        """Open (or open again) the channel to the same kernel."""
        base = self.person.url(f"/user/{self.person.slug}/api/kernels/{self.id}/channels?session_id={self.session}")
        self.socket = websocket.create_connection(
            "ws" + base.removeprefix("http"),
            header=[f"Authorization: token {self.person.token}"],
            host=self.person.host or None,
            origin=f"https://{self.person.host}" if self.person.host else None,
            timeout=300,
        )
        return self.socket

    def send(self, code: str) -> str:
        """Start a cell without waiting; returns its message id."""
        message = uuid.uuid4().hex
        header = {
            "msg_id": message,
            "username": "",
            "session": self.session,
            "msg_type": "execute_request",
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
        self.socket.send(
            json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"})
        )
        return message

    def wait(self, message: str, within: float = 180.0) -> Cell:
        """Collect a cell's output until the kernel is idle again."""
        cell, deadline = Cell(), time.monotonic() + within
        while time.monotonic() < deadline:
            self.socket.settimeout(max(0.1, deadline - time.monotonic()))
            answer = json.loads(self.socket.recv())
            if answer.get("parent_header", {}).get("msg_id") != message:
                continue
            kind, content = answer["header"]["msg_type"], answer["content"]
            if kind == "stream":
                cell.text += content["text"]
            elif kind == "execute_result":
                cell.text += content["data"].get("text/plain", "")
            elif kind == "error":
                cell.error = "\n".join([f"{content['ename']}: {content['evalue']}", *content["traceback"]])
            elif kind == "status" and content["execution_state"] == "idle":
                return cell
        raise AssertionError(f"the cell did not end within {within:.0f} s; so far: {cell.text!r}")

    def run(self, code: str, within: float = 180.0) -> Cell:
        """Run one cell to its end."""
        return self.wait(self.send(code), within)

    def close(self) -> None:
        """Close the channel and end the kernel."""
        self.socket.close()
        self.person.call("DELETE", f"/user/{self.person.slug}/api/kernels/{self.id}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
