"""``kubectl pdshub proxy check``: verdicts as a table, its websocket against a server of bytes, secrets, wrong use."""

from __future__ import annotations

import argparse
import io
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdshub.cli import main as cli
from pdshub.cli import proxy_check, proxy_finding, proxy_server
from pdshub.cli.hub_choice import UseError
from pdshub.cli.kubectl import Kubectl
from pdshub.cli.proxy_client import Answer, Door, DoorError, WebSocket

HUB = {"x-jupyterhub-version": "5.5.4"}
PATH = f"/hub/user/{proxy_finding.ODD}/lab"
NEXT = "/hub/login?next=%2Fhub%2Fuser%2Fa%252Fb%2540c%253Fd%2520%2525%2Flab"
DECODED = "/hub/login?next=%2Fhub%2Fuser%2Fa%252Fb%40c%253Fd%2520%2525%2Flab"
DAY = 86400.0
BORN, DIES = "Nov  1 00:00:00 2026 GMT", "Dec 16 00:00:00 2026 GMT"
NOVEMBER = ssl.cert_time_to_seconds(BORN)


def cert(**more: Any) -> dict[str, Any]:
    return {"notBefore": BORN, "notAfter": DIES, "subjectAltName": (("DNS", "hub.example.org"),), "issuer": (), **more}


def log(*lines: str) -> str:
    return "\n".join(f"[W 2026-11-26 05:00:00.000 JupyterHub log:192] 404 GET {line} 1.00ms" for line in lines)


