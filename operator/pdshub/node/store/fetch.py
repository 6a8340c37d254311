"""Bring a generation onto the node: from its view's surveyor (HTTPS, both sides with certificates) or a directory.

Blocking; runs in a thread. Whatever arrives is bounded in size, checked against its digest, written aside, and has
its name only when all of it is there and its images were looked at (node/image).
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from pdshub import tls_names
from pdshub.archive.content import document
from pdshub.archive.content.pack import Pack
from pdshub.archive.image import Image
from pdshub.files import sync
from pdshub.generation_id import digits
from pdshub.node.image.inspection import ImageRefused
from pdshub.node.store.generations import (
    BLOCK,
    MANIFEST,
    MAX_MANIFEST,
    PROOF,
    Generation,
    GenerationError,
    Store,
    parse,
)
from pdshub.node.store.room import Room

TIMEOUT = 20.0  # seconds without a byte
PATIENCE = 60.0
"""Seconds that an answer may take whatever its size, its beginning and headers included."""
SLOWEST = 64 << 10
"""Bytes a second, on the average, below which an answer is given up."""
_CHUNK = 1 << 20
_WINDOW = 8 << 20  # bytes of memory that zstd may take; a surveyor's level (surveyor/making.py) takes 2 MiB
_REASON = 100  # characters of what a surveyor says beside its status


class Inspect(Protocol):
    """inspection.Inspector."""

    def __call__(self, path: Path, digest: str, size: int, top: str) -> None:
        """Raises ImageRefused, OSError where it could not be looked at."""


class Stream(Protocol):
    """Bytes that arrive."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, none at the end. Raises OSError, http.client.HTTPException."""

    def close(self) -> object:
        """Nothing more is wanted."""


class Where(NamedTuple):
    """Where a generation can be had: only the surveyor of a view that shows it is believed."""

    address: str
    """host:port of the view's surveyor; "" while it has none."""
    view: str


class Origin(Protocol):
    """Where generations come from. Streams are read to their end, at most a known size, and closed."""

    def manifest(self, name: str) -> Stream:
        """manifest.json of the generation."""

    def image(self, name: str, image: Image) -> Stream:
        """The bytes of one of its images."""

    def proof(self, name: str, size: int) -> Stream:
        """proof.json: the sample of its files, of so many bytes."""

    def content(self, name: str) -> Stream:
        """content.json: what travels with it, so far."""

    def pack(self, pack: Pack) -> Stream:
        """A pack, compressed."""


class DirectoryOrigin:
    """A directory of generations, as `pdshub-survey catalog` writes them: for the lab, without a network."""

    def __init__(self, directory: Path) -> None:
        """`directory`: holds one folder for each generation, named by its digits."""
        self._directory = directory

    def _open(self, name: str, file: str) -> IO[bytes]:
        return (self._directory / digits(name) / file).open("rb")

    def manifest(self, name: str) -> IO[bytes]:
        """The file of the manifest. Raises OSError."""
        return self._open(name, MANIFEST)

    def image(self, name: str, image: Image) -> IO[bytes]:
        """The file of an image. Raises OSError."""
        return self._open(name, image.name)

    def proof(self, name: str, size: int) -> IO[bytes]:
        """The file of the sample. Raises OSError."""
        return self._open(name, PROOF)

    def content(self, name: str) -> IO[bytes]:
        """The file that says what travels. Raises OSError."""
        return self._open(name, document.FILE)

    def pack(self, pack: Pack) -> IO[bytes]:
        """The file of a pack, beside the generations. Raises OSError."""
        return (self._directory / "packs" / f"{digits(pack.digest)}.tar.zst").open("rb")


