"""Whoever awaits a volume or a view is alone when it is his turn, also when what he waited for has just ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pdshub.node._proto import csi_pb2 as messages
from pdshub.node.csi import services
from pdshub.node.layout import Layout
from pdshub.node.mount import volume_root
from pdshub.node.mount.locks import Locks


def test_one_at_a_time_and_nothing_is_kept() -> None:
    """A holder, one who waits, one who comes when the first has left and the second holds: in turn, never two."""

    async def story() -> list[str]:
        locks, said, leave = Locks(), [], [asyncio.Event() for _ in range(3)]

        async def one(number: int) -> None:
            async with locks("target"):
                said.append(f"{number} in")
                await leave[number].wait()
                said.append(f"{number} out")

        async def idle() -> None:
            for _ in range(50):
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            group.create_task(one(0))
            await idle()
            group.create_task(one(1))
            await idle()
            assert len(locks) == 1 and said == ["0 in"]
            leave[0].set()
            await idle()
            group.create_task(one(2))
            await idle()
            assert said == ["0 in", "0 out", "1 in"]
            async with locks("another"):
                assert len(locks) == 2
            leave[1].set()
            leave[2].set()
        assert len(locks) == 0
        return said

    assert asyncio.run(story()) == [f"{n} {way}" for n in range(3) for way in ("in", "out")]


def test_who_gives_up_waiting_leaves_no_lock() -> None:
    async def story() -> None:
        locks = Locks()

        async def wait() -> None:
            async with locks("a"):
                raise AssertionError("it is held")

        async with locks("a"):
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert len(locks) == 1
        assert len(locks) == 0

    asyncio.run(story())


class Reconciler:
    """No view is ever wanted, and none is known."""

    informer = SimpleNamespace(views={})

    def view_of(self, name: str) -> None: ...

    def expect(self, name: str) -> None: ...

    def wake(self) -> None: ...

    async def settle(self, name: str) -> None: ...


class Context:
    """Of a call."""

    async def abort(self, code: Any, text: str) -> None:
        raise AssertionError(f"{code}: {text}")


def test_publishes_of_one_target_never_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unpublish is under way, a publish awaits it; when it has ended another publish comes. The kubelet does that:
    it asks again for what has not been answered in time. All in one thread, so that the order is this one."""
    inside: list[str] = []
    seen: list[str] = []
    leave = {name: asyncio.Event() for name in ("unpublish", "publish 1", "publish 2")}

    async def to_thread(work: Callable[..., Any], *arguments: Any) -> str:
        name = "unpublish" if work is volume_root.unpublish else f"publish {sum('publish ' in one for one in seen) + 1}"
        assert not inside, f"{name} began while {inside} was under way"
        inside.append(name)
        seen.append(name)
        await leave[name].wait()
        inside.remove(name)
        return ""

    async def idle() -> None:
        """Until nothing goes on by itself."""
        for _ in range(50):
            await asyncio.sleep(0)

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    node = services.Node("test", Layout(tmp_path), Reconciler())  # type: ignore[arg-type]
    target = str(tmp_path / "pods/a/volumes/kubernetes.io~csi/v/mount")
    capability = messages.VolumeCapability(
        mount=messages.VolumeCapability.MountVolume(),
        access_mode=messages.VolumeCapability.AccessMode(mode="MULTI_NODE_READER_ONLY"),  # type: ignore[arg-type]
    )
    publish = messages.NodePublishVolumeRequest(
        volume_id="v", target_path=target, volume_capability=capability, volume_context={"view": "sbn"}
    )
    unpublish = messages.NodeUnpublishVolumeRequest(volume_id="v", target_path=target)

    async def story() -> None:
        calls = [asyncio.create_task(node.NodeUnpublishVolume(unpublish, Context()))]
        await idle()
        calls.append(asyncio.create_task(node.NodePublishVolume(publish, Context())))
        await idle()
        assert inside == ["unpublish"]
        leave["unpublish"].set()
        await idle()
        assert inside == ["publish 1"]
        calls.append(asyncio.create_task(node.NodePublishVolume(publish, Context())))
        await idle()
        leave["publish 1"].set()
        await idle()
        leave["publish 2"].set()
        await asyncio.gather(*calls)

    asyncio.run(story())
    assert seen == ["unpublish", "publish 1", "publish 2"] and len(node._locks) == 0
