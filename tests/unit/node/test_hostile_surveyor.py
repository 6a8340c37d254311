"""A surveyor that was taken over, against the node's fetch: whatever it sends, and however slowly, nothing but the
generation that was asked for is kept, in bounded memory and time."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive import manifest as archive
from pdshub.archive.image import Image
from pdshub.node.store import fetch as fetch_module
from pdshub.node.store.cache import LONGEST, GenerationCache
from pdshub.node.store.fetch import Fetch, SurveyorOrigin, Where
from pdshub.node.store.generations import MAX_MANIFEST_VALUES, MAX_PROOF, GenerationError, Store, parse
from tests.unit.node.test_fetch import (
    IMAGE,
    NAME,
    PROOF,
    accepts,
    certificates,
    document,
    fetching,
    raw,
    sealed,
    sha256,
    until,
)

DIGITS = NAME.removeprefix("sha256:")
MANIFEST_PATH, IMAGE_PATH = f"/generations/{DIGITS}/manifest.json", f"/images/{sha256(IMAGE)[7:]}"
PROOF_PATH = f"/generations/{DIGITS}/proof.json"
FILES = {MANIFEST_PATH: raw(), IMAGE_PATH: IMAGE, PROOF_PATH: PROOF}
OK = b"HTTP/1.1 200 OK\r\n"
Reply = Callable[[ssl.SSLSocket, threading.Event], None]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    certificates(folder)
    return folder


class Hostile:
    """A surveyor's server, byte by byte. ``replies``: path -> what is sent instead of the file."""

    def __init__(self, pki: Path) -> None:
        self.replies: dict[str, Reply] = {}
        self.asked: list[str] = []
        self.over = threading.Event()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pki / "pdshub-surveyor" / "tls.crt", pki / "pdshub-surveyor" / "tls.key")
        self._context.load_verify_locations(pki / "ca.crt")
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as line:
            asked = b""
            while b"\r\n\r\n" not in asked and (more := line.recv(4096)):
                asked += more
            path = asked.split(b" ")[1].decode()
            self.asked.append(path)
            if path in self.replies:
                self.replies[path](line, self.over)
            else:
                line.sendall(whole(FILES[path]))

    def close(self) -> None:
        self.over.set()
        self._listening.close()


@pytest.fixture
def surveyor(pki: Path) -> Iterator[Hostile]:
    made = Hostile(pki)
    yield made
    made.close()


def whole(body: bytes, *headers: bytes, status: bytes = OK) -> bytes:
    lines = [b"Content-Length: %d" % len(body), *headers]
    return status + b"\r\n".join(lines) + b"\r\n\r\n" + body


def send(*parts: bytes) -> Reply:
    def reply(line: ssl.SSLSocket, over: threading.Event) -> None:
        for part in parts:
            line.sendall(part)

    return reply


def endless(begin: bytes, piece: bytes) -> Reply:
    def reply(line: ssl.SSLSocket, over: threading.Event) -> None:
        line.sendall(begin)
        while not over.is_set():
            line.sendall(piece)

    return reply


def silent(*parts: bytes) -> Reply:
    """Sends this, and then nothing, without an end."""

    def reply(line: ssl.SSLSocket, over: threading.Event) -> None:
        for part in parts:
            line.sendall(part)
        over.wait(60)

    return reply


def fetch(surveyor: Hostile, pki: Path, store: Store) -> Fetch:
    return fetching(SurveyorOrigin(Where(surveyor.address, "sbn"), pki / "pdshub-node"), store)


def redirect(status: int) -> bytes:
    head = f"HTTP/1.1 {status} Moved\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"
    return head.encode()


