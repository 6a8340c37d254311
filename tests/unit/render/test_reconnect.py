"""The hub's configuration waits for the API server, and mends what KubeSpawner keeps of a failed start."""

from __future__ import annotations

import asyncio
import socket
import sys
import types
from typing import Any, ClassVar

import pytest

from pdshub.render.reconnect import EXTRA_CONFIG


class Reflector:
    """As KubeSpawner's: a future for its first list."""

    def __init__(self) -> None:
        self.first_load_future: asyncio.Future[None] = asyncio.get_event_loop().create_future()


def spawner() -> type:
    """KubeSpawner's way with reflectors, in short: the second caller gets what the first one left."""

    class KubeSpawner:
        reflectors: ClassVar[dict[str, Reflector]] = {}
        fails = True

        async def _start_reflector(self, kind: str) -> Reflector:
            if known := self.reflectors.get(kind):
                return known
            self.reflectors[kind] = made = Reflector()
            if self.fails:
                made.first_load_future.set_exception(TimeoutError())
                raise TimeoutError
            made.first_load_future.set_result(None)
            return made

    return KubeSpawner


def configure(monkeypatch: pytest.MonkeyPatch, kind: type, host: str, port: int) -> None:
    module = types.ModuleType("kubespawner")
    module.KubeSpawner = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kubespawner", module)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
    exec(compile(EXTRA_CONFIG.replace("seconds=180", "seconds=0"), "extraConfig", "exec"), {})  # noqa: S102


def test_a_failed_reflector_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    kind: Any = spawner()
    with socket.create_server(("127.0.0.1", 0)) as server:
        configure(monkeypatch, kind, *server.getsockname())

    async def story() -> None:
        with pytest.raises(TimeoutError):
            await kind()._start_reflector("pods")
        kind.fails = False
        assert (await kind()._start_reflector("pods")).first_load_future.exception() is None
        assert await kind()._start_reflector("pods") is kind.reflectors["pods"]

    asyncio.run(story())


def test_a_hub_without_kubernetes_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SystemExit, match="not reached"):
        configure(monkeypatch, spawner(), "127.0.0.1", port)


def test_other_spawners_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, type("KubeSpawner", (), {}), "", 1)
