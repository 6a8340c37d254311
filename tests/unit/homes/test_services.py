"""What the CSI services say before they touch a disk: arguments, pages, errors as gRPC has them."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

import grpc
import pytest

from pdshub.homes import names
from pdshub.homes.answers import answering, why_not
from pdshub.homes.controller import Controller, TokenError, page
from pdshub.homes.errors import ArgumentError, FullError, HomesError
from pdshub.homes.node_service import Identity, Node
from pdshub.node._proto import csi_pb2 as csi
from pdshub.wellknown import HOMES_DRIVER, HOMES_NODE
from tests.unit.homes.memory import GI, Memory, homes

Mode = csi.VolumeCapability.AccessMode


class Aborted(Exception):
    """What a call was ended with."""


class Context:
    """The part of gRPC's context that is used."""

    async def abort(self, code: grpc.StatusCode, text: str) -> None:
        raise Aborted(code, text)


def capability(mode: str = "SINGLE_NODE_WRITER", **mount: Any) -> Any:
    return csi.VolumeCapability(
        mount=csi.VolumeCapability.MountVolume(**mount), access_mode=Mode(mode=Mode.Mode.Value(mode))
    )


def ask(service: Any, method: str, request: Any) -> Any:
    return asyncio.run(getattr(service, method)(request, Context()))


def refused(service: Any, method: str, request: Any) -> grpc.StatusCode:
    with pytest.raises(Aborted) as found:
        ask(service, method, request)
    code: grpc.StatusCode = found.value.args[0]
    return code


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller("n1", homes(tmp_path, Memory()))


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node("n1", homes(tmp_path, Memory()))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (capability(), ""),
        (capability("SINGLE_NODE_SINGLE_WRITER", fs_type="xfs"), ""),
        (capability("MULTI_NODE_MULTI_WRITER"), "one node's"),
        (capability(fs_type="ext4"), "xfs"),
        (capability(mount_flags=["suid"]), "mount options"),
        (csi.VolumeCapability(block=csi.VolumeCapability.BlockVolume(), access_mode=Mode(mode=1)), "block"),
    ],
)
def test_capabilities(asked: Any, why: str) -> None:
    found = why_not(asked)
    assert why in found if why else found == ""


def test_capabilities_of_a_checkpoint() -> None:
    """ReadOnlyMany is what the kubelet is told of it; a home is never anything for many."""
    volume, many = names.volume_id("pvc-1"), capability("MULTI_NODE_READER_ONLY")
    assert why_not(many, names.checkpoint_id(volume, "x")) == ""
    assert "one node's" in why_not(many, volume) and "one node's" in why_not(many)
    assert why_not(capability("MULTI_NODE_MULTI_WRITER"), names.checkpoint_id(volume, "x"))


def create(**more: Any) -> Any:
    return csi.CreateVolumeRequest(**{"name": "pvc-1", "volume_capabilities": [capability()], **more})


def topology(node: str) -> Any:
    return csi.TopologyRequirement(requisite=[csi.Topology(segments={HOMES_NODE: node})])


A_SNAPSHOT = csi.VolumeContentSource(snapshot=csi.VolumeContentSource.SnapshotSource(snapshot_id="x"))
A_VOLUME = csi.VolumeContentSource(volume=csi.VolumeContentSource.VolumeSource(volume_id="x"))


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("CreateVolume", create(name=""), "INVALID_ARGUMENT"),
        ("CreateVolume", create(volume_capabilities=[]), "INVALID_ARGUMENT"),
        ("CreateVolume", create(volume_capabilities=[capability("MULTI_NODE_READER_ONLY")]), "INVALID_ARGUMENT"),
        ("CreateVolume", create(parameters={"fsType": "xfs"}), "INVALID_ARGUMENT"),
        ("CreateVolume", create(volume_content_source=A_VOLUME), "INVALID_ARGUMENT"),
        ("CreateVolume", create(volume_content_source=A_SNAPSHOT), "NOT_FOUND"),
        ("CreateVolume", create(accessibility_requirements=topology("n2")), "RESOURCE_EXHAUSTED"),
        ("CreateVolume", create(capacity_range=csi.CapacityRange(required_bytes=1 << 50)), "RESOURCE_EXHAUSTED"),
        ("CreateVolume", create(capacity_range=csi.CapacityRange(limit_bytes=1)), "OUT_OF_RANGE"),
        ("DeleteVolume", csi.DeleteVolumeRequest(), "INVALID_ARGUMENT"),
        ("ControllerExpandVolume", csi.ControllerExpandVolumeRequest(volume_id="x"), "INVALID_ARGUMENT"),
        ("ListVolumes", csi.ListVolumesRequest(starting_token="x"), "ABORTED"),
        ("CreateSnapshot", csi.CreateSnapshotRequest(name="x"), "INVALID_ARGUMENT"),
        ("CreateSnapshot", csi.CreateSnapshotRequest(name="x", source_volume_id="../x"), "NOT_FOUND"),
        ("ValidateVolumeCapabilities", csi.ValidateVolumeCapabilitiesRequest(volume_id="x"), "INVALID_ARGUMENT"),
    ],
)
def test_what_the_controller_refuses(controller: Controller, method: str, request_: Any, code: str) -> None:
    assert refused(controller, method, request_) == grpc.StatusCode[code]


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("NodeStageVolume", csi.NodeStageVolumeRequest(volume_id="x", staging_target_path="/y"), "INVALID_ARGUMENT"),
        ("NodeUnstageVolume", csi.NodeUnstageVolumeRequest(volume_id="x"), "INVALID_ARGUMENT"),
        ("NodePublishVolume", csi.NodePublishVolumeRequest(volume_id="x", target_path="/y"), "INVALID_ARGUMENT"),
        ("NodeUnpublishVolume", csi.NodeUnpublishVolumeRequest(target_path="/y"), "INVALID_ARGUMENT"),
        ("NodeGetVolumeStats", csi.NodeGetVolumeStatsRequest(volume_id="x", volume_path="/y"), "NOT_FOUND"),
        ("NodeExpandVolume", csi.NodeExpandVolumeRequest(volume_id="x", volume_path="/y"), "NOT_FOUND"),
        (
            "NodeUnpublishVolume",
            csi.NodeUnpublishVolumeRequest(volume_id=names.volume_id("x"), target_path="/etc"),
            "INVALID_ARGUMENT",
        ),
    ],
)
def test_what_the_node_refuses(node: Node, method: str, request_: Any, code: str) -> None:
    assert refused(node, method, request_) == grpc.StatusCode[code]


