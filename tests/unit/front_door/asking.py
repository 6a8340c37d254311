"""Requests as a browser makes them, written byte by byte, so that no library mends a path or a header."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

import websocket

from tests.unit.front_door.machine import Apache


@dataclass(frozen=True)
class Answer:
    """An answer, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    door: Apache, name: str, path: str = "/", method: str = "GET", headers: dict[str, str] | None = None,
    body: bytes | None = None, address: str = "127.0.0.1",
) -> Answer:  # fmt: skip
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(name)
    connection.sock = door.tls(name, address=address)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        given = {"Host": name, "Connection": "close", **(headers or {})}
        if body is not None:
            given.setdefault("Content-Length", str(len(body)))
        for key, value in given.items():
            connection.putheader(key, value)
        connection.endheaders(body)
        found = connection.getresponse()
        fields = dict[str, str]()
        for key, value in found.getheaders():
            fields[key.lower()] = f"{fields[key.lower()]}\n{value}" if key.lower() in fields else value
        return Answer(found.status, fields, found.read())
    finally:
        connection.close()


def open_websocket(door: Apache, name: str, path: str, headers: dict[str, str] | None = None) -> websocket.WebSocket:
    """A websocket whose path is sent as it is written."""
    made = websocket.WebSocket()
    made.settimeout(60)
    made.connect(f"wss://{name}{path}", socket=door.tls(name), header=headers or {}, suppress_origin=True)
    return made