CASES: dict[str, tuple[Callable[[], proxy_finding.Finding], str]] = {
    "redirect": (lambda: proxy_finding.redirect(Answer(308, {"location": "https://h/x?y"}), "h", "/x?y"), "ok"),
    "redirect, not for good": (
        lambda: proxy_finding.redirect(Answer(302, {"location": "https://h/x"}), "h", "/x"), "failed"),
    "redirect elsewhere": (
        lambda: proxy_finding.redirect(Answer(308, {"location": "https://evil/x"}), "h", "/x"), "failed"),
    "redirect that decodes": (
        lambda: proxy_finding.redirect(Answer(308, {"location": "https://h/a/b"}), "h", "/a%2Fb"), "failed"),
    "plain http": (lambda: proxy_finding.redirect(Answer(200, {}), "h", "/x"), "failed"),
    "chain": (lambda: proxy_finding.chain(None), "ok"),
    "no chain": (lambda: proxy_finding.chain(ssl.SSLError("x")), "failed"),
    "a young certificate": (lambda: proxy_finding.certificate(cert(), NOVEMBER + DAY), "ok"),
    "due, and not late": (lambda: proxy_finding.certificate(cert(), NOVEMBER + 31 * DAY), "ok"),
    "renewal is late": (lambda: proxy_finding.certificate(cert(), NOVEMBER + 34 * DAY), "failed"),
    "http2": (lambda: proxy_finding.http2("h2"), "ok"),
    "no http2": (lambda: proxy_finding.http2("http/1.1"), "failed"),
    "hsts": (lambda: proxy_finding.hsts(Answer(200, {"strict-transport-security": "max-age=31536000"})), "ok"),
    "hsts for a day": (
        lambda: proxy_finding.hsts(Answer(200, {"strict-transport-security": "max-age=86400"})), "failed"),
    "no hsts": (lambda: proxy_finding.hsts(Answer(200, {})), "failed"),
    "a hub": (lambda: proxy_finding.hub(Answer(200, HUB)), "ok"),
    "another site": (lambda: proxy_finding.hub(Answer(200, {"server": "x"})), "failed"),
    "paths": (lambda: proxy_finding.path(Answer(302, {**HUB, "location": NEXT}), PATH), "ok"),
    "paths, decoded": (lambda: proxy_finding.path(Answer(302, {**HUB, "location": DECODED}), PATH), "failed"),
    "paths, 404 of the proxy": (lambda: proxy_finding.path(Answer(404, {}), PATH), "failed"),
    "paths, unknown": (lambda: proxy_finding.path(Answer(200, HUB), PATH), "skipped"),
    "websocket paths": (lambda: proxy_finding.websocket_path(Answer(403, HUB)), "ok"),
    "websocket paths, 403 of the proxy": (lambda: proxy_finding.websocket_path(Answer(403, {})), "failed"),
    "address": (lambda: proxy_finding.address(log("/hub/m (@192.0.2.7)"), "/m", "9.9.9.9", "192.0.2.7", ""), "ok"),
    "address, told": (
        lambda: proxy_finding.address(log("/hub/m (@8.8.8.8)"), "/m", "9.9.9.9", "10.0.0.1", "8.8.8.8"), "ok"),
    "address, another than told": (
        lambda: proxy_finding.address(log("/hub/m (@8.8.4.4)"), "/m", "9.9.9.9", "10.0.0.1", "8.8.8.8"), "failed"),
    "address, forged": (
        lambda: proxy_finding.address(log("/hub/m (@9.9.9.9)"), "/m", "9.9.9.9", "10.0.0.1", ""), "failed"),
    "address of a proxy": (
        lambda: proxy_finding.address(log("/hub/m (@10.244.0.1)"), "/m", "9.9.9.9", "10.0.0.1", ""), "failed"),
    "address of a network's edge": (
        lambda: proxy_finding.address(log("/hub/m (@8.8.8.8)"), "/m", "9.9.9.9", "10.0.0.1", ""), "ok"),
    "address, another hub": (
        lambda: proxy_finding.address(log("/hub/x (@8.8.8.8)"), "/m", "9.9.9.9", "10.0.0.1", ""), "failed"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_verdicts_and_each_failure_names_what_mends_it(case: str) -> None:
    found = CASES[case][0]()
    assert str(found.state) == CASES[case][1]
    assert bool(found.fix) == (found.state == "failed")


@pytest.mark.parametrize(
    ("text", "size"),
    (("2G", 2 << 30), ("100m", 100 << 20), ("7", 7), ("0", 0), ("x", None), ("-1", None), ("²G", None)),
)
def test_sizes(text: str, size: int | None) -> None:
    if size is None:
        with pytest.raises(argparse.ArgumentTypeError):
            proxy_check.size(text)
    else:
        assert proxy_check.size(text) == size


def parsed(*words: str) -> argparse.Namespace:
    return cli.parser().parse_args(["proxy", "check", *words])


@pytest.mark.parametrize(
    "url", ("http://h", "https://h/hub", "h", "https://", "https://a:b@h", "https://h:99999", "https://h?x=1")
)
def test_what_is_no_front_door_is_wrong_use(url: str) -> None:
    with pytest.raises(UseError):
        proxy_check.check(Kubectl(), parsed(url))


@pytest.mark.parametrize("held", ("", "\n", "two words", "a\nb", "naïve", "x\x1b"))
def test_a_file_without_a_token_is_wrong_use_and_is_not_shown(held: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(held)
    with pytest.raises(UseError) as error:
        proxy_check.check(Kubectl(), parsed("https://h", "--token-file", str(tmp_path / "token")))
    assert not held.strip() or held.strip() not in str(error.value)


def test_no_flag_takes_a_token_itself() -> None:
    for flag in ("--token", "--password"):
        args = cli.parser().parse_known_args(["proxy", "check", "https://h", f"{flag}=x"])[0:1]
        assert args[0].token_file in ("", "x"), "an abbreviation of --token-file names a file"


def test_a_token_comes_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("0123abcd\n"))
    assert proxy_check._token("-") == "0123abcd"


def test_nobody_there_is_a_finding_with_a_fix() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        args = parsed(f"https://hub.example.org:{port}", "--connect", "127.0.0.1", "--http-port", str(port))
        answer, text, code = proxy_check.check(Kubectl(), args)
    assert code == 1
    assert [one["check"] for one in answer["findings"]] == ["redirect", "connection"]
    assert all(one["fix"] for one in answer["findings"]) and text.count("fix ") == 2


# --- the websocket -------------------------------------------------------------------------------------------------


def serve(answer: Callable[[socket.socket, str], None]) -> int:
    """One connection is answered so; returns the port."""
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with server, server.accept()[0] as connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            key = next(line.split()[1] for line in head.decode().split("\r\n") if line.startswith("Sec-WebSocket-Key"))
            answer(connection, key)

    threading.Thread(target=run, daemon=True).start()
    return int(server.getsockname()[1])


def accept(key: str) -> bytes:
    import base64
    import hashlib

    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + base64.b64encode(digest)
        + b"\r\n\r\n"
    )


def opened(port: int) -> WebSocket:
    made, _ = WebSocket.open(Door("127.0.0.1", port), "/x")
    assert made
    return made


FRAMES: dict[str, tuple[bytes, str | None]] = {
    "text": (b"\x81\x05hello", "hello"),
    "with the answer's head, in pieces": (b"\x01\x03hel\x80\x02lo", "hello"),
    "longer than 125 bytes": (b"\x81\x7e" + struct.pack(">H", 300) + b"x" * 300, "x" * 300),
    "longer than 65535 bytes": (b"\x81\x7f" + struct.pack(">Q", 70000) + b"x" * 70000, "x" * 70000),
    "a ping before it": (b"\x89\x02hi\x81\x05hello", "hello"),
    "a pong before it": (b"\x8a\x00\x81\x05hello", "hello"),
    "closed": (b"\x88\x00", None),
    "cut off": (b"\x81\x7fxx", None),
    "far too long": (b"\x81\x7f" + struct.pack(">Q", 1 << 62), None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize("case", FRAMES)
def test_frames(case: str) -> None:
    sent, expected = FRAMES[case]
    made = opened(serve(lambda connection, key: connection.sendall(accept(key) + sent)))
    if expected is None:
        with pytest.raises(DoorError):
            made.receive(60)
    else:
        assert made.receive(60) == expected
    made.close()


@pytest.mark.parametrize("half", (b"\x81", b"\x81\x05he", b"\x81\x7e\x00"))
def test_pings_give_no_more_time_and_half_a_frame_is_not_lost(half: bytes) -> None:
    whole = b"\x81\x05hello" if half != b"\x81\x7e\x00" else b"\x81\x7e\x00\x05hello"
    over = threading.Event()

    def answer(connection: socket.socket, key: str) -> None:
        connection.sendall(accept(key))
        for _ in range(20):  # each would begin the waiting anew
            connection.sendall(b"\x89\x00")
            if over.wait(0.05):
                break
        connection.sendall(half)
        over.wait(60)
        connection.sendall(whole.removeprefix(half))

    made = opened(serve(answer))
    with pytest.raises(DoorError) as ended:
        made.receive(0.5)
    assert isinstance(ended.value.__cause__, TimeoutError)
    with pytest.raises(DoorError):
        made.receive(1.5)
    over.set()
    assert made.receive(60) == "hello"
    made.close()


@pytest.mark.parametrize("length", (0, 1, 125, 126, 65535, 65536, 200_000))
def test_what_is_sent_is_masked_and_has_its_length(length: int) -> None:
    def echo(connection: socket.socket, key: str) -> None:
        connection.sendall(accept(key))
        held = b""
        while len(held) < 2 or len(held) < whole(held):
            held += connection.recv(1 << 16)
        size = whole(held) - length
        mask, text = held[size - 4 : size], held[size:]
        plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
        assert held[0] == 0x81 and held[1] & 128
        connection.sendall(b"\x81\x01" + (b"y" if plain == b"x" * length else b"n"))

    def whole(held: bytes) -> int:
        short = held[1] & 127
        return 6 + length + {126: 2, 127: 8}.get(short, 0)

    made = opened(serve(echo))
    made.send("x" * length)
    assert made.receive(60) == "y"
    made.close()


@pytest.mark.parametrize(
    "answer",
    (
        b"HTTP/1.1 403 Forbidden\r\nX-JupyterHub-Version: 5\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: forged\r\n\r\n",
    ),
)
def test_who_does_not_switch_is_no_websocket(answer: bytes) -> None:
    port = serve(lambda connection, key: connection.sendall(answer))
    made, head = WebSocket.open(Door("127.0.0.1", port), "/x")
    assert made is None and head.status in (101, 403)


@pytest.mark.parametrize("answer", (b"", b"garbage\r\n\r\n", b"HTTP/1.1 x y\r\n\r\n", b"x" * 200_000))
def test_an_answer_that_is_none(answer: bytes) -> None:
    port = serve(lambda connection, key: connection.sendall(answer))
    with pytest.raises(DoorError):
        WebSocket.open(Door("127.0.0.1", port), "/x")


def test_a_path_writes_no_header() -> None:
    with pytest.raises(DoorError):
        WebSocket.open(Door("127.0.0.1", 1), "/x HTTP/1.1\r\nX: y")


def test_a_token_goes_nowhere_but_below_the_hubs_name() -> None:
    door = Door("hub.example.org")
    assert proxy_server._below(door, "https://u-ada.hub.example.org/user/ada/").name == "u-ada.hub.example.org"
    assert proxy_server._below(door, "").name == "hub.example.org"
    for full in ("https://evil.example.com/user/ada/", "https://evilhub.example.org/"):
        with pytest.raises(DoorError):
            proxy_server._below(door, full)