ELSEWHERE = f"HTTP/1.1 307 Here\r\nLocation: {PROOF_PATH}\r\nContent-Length: 0\r\n\r\n".encode()
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CASES: list[tuple[str, str, Reply, str]] = [
    *((f"redirect {code}", MANIFEST_PATH, send(redirect(code)), str(code)) for code in (301, 302, 303, 307, 308)),
    ("redirect to another of its paths", IMAGE_PATH, send(ELSEWHERE), "307"),
    ("an error that says much", MANIFEST_PATH, send(b"HTTP/1.1 500 " + b"x" * 60_000 + b"\r\n\r\n"), "answers 500"),
    ("no HTTP", MANIFEST_PATH, send(b"\x00\xff" * 100), ""),
    ("no HTTP, without an end", MANIFEST_PATH, endless(b"", b"x" * 4096), ""),
    ("nothing", MANIFEST_PATH, send(b""), ""),
    ("a header without an end", MANIFEST_PATH, endless(OK + b"X: ", b"x" * 4096), ""),
    ("headers without an end", MANIFEST_PATH, endless(OK, b"X: y\r\n"), ""),
    ("a manifest without an end", MANIFEST_PATH, endless(OK + b"\r\n", b" " * (1 << 20)), "too large"),
    ("an image without an end", IMAGE_PATH, endless(OK + b"\r\n", b"x" * 4096), "more than the 10240 bytes"),
    ("chunks without an end", IMAGE_PATH, endless(CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"), "more than"),
    ("a chunk of any size", IMAGE_PATH, endless(CHUNKED + b"f" * 15 + b"\r\n", b"x" * 4096), "more than"),
    ("a chunk of no size", IMAGE_PATH, send(CHUNKED + b"-5\r\nx"), ""),
    ("a length that is too long", IMAGE_PATH, send(OK + b"Content-Length: 99999\r\n\r\n" + IMAGE[1:]), "ends after 1"),
    ("a length that is too short", IMAGE_PATH, send(OK + b"Content-Length: 9\r\n\r\n" + IMAGE), "ends after 9 of"),
    ("a length below nothing", IMAGE_PATH, endless(OK + b"Content-Length: -9\r\n\r\n", b"x" * 4096), "more than"),
    ("another image", IMAGE_PATH, send(whole(IMAGE[::-1])), "its content is not"),
    ("another sample", PROOF_PATH, send(whole(PROOF[::-1])), "its content is not"),
    ("packed as it was not asked for", MANIFEST_PATH, send(whole(b"x", b"Content-Encoding: gzip")), "encoded as"),
    ("packed twice", MANIFEST_PATH, send(whole(b"x", b"Content-Encoding: zstd, zstd")), "encoded as"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "reply", "says"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_is_no_answer_leaves_nothing(
    surveyor: Hostile, pki: Path, tmp_path: Path, path: str, reply: Reply, says: str
) -> None:
    surveyor.replies[path] = reply
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Exception, match=says or None) as refused:
        fetch(surveyor, pki, Store(tmp_path)).run()
    assert len(str(refused.value)) < 70_000
    assert not any(tmp_path.iterdir())
    assert len(surveyor.asked) == len(set(surveyor.asked)) <= 3, "it is asked once for each file, and nobody else is"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # KiB


SLOW: list[tuple[str, str, Reply]] = [
    ("nothing at all", MANIFEST_PATH, silent()),
    ("a beginning", MANIFEST_PATH, silent(b"HTTP/1.1 2")),
    ("half of the headers", MANIFEST_PATH, silent(OK + b"Content-Le")),
    ("headers only", IMAGE_PATH, silent(OK + b"Content-Length: 10240\r\n\r\n")),
    ("half of an image", IMAGE_PATH, silent(OK + b"Content-Length: 10240\r\n\r\n" + IMAGE[:5000])),
    ("wait, for ever", MANIFEST_PATH, endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
    ("a trailer without an end", PROOF_PATH, endless(CHUNKED + b"d\r\n" + PROOF + b"\r\n0\r\n", b"X: y\r\n")),
]


@pytest.mark.parametrize(("path", "reply"), [s[1:] for s in SLOW], ids=[s[0] for s in SLOW])
def test_an_answer_that_does_not_end_is_cut(
    surveyor: Hostile, pki: Path, tmp_path: Path, path: str, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte may come in time: the whole has an end."""
    monkeypatch.setattr(fetch_module, "PATIENCE", 0.5)
    monkeypatch.setattr(fetch_module, "SLOWEST", 1 << 40)
    surveyor.replies[path] = reply
    with pytest.raises(TimeoutError, match="took more than"):
        fetch(surveyor, pki, Store(tmp_path)).run()
    assert not any(tmp_path.iterdir())


def test_a_handshake_that_does_not_end_is_cut(pki: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "PATIENCE", 0.3)
    monkeypatch.setattr(fetch_module, "SLOWEST", 1 << 40)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        origin = SurveyorOrigin(Where(f"127.0.0.1:{listening.getsockname()[1]}", "sbn"), pki / "pdshub-node")
        with pytest.raises(TimeoutError, match="took more than"):
            fetching(origin, Store(tmp_path)).run()


def test_the_time_that_an_answer_has_grows_with_its_size(monkeypatch: pytest.MonkeyPatch, pki: Path) -> None:
    asked: list[float] = []

    def line(address: tuple[str, int], seconds: float) -> Any:
        asked.append(seconds)
        raise OSError

    monkeypatch.setattr(fetch_module, "_Line", line)
    origin = SurveyorOrigin(Where("127.0.0.1:1", "sbn"), pki / "pdshub-node")
    for size in (0, 1 << 30):
        with pytest.raises(OSError):
            origin.image(NAME, Image("a.erofs", NAME, size, None, None))
    assert asked == [fetch_module.PATIENCE, fetch_module.PATIENCE + (1 << 30) / fetch_module.SLOWEST]


def test_a_frame_that_asks_for_much_memory_is_refused(surveyor: Hostile, pki: Path, tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    wide = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True, write_content_size=False)
    packed = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    body = packed.compress(IMAGE) + packed.flush()
    surveyor.replies[IMAGE_PATH] = send(whole(body, b"Content-Encoding: zstd"))
    with pytest.raises(zstandard.ZstdError):
        fetch(surveyor, pki, Store(tmp_path)).run()
    assert not any(tmp_path.iterdir())


def test_surveyors_pack_within_the_window() -> None:
    zstandard = pytest.importorskip("zstandard")
    from pdshub.surveyor.making import LEVEL

    packed = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True).compressobj(size=256 << 20)
    frame = packed.compress(bytes(1 << 20))
    assert zstandard.get_frame_parameters(frame).window_size <= fetch_module._WINDOW


# --- a disk that is full ---------------------------------------------------------------------------------------------


def full(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "where", ["pdshub.node.store.fetch.os.fsync", "pathlib.Path.write_bytes", "pdshub.node.store.fetch.sync"]
)
def test_a_disk_that_is_full_keeps_nothing(
    surveyor: Hostile, pki: Path, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(where, full)
        with pytest.raises(OSError, match="No space left"):
            fetch(surveyor, pki, store).run()
    assert not any(tmp_path.iterdir()) and store.names() == set()
    assert fetch(surveyor, pki, store).run().name == NAME, "when there is room again"


# --- manifests -------------------------------------------------------------------------------------------------------

BOMBS: list[tuple[str, bytes]] = [
    ("lists", b"[" + b"[]," * 1_000_000 + b"[]]"),
    ("objects", b"[" + b"{}," * 1_000_000 + b"{}]"),
    ("numbers", b"[" + b"1," * 1_000_000 + b"1]"),
    ("depth", b"[" * 200_000),
    ("a long number", b'{"schema": ' + b"9" * 1_000_000 + b"}"),
    ("one key, again and again", b"{" + b'"a":1,' * 500_000 + b'"a":1}'),
]


@pytest.mark.parametrize("text", [b[1] for b in BOMBS], ids=[b[0] for b in BOMBS])
def test_a_manifest_that_is_more_than_it_looks_like(text: bytes) -> None:
    with pytest.raises(GenerationError):
        parse(text)


def test_more_values_than_any_manifest_has_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda text: pytest.fail("it was read"))
    with pytest.raises(GenerationError, match="values"):
        parse(b"[" + b"0," * MAX_MANIFEST_VALUES + b"0]")


TOPS = ["../x", "/etc", "a/b", "a/../..", "..", "x\0y", "a//b"]


@pytest.mark.parametrize("top", TOPS)
def test_a_top_that_is_no_folder_of_the_image(top: str) -> None:
    with pytest.raises(GenerationError):
        parse(raw(**sealed(top=top)))


@pytest.mark.parametrize("path", ["../x", "/etc", "a/../../b", "x\0y"])
def test_data_outside_of_a_source(path: str) -> None:
    with pytest.raises(GenerationError):
        parse(raw(**sealed(data=[{"source": "main", "path": path}])))


def test_a_sample_that_is_said_to_be_huge() -> None:
    with pytest.raises(GenerationError, match="proof"):
        parse(raw(proof={"digest": sha256(PROOF), "size": MAX_PROOF + 1}))


def test_more_images_than_a_node_takes() -> None:
    one = document()["images"][0]
    images = [{**one, "name": f"i{n}.erofs"} for n in range(401)]
    made = [Image(i["name"], i["digest"], i["size"], None, None) for i in images]
    name = archive.digest_of(made, document()["layering"])
    with pytest.raises(GenerationError, match="too many"):
        parse(raw(images=images, generation=name))


def test_what_a_surveyor_says_of_an_error_is_cut(surveyor: Hostile, pki: Path, tmp_path: Path) -> None:
    """It comes into the node's log, its report, and the view's status."""
    import asyncio

    surveyor.replies[MANIFEST_PATH] = send(b"HTTP/1.1 500 \x1b[31m" + b"x" * 5000 + b"\r\n\r\n")

    async def test() -> str:
        cache = GenerationCache(Store(tmp_path), pki / "pdshub-node", lambda: None, inspect=accepts)
        cache.need({NAME: Where(surveyor.address, "sbn")})
        await until(lambda: NAME in cache.failures)
        said = cache.failures[NAME].text
        await cache.close()
        return said

    said = asyncio.run(test())
    assert len(said) <= LONGEST and said.isprintable() and "500" in said