class _Line:
    """A connection with an end in time, whatever the other side sends, and however slowly: then it is cut."""

    def __init__(self, address: tuple[str, int], seconds: float) -> None:
        self._seconds = seconds
        self.socket: socket.socket = socket.create_connection(address, TIMEOUT)
        self._is_cut = threading.Event()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self) -> None:
        self._is_cut.set()
        with suppress(OSError):  # of the descriptor, not of TLS: who waits for bytes is told that there are no more
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Raises TimeoutError instead of whatever the cut connection raises or returns."""
        try:
            yield
        except (OSError, http.client.HTTPException):
            if not self._is_cut.is_set():
                raise
        if self._is_cut.is_set():
            raise TimeoutError(f"the surveyor took more than {self._seconds:.0f} s to answer")

    def close(self) -> None:
        """Nothing is waited for any more."""
        self._timer.cancel()
        self.socket.close()


class _Body:
    """The body of an answer, from a line that is cut in time."""

    def __init__(self, response: http.client.HTTPResponse, line: _Line) -> None:
        self._response, self._line = response, line

    def read(self, size: int = -1, /) -> bytes:
        with self._line.watched():
            return self._response.read(size)

    def close(self) -> None:
        self._response.close()
        self._line.close()


class SurveyorOrigin:
    """GET /generations/<hex>/manifest.json, /generations/<hex>/proof.json, /images/<hex of the image's digest>."""

    def __init__(self, where: Where, certificates: Path) -> None:
        """`where`: the surveyor. `certificates`: directory of ca.crt, tls.crt and tls.key."""
        host, _, port = where.address.rpartition(":")
        self._host, self._port, self._certificates = host.strip("[]"), int(port or 0), certificates
        self._name = tls_names.surveyor(where.view)

    def _get(self, path: str, size: int) -> Stream:
        """`size`: bytes that are expected at most, by which the time is bounded. Redirects are not followed."""
        # the files are read each time: they change
        context = ssl.create_default_context(cafile=str(self._certificates / "ca.crt"))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self._certificates / "tls.crt", self._certificates / "tls.key")
        line = _Line((self._host, self._port), PATIENCE + size / SLOWEST)
        try:
            with line.watched():
                response = self._ask(context, line, path)
            zstd, body = _zstd(), _Body(response, line)
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding == "zstd" and zstd:
                return zstd.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(body)  # type: ignore[no-any-return]
            if encoding != "identity":
                raise OSError(f"{path}: encoded as {encoding[:_REASON]!r}")
        except BaseException:
            line.close()
            raise
        return body

    def _ask(self, context: ssl.SSLContext, line: _Line, path: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT, context=context)
        line.socket = context.wrap_socket(line.socket, server_hostname=self._name, do_handshake_on_connect=False)
        line.socket.do_handshake()
        connection.sock = line.socket
        headers = {"Host": self._name, "Accept-Encoding": "zstd" if _zstd() else "identity", "Connection": "close"}
        # Connection: close makes the response own the socket, so that closing it is enough
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status != 200:
            raise OSError(f"{path}: the surveyor answers {response.status} {response.reason[:_REASON]}")
        return response

    def manifest(self, name: str) -> Stream:
        """The body of the answer. Raises OSError, http.client.HTTPException."""
        return self._get(f"/generations/{digits(name)}/{MANIFEST}", MAX_MANIFEST)

    def image(self, name: str, image: Image) -> Stream:
        """The body of the answer, decompressed. Raises OSError, http.client.HTTPException."""
        return self._get(f"/images/{digits(image.digest)}", image.size)

    def proof(self, name: str, size: int) -> Stream:
        """The body of the answer. Raises OSError, http.client.HTTPException."""
        return self._get(f"/generations/{digits(name)}/{PROOF}", size)

    def content(self, name: str) -> Stream:
        """The body of the answer. Raises OSError, http.client.HTTPException."""
        return self._get(f"/generations/{digits(name)}/{document.FILE}", document.MAX_BYTES)

    def pack(self, pack: Pack) -> Stream:
        """The body of the answer, as it is stored. Raises OSError, http.client.HTTPException."""
        return self._get(f"/packs/{digits(pack.digest)}", pack.size)


def _zstd() -> Any:
    try:
        import zstandard
    except ImportError:
        return None
    return zstandard


