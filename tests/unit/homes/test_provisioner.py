"""The loop over claims, against a small API server: volumes are made, grown and removed, and what fails is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pdshub.homes import names
from pdshub.homes.errors import HomesError
from pdshub.homes.provisioner import Provisioner
from pdshub.kube import CLAIM, EVENT, STORAGE_CLASS, VOLUME
from tests.unit.apiserver import ApiServer, serving
from tests.unit.homes.memory import GI, Memory, homes
from tests.unit.homes.test_claims import CLASS, LOOKS, claim, look

VOLUME_ID = names.volume_id("pvc-u-1")


@asynccontextmanager
async def running(folder: Path, disk: Memory) -> AsyncIterator[ApiServer]:
    """A node n1 whose loop runs."""
    async with serving() as (server, kube):
        server.put(STORAGE_CLASS, CLASS)
        task = asyncio.create_task(Provisioner(kube, homes(folder, disk), "n1").run())
        try:
            yield server
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(what: Callable[[], Any]) -> Any:
    """What is asked for, once it is true."""
    async with asyncio.timeout(120):
        while not (found := what()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found


def volume_of(server: ApiServer) -> dict[str, Any] | None:
    return server.objects.get(VOLUME.path(None, "pvc-u-1"))


def events(server: ApiServer) -> list[tuple[str, str]]:
    found = [item for path, item in server.objects.items() if path.startswith(EVENT.path("hub"))]
    return [(item["reason"], item["message"]) for item in found]


def bind(server: ApiServer, asked: str = "1Gi") -> None:
    """What the API server's own controller does, and what a user may ask for later."""
    there = server.objects[CLAIM.path("hub", "claim-ada")]
    spec = {**there["spec"], "volumeName": "pvc-u-1", "resources": {"requests": {"storage": asked}}}
    capacity = (there.get("status") or {}).get("capacity") or {"storage": "1Gi"}
    server.put(CLAIM, {**there, "spec": spec, "status": {"phase": "Bound", "capacity": capacity}})
    made = volume_of(server)
    assert made
    server.put(VOLUME, {**made, "status": {"phase": "Bound"}})


def test_the_life_of_a_volume(tmp_path: Path) -> None:
    async def whole() -> None:
        disk = Memory()
        async with running(tmp_path, disk) as server:
            server.put(CLAIM, claim())
            made = await until(lambda: volume_of(server))
            assert made["spec"]["csi"]["volumeHandle"] == VOLUME_ID and made["spec"]["capacity"] == {"storage": "1Gi"}
            assert disk.kept[VOLUME_ID].size == GI
            bind(server)
            bind(server, "3Gi")
            await until(lambda: (volume_of(server) or {})["spec"]["capacity"] == {"storage": "3Gi"})
            told = CLAIM.path("hub", "claim-ada")
            await until(lambda: server.objects[told]["status"]["capacity"] == {"storage": "3Gi"})
            assert disk.kept[VOLUME_ID].size == 3 * GI
            await until(lambda: "VolumeResizeSuccessful" in {reason for reason, _ in events(server)})
            # the claim goes: Retain keeps the volume, and Delete is somebody's decision
            server.remove(CLAIM, "claim-ada", "hub")
            kept = volume_of(server)
            assert kept
            released = server.put(VOLUME, {**kept, "status": {"phase": "Released"}})
            await asyncio.sleep(0.3)
            assert VOLUME_ID in disk.kept
            server.put(VOLUME, {**released, "spec": {**released["spec"], "persistentVolumeReclaimPolicy": "Delete"}})
            await until(lambda: volume_of(server) is None)
            assert VOLUME_ID not in disk.kept

    asyncio.run(whole())


