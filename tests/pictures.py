"""Pages as Chromium shows them, without a window: their text, and pictures. Spoken to over its DevTools protocol.

Source: Chrome DevTools Protocol 1.3: Network.setCookie, Page.navigate, Runtime.evaluate, Page.captureScreenshot.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import Cookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import websocket

from tests.processes import end_group

WIDTH, HEIGHT = 1200, 760
"""Of pictures, in pixels."""
PROGRAM = shutil.which("chromium") or ""


@dataclass
class Browser:
    """One tab. ``within``: seconds that a page may take."""

    socket: websocket.WebSocket
    within: float = 120.0
    _count: int = 0
    _seen: list[str] = field(default_factory=list)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its result. Raises AssertionError where the browser refuses it."""
        self._count += 1
        self.socket.send(json.dumps({"id": self._count, "method": method, "params": params}))
        while True:
            found = json.loads(self.socket.recv())
            if found.get("id") == self._count:
                assert "error" not in found, found
                result: dict[str, Any] = found["result"]
                return result

    def let_in(self, address: str, cookies: Iterable[Cookie]) -> None:
        """Give the tab the cookies of a session."""
        for cookie in cookies:
            url = f"{address.rstrip('/')}{cookie.path}"
            self.ask("Network.setCookie", name=cookie.name, value=cookie.value or "", url=url, path=cookie.path)

    def value(self, script: str) -> Any:
        """What a line of JavaScript gives on the page."""
        return self.ask("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def awaited(self, script: str) -> Any:
        """What a promise gives on the page, as if somebody had clicked; an error is the text ``error: …``."""
        whole = f"(async () => {{ try {{ return await ({script}); }} catch (e) {{ return 'error: ' + e; }} }})()"
        asked = {"expression": whole, "returnByValue": True, "awaitPromise": True, "userGesture": True}
        return self.ask("Runtime.evaluate", **asked)["result"].get("value")

    def press(self, x: float, y: float) -> None:
        """Press the mouse there, as somebody does who opens a menu: no event that a script makes is one."""
        for kind in ("mouseMoved", "mousePressed"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def text(self) -> str:
        """The words that are on the page, and what style sheets write over it."""
        shown = "document.body ? document.body.innerText + ' ' + getComputedStyle(document.body,'::after').content : ''"
        return " ".join(str(self.value(shown) or "").split())

    def open(self, url: str, words: str = "", dark: bool = False) -> str:
        """Go to an address and wait until the page has ``words``; its text. Raises AssertionError when it never has."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url=url)
        return self.wait(words, urlsplit(url).netloc)

    def wait(self, words: str, host: str = "") -> str:
        """Wait until the page has ``words``; its text. Raises AssertionError when it never has."""
        until = time.monotonic() + self.within
        found = ""
        while time.monotonic() < until:
            if self.value("document.readyState") == "complete" and host in str(self.value("location.host")):
                found = self.text()
                if words in found:
                    return found
            time.sleep(0.2)
        raise AssertionError(f"{self.value('location.href')} never says {words!r}: {found[:2000]}")

    def picture(self, file: Path, height: int = HEIGHT) -> None:
        """Write a picture of what is shown."""
        self.ask("Emulation.setDeviceMetricsOverride", width=WIDTH, height=height, deviceScaleFactor=1, mobile=False)
        data = self.ask("Page.captureScreenshot", format="png")["data"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(data))


@contextmanager
def browser(*options: str) -> Iterator[Browser]:
    """Chromium with an empty profile, and more options of its command; gone in the end."""
    with tempfile.TemporaryDirectory() as profile:
        process = subprocess.Popen(
            [
                *(PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
                *("--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={profile}"),
                *(f"--window-size={WIDTH},{HEIGHT}", *options, "about:blank"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            port_file, until = Path(profile) / "DevToolsActivePort", time.monotonic() + 600
            while not (port_file.exists() and port_file.read_text().count("\n")):
                assert process.poll() is None and time.monotonic() < until, "chromium did not begin"
                time.sleep(0.1)
            port = port_file.read_text().splitlines()[0]
            tabs = requests.get(f"http://127.0.0.1:{port}/json", timeout=600).json()
            tab = next(tab for tab in tabs if tab["type"] == "page")
            socket = websocket.create_connection(tab["webSocketDebuggerUrl"], timeout=600)
            made = Browser(socket)
            for domain in ("Page", "Network", "Runtime"):
                made.ask(f"{domain}.enable")
            yield made
            socket.close()
        finally:
            end_group(process)