def copy(stream: Stream, into: Path, size: int, digest: str, go_on: Callable[[int], None]) -> None:
    """Write exactly `size` bytes of `digest` (sha256:…). Raises GenerationError if it is anything else."""
    hashed, have = hashlib.sha256(), 0
    with into.open("xb") as out:
        while chunk := stream.read(min(_CHUNK, size + 1 - have)):
            have += len(chunk)
            if have > size:
                raise GenerationError(f"{into.name}: more than the {size} bytes that the manifest says")
            hashed.update(chunk)
            out.write(chunk)
            go_on(len(chunk))
        if have < size:
            raise GenerationError(f"{into.name}: ends after {have} of {size} bytes")
        if f"sha256:{hashed.hexdigest()}" != digest:
            raise GenerationError(f"{into.name}: its content is not {digest}")
        out.truncate(-(-size // BLOCK) * BLOCK)
        out.flush()
        os.fsync(out.fileno())


def _linked(known: Path, into: Path) -> bool:
    """Whether an image could be taken from another generation, which may go meanwhile."""
    try:
        into.hardlink_to(known)
    except OSError:
        return False
    return True


class Fetch:
    """One attempt; `size` is known once the manifest is there. `stop` ends it from another thread."""

    def __init__(self, name: str, origin: Origin, store: Store, room: Room, inspect: Inspect) -> None:
        """`name`: sha256:… of the generation; `store`: where it goes; `room`: what may be taken there; `inspect`:
        whether an image may be mounted."""
        self.name, self._origin, self._store, self._room, self._inspect = name, origin, store, room, inspect
        self.size, self.done = 0, 0  # bytes
        self.started = time.monotonic()
        self._stop = threading.Event()

    def stop(self) -> None:
        """Let `run` end with OSError at its next piece. From any thread."""
        self._stop.set()

    def _go_on(self, count: int) -> None:
        self.done += count
        if self._stop.is_set():
            raise OSError("stopped")

    def run(self) -> Generation:
        """Raises OSError (ssl.SSLError, timeouts), http.client.HTTPException, GenerationError, NoRoom, ImageRefused."""
        there = self._store.unlooked(self.name)
        if there is not None:
            return self._adopt(there)
        aside = self._store.aside(self.name)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            found, raw = self._manifest()
            with self._room.claim(found, len(raw)):
                self._fill(aside, found, raw)
                for path in (aside, aside.parent):
                    sync(path)
                aside.rename(self._store.path(self.name))
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        return found

    def _adopt(self, found: Generation) -> Generation:
        """One that is here already, fetched by a plugin that did not look at images, or by other rules."""
        try:
            self._look(self._store.path(self.name), found)
        except ImageRefused:
            self._store.drop(self.name)
            raise
        return found

    def _look(self, directory: Path, found: Generation) -> None:
        for image in found.images:
            self._inspect(directory / image.name, image.digest, image.size, found.top)
        self._store.inspected(directory)

    def _manifest(self) -> tuple[Generation, bytes]:
        with closing(self._origin.manifest(self.name)) as stream:
            raw = stream.read(MAX_MANIFEST + 1)
        if len(raw) > MAX_MANIFEST:
            raise GenerationError("manifest: too large")
        found = parse(raw)
        if found.name != self.name:
            raise GenerationError(f"manifest: it is {found.name}'s, not {self.name}'s")
        return found, raw

    def _fill(self, aside: Path, found: Generation, raw: bytes) -> None:
        here = {image.name: self._store.image(image.digest) for image in found.images}
        self.size = sum(image.size for image in found.images if not here[image.name])
        for image in found.images:
            if (known := here[image.name]) is not None and _linked(known, aside / image.name):
                continue  # of a tree in parts most are those of the former generation
            with closing(self._origin.image(self.name, image)) as stream:
                copy(stream, aside / image.name, image.size, image.digest, self._go_on)
        if found.proof:
            digest, size = found.proof
            with closing(self._origin.proof(self.name, size)) as stream:
                copy(stream, aside / PROOF, size, digest, self._go_on)
            os.truncate(aside / PROOF, size)
        (aside / MANIFEST).write_bytes(raw)
        self._look(aside, found)