def test_a_volume_belongs_to_its_node(controller: Controller, node: Node) -> None:
    made = ask(controller, "CreateVolume", create(accessibility_requirements=topology("n1"))).volume
    assert made.capacity_bytes == GI and made.accessible_topology[0].segments == {HOMES_NODE: "n1"}
    assert ask(node, "NodeGetInfo", csi.NodeGetInfoRequest()).accessible_topology.segments == {HOMES_NODE: "n1"}
    asked = csi.GetCapacityRequest(accessible_topology=csi.Topology(segments={HOMES_NODE: "n2"}))
    assert ask(controller, "GetCapacity", asked).available_capacity == 0
    assert ask(controller, "GetCapacity", csi.GetCapacityRequest()).available_capacity == 99 * GI


def test_snapshots(controller: Controller) -> None:
    volume = ask(controller, "CreateVolume", create()).volume.volume_id
    asked = csi.CreateSnapshotRequest(name="before", source_volume_id=volume)
    made = ask(controller, "CreateSnapshot", asked).snapshot
    assert made == ask(controller, "CreateSnapshot", asked).snapshot
    assert made.ready_to_use and made.source_volume_id == volume and made.creation_time.seconds == 1_800_000_000
    for query, count in (
        ({}, 1),
        ({"snapshot_id": made.snapshot_id}, 1),
        ({"snapshot_id": "x"}, 0),
        ({"source_volume_id": "../x"}, 0),
    ):
        assert len(ask(controller, "ListSnapshots", csi.ListSnapshotsRequest(**query)).entries) == count
    source = csi.VolumeContentSource(snapshot=csi.VolumeContentSource.SnapshotSource(snapshot_id=made.snapshot_id))
    restored = ask(controller, "CreateVolume", create(name="pvc-2", volume_content_source=source)).volume
    assert restored.content_source == source
    for _ in range(2):
        ask(controller, "DeleteSnapshot", csi.DeleteSnapshotRequest(snapshot_id=made.snapshot_id))
    assert ask(controller, "ListSnapshots", csi.ListSnapshotsRequest()).entries == []


def test_pages_hold_though_what_they_end_with_is_gone() -> None:
    ids = sorted(names.volume_id(str(n)) for n in range(5))
    first, token = page(ids, "", 2)
    assert first == ids[:2] and token == ids[1]
    rest = [i for i in ids if i != token]
    assert page(rest, token, 2) == (ids[2:4], ids[3])
    assert page(rest, ids[3], 2) == ([ids[4]], "")
    assert page(ids, "", 0) == (ids, "") and page([], "", 3) == ([], "")
    with pytest.raises(TokenError):
        page(ids, "not an id", 1)
    with pytest.raises(ArgumentError):
        page(ids, "", -1)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FullError("x"), "RESOURCE_EXHAUSTED"),
        (HomesError("x"), "INTERNAL"),
        (OSError(errno.ENOSPC, "x"), "RESOURCE_EXHAUSTED"),
        (OSError(errno.EIO, "x"), "INTERNAL"),
    ],
)
def test_errors_have_codes(error: Exception, code: str) -> None:
    @answering
    async def fails(self: Any, request: Any) -> Any:
        raise error

    with pytest.raises(Aborted) as found:
        asyncio.run(fails(None, None, Context()))  # type: ignore[arg-type]
    assert found.value.args[0] == grpc.StatusCode[code]


def test_the_driver_says_what_it_is() -> None:
    info = ask(Identity(), "GetPluginInfo", csi.GetPluginInfoRequest())
    assert info.name == HOMES_DRIVER and info.vendor_version
    assert len(ask(Identity(), "GetPluginCapabilities", csi.GetPluginCapabilitiesRequest()).capabilities) == 3