def test_a_restart_goes_on_from_what_is_there(tmp_path: Path) -> None:
    """A process that was killed between the disk and the API server has made the same volume."""

    async def whole() -> None:
        disk = Memory()
        homes(tmp_path, disk).create("pvc-u-1", GI, 0)
        async with running(tmp_path, disk) as server:
            server.put(CLAIM, claim())
            await until(lambda: volume_of(server))
            assert [words for words in disk.did if words.startswith("create")] == [f"create {VOLUME_ID} {GI}"]

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (claim(volumeMode="Block"), "block device"),
        (claim(storageClassName="none"), "does not exist"),
        (claim(resources={"requests": {"storage": "1Ti"}}), "may be promised"),
    ],
)
def test_what_fails_is_said_once(tmp_path: Path, asked: dict[str, Any], said: str) -> None:
    async def whole() -> None:
        disk = Memory()
        async with running(tmp_path, disk) as server:
            server.put(CLAIM, asked)
            await until(lambda: events(server))
            for n in range(3):  # anything that changes wakes the loop
                server.put(CLAIM, {**claim(), "metadata": {"name": f"other-{n}", "namespace": "hub", "uid": f"o-{n}"}})
                await asyncio.sleep(0.05)
            ((reason, message),) = events(server)
            assert reason == "ProvisioningFailed" and said in message
            assert volume_of(server) is None and not disk.kept

    asyncio.run(whole())


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    async def whole() -> None:
        disk = Memory()
        disk.fails = HomesError("mkfs.xfs ended with 1")
        async with running(tmp_path, disk) as server:
            server.put(CLAIM, claim())
            await until(lambda: events(server))
            disk.fails = None
            await until(lambda: volume_of(server))

    asyncio.run(whole())


def test_another_node_s_claim_is_left_alone(tmp_path: Path) -> None:
    async def whole() -> None:
        disk = Memory()
        async with running(tmp_path, disk) as server:
            other = claim()
            other["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] = "n2"
            server.put(CLAIM, other)
            server.put(CLAIM, {**claim(), "metadata": {**claim()["metadata"], "name": "mine", "uid": "u-2"}})
            await until(lambda: VOLUME.path(None, "pvc-u-2") in server.objects)
            assert volume_of(server) is None

    asyncio.run(whole())


def test_the_life_of_a_look(tmp_path: Path) -> None:
    """A claim shows a home as it was when it was made; what it shows goes with it, and the home stays."""

    async def whole() -> None:
        disk = Memory()
        async with running(tmp_path, disk) as server:
            server.put(STORAGE_CLASS, LOOKS)
            server.put(CLAIM, claim())
            await until(lambda: volume_of(server))
            bind(server)
            server.put(CLAIM, look())
            path = VOLUME.path(None, "pvc-u-9")
            shown = await until(lambda: server.objects.get(path))
            (kept,) = disk.copies.values()
            assert shown["spec"]["csi"]["volumeHandle"] == kept.id and kept.brief and kept.volume == VOLUME_ID
            server.remove(CLAIM, "one-i0", "hub")
            server.put(VOLUME, {**shown, "status": {"phase": "Released"}})
            await until(lambda: path not in server.objects)
            assert not disk.copies and VOLUME_ID in disk.kept

    asyncio.run(whole())


def test_why_there_is_no_checkpoint_stands_in_the_claim(tmp_path: Path) -> None:
    async def whole() -> None:
        disk = Memory()
        async with running(tmp_path, disk) as server:
            server.put(STORAGE_CLASS, LOOKS)
            server.put(CLAIM, claim())
            await until(lambda: volume_of(server))
            bind(server)
            disk.used = 95 * GI
            server.put(CLAIM, look())
            path = CLAIM.path("hub", "one-i0")
            (told,) = await until(lambda: (server.objects[path].get("status") or {}).get("conditions"))
            assert told["type"] == "CheckpointRefused" and "full" in told["message"]
            assert VOLUME.path(None, "pvc-u-9") not in server.objects and not disk.copies

    asyncio.run(whole())


@pytest.mark.parametrize("steps", range(6))
def test_it_ends_when_it_is_told_to_whatever_else_it_is_told(tmp_path: Path, steps: int) -> None:
    """Woken and cancelled at the same moment, or so many steps of the loop apart."""

    async def whole() -> None:
        async with serving() as (server, kube):
            server.put(STORAGE_CLASS, CLASS)
            found = Provisioner(kube, homes(tmp_path, Memory()), "n1")
            task = asyncio.create_task(found.run())
            server.put(CLAIM, claim())
            await until(lambda: volume_of(server))
            found._woken.set()
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task}, timeout=60)
            assert task.cancelled()

    asyncio.run(whole())
