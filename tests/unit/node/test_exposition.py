"""The plugin's metrics as they are served: by who has a file to read and nothing else, and is asked too much."""

from __future__ import annotations

import ast
import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pdshub.node.report import exposition, metrics
from pdshub.node.report.exposition import AGE, Exposition, Stale, answer, read

GOOD = b"# HELP a b\n# TYPE a gauge\na 1.0\n"


def written(folder: Path, age: float = 0.0) -> Path:
    path = folder / exposition.FILE
    path.write_bytes(GOOD)
    os.utime(path, (1000.0 - age,) * 2)
    return path


def test_the_plugin_s_words_and_their_age(tmp_path: Path) -> None:
    text = read(written(tmp_path, 7), 1000.0)
    assert text.startswith(GOOD) and text.endswith(f"{AGE} 7.000\n".encode())
    assert read(written(tmp_path, -5), 1000.0).endswith(f"{AGE} 0.000\n".encode()), "a clock that was set back"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "none", "no metrics yet"),
        (lambda folder: written(folder, 61), "61 s ago and hangs"),
        (lambda folder: folder, "no file of an allowed size"),
        (lambda folder: (folder / "link").symlink_to("/etc/passwd") or folder / "link", "no metrics yet"),
        (lambda folder: os.mkfifo(folder / "fifo") or folder / "fifo", "no file of an allowed size"),
    ],
    ids=["none yet", "of a plugin that hangs", "a directory", "a link", "a pipe"],
)
def test_no_metrics(tmp_path: Path, make: Callable[[Path], Path], says: str) -> None:
    with pytest.raises(Stale, match=says):
        read(make(tmp_path), 1000.0)


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "LIMIT", 10)
    with pytest.raises(Stale, match="allowed size"):
        read(written(tmp_path), 1000.0)


def stale() -> bytes:
    raise Stale("the plugin hangs")


@pytest.mark.parametrize(
    ("asked", "make", "status", "says"),
    [
        (b"GET /metrics HTTP/1.1", lambda: GOOD, 200, GOOD),
        (b"GET /metrics?x=1 HTTP/1.0", lambda: GOOD, 200, GOOD),
        (b"HEAD /metrics HTTP/1.1", lambda: GOOD, 200, b""),
        (b"GET /metrics HTTP/1.1", stale, 503, b"the plugin hangs\n"),
        (b"GET / HTTP/1.1", stale, 404, b""),
        (b"GET /../etc/passwd HTTP/1.1", stale, 404, b""),
        (b"POST /metrics HTTP/1.1", stale, 405, b""),
        (b"GET /metrics", stale, 400, b""),
        (b"\x16\x03\x01", stale, 400, b""),
        (b"", stale, 400, b""),
    ],
)
def test_answers(asked: bytes, make: Callable[[], bytes], status: int, says: bytes) -> None:
    head, _, body = answer(asked + b"\r\nHost: x\r\n\r\n", make).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status) and body == says and b"Connection: close" in head


async def asking(port: int, text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def served(story: Callable[[int], Awaitable[None]], free_port: int) -> None:
    async def run() -> None:
        server = asyncio.create_task(Exposition(lambda: GOOD).serve(free_port))
        try:
            async with asyncio.timeout(30):
                while True:
                    try:
                        if await asking(free_port, b"GET /metrics HTTP/1.1\r\n\r\n"):
                            break
                    except ConnectionError:
                        await asyncio.sleep(0.01)
                await story(free_port)
        finally:
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)

    asyncio.run(run())


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_who_says_nothing_is_let_go(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who begins and does not end, one who drips, one who never stops: none of them keeps the others waiting."""
    monkeypatch.setattr(exposition, "SECONDS", 0.3)

    async def story(port: int) -> None:
        slow = [asyncio.create_task(asking(port, b"GET /metr")) for _ in range(exposition.CONNECTIONS)]
        assert await asyncio.gather(*slow) == [b""] * len(slow), "ended by the server"
        assert await asking(port, b"GET /metrics HTTP/1.1\r\n" + b"x: y\r\n" * 100_000) == b""
        assert GOOD in await asking(port, b"GET /metrics HTTP/1.1\r\n\r\n")

    served(story, free_port)


def test_there_are_few_at_once(free_port: int) -> None:
    async def story(port: int) -> None:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(exposition.CONNECTIONS)]
        for _, writer in held:
            writer.write(b"GET")
            await writer.drain()
        while await asking(port, b"GET /metrics HTTP/1.1\r\n\r\n"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # until all of them are known to the server
        for _, writer in held:
            writer.close()
        while GOOD not in await asking(port, b"GET /metrics HTTP/1.1\r\n\r\n"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    served(story, free_port)


def test_the_plugin_writes_them_whole(tmp_path: Path) -> None:
    from tests.unit.node.test_metrics import SAID, parsed

    path = tmp_path / exposition.FILE

    async def story() -> None:
        writing = asyncio.create_task(metrics.write(path, lambda: metrics.families(SAID, {})))
        async with asyncio.timeout(20):
            while not path.exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        writing.cancel()

    asyncio.run(story())
    assert path.stat().st_mode & 0o777 == 0o644, "for who is not root"
    assert (AGE, ()) in parsed(read(path, path.stat().st_mtime))


def test_the_program_stays_small() -> None:
    """It shares a pod's memory with the plugin: Python and nothing else."""
    code = "import sys; from pdshub.node import main; from pdshub.node.report import exposition"
    code += "; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout))
    assert not {"pydantic", "grpc", "kubernetes", "aiohttp", "prometheus_client", "yaml"} & loaded
