"""The Node service: a volume is mounted once, and shown to each pod (CSI specification 1.12, Node Service RPC)."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from pdshub.homes.answers import answering, needs, refuse
from pdshub.homes.operations import Homes
from pdshub.node._proto import csi_pb2 as csi
from pdshub.node._proto import csi_pb2_grpc as services
from pdshub.node.csi.sockets import program_version
from pdshub.wellknown import HOMES_DRIVER, HOMES_NODE

CAPABILITIES = ("STAGE_UNSTAGE_VOLUME", "GET_VOLUME_STATS", "EXPAND_VOLUME")


class Identity(services.IdentityServicer):
    """The Identity service: which driver this is (CSI specification 1.12, Identity Service RPC)."""

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """Name and version of the driver."""
        return csi.GetPluginInfoResponse(name=HOMES_DRIVER, vendor_version=program_version())

    async def GetPluginCapabilities(self, request: Any, context: Any) -> Any:
        """A controller; volumes that belong to a node; growth while they are in use."""
        kind, expansion = csi.PluginCapability.Service, csi.PluginCapability.VolumeExpansion
        return csi.GetPluginCapabilitiesResponse(
            capabilities=[
                csi.PluginCapability(service=kind(type=kind.CONTROLLER_SERVICE)),
                csi.PluginCapability(service=kind(type=kind.VOLUME_ACCESSIBILITY_CONSTRAINTS)),
                csi.PluginCapability(volume_expansion=expansion(type=expansion.ONLINE)),
            ]
        )

    async def Probe(self, request: Any, context: Any) -> Any:
        """Ready, as soon as the socket answers."""
        return csi.ProbeResponse()


class Node(services.NodeServicer):
    """Mounts volumes of this node's disk."""

    def __init__(self, node: str, homes: Homes) -> None:
        """`node`: its name in Kubernetes."""
        self._node, self._homes = node, homes

    async def NodeGetInfo(self, request: Any, context: Any) -> Any:
        """The node's name, which volumes belong to."""
        topology = csi.Topology(segments={HOMES_NODE: self._node})
        return csi.NodeGetInfoResponse(node_id=self._node, accessible_topology=topology)

    async def NodeGetCapabilities(self, request: Any, context: Any) -> Any:
        """Staging, numbers, growth."""
        rpc = csi.NodeServiceCapability.RPC
        return csi.NodeGetCapabilitiesResponse(
            capabilities=[csi.NodeServiceCapability(rpc=rpc(type=rpc.Type.Value(name))) for name in CAPABILITIES]
        )

    @answering
    async def NodeStageVolume(self, request: Any) -> Any:
        """Mount a volume once for the node, with all of its size; or a checkpoint, which nobody can write."""
        needs(request, "volume_id", "staging_target_path", "volume_capability")
        refuse([request.volume_capability], request.volume_id)
        await asyncio.to_thread(self._homes.stage, request.volume_id, request.staging_target_path)
        return csi.NodeStageVolumeResponse()

    @answering
    async def NodeUnstageVolume(self, request: Any) -> Any:
        """Take that mount away; its device goes with it."""
        needs(request, "volume_id", "staging_target_path")
        await asyncio.to_thread(self._homes.unstage, request.volume_id, request.staging_target_path)
        return csi.NodeUnstageVolumeResponse()

    @answering
    async def NodePublishVolume(self, request: Any) -> Any:
        """Show a staged volume to a pod."""
        needs(request, "volume_id", "target_path", "volume_capability", "staging_target_path")
        refuse([request.volume_capability], request.volume_id)
        mode = csi.VolumeCapability.AccessMode
        read_only = request.readonly or request.volume_capability.access_mode.mode == mode.SINGLE_NODE_READER_ONLY
        await asyncio.to_thread(
            self._homes.publish,
            request.volume_id,
            request.staging_target_path,
            request.target_path,
            read_only=read_only,
        )
        return csi.NodePublishVolumeResponse()

    @answering
    async def NodeUnpublishVolume(self, request: Any) -> Any:
        """Take it away from a pod, with the directory."""
        needs(request, "volume_id", "target_path")
        await asyncio.to_thread(self._homes.unpublish, request.volume_id, request.target_path)
        return csi.NodeUnpublishVolumeResponse()

    @answering
    async def NodeGetVolumeStats(self, request: Any) -> Any:
        """Bytes and inodes of a home, as its owner sees them."""
        needs(request, "volume_id", "volume_path")
        found: os.statvfs_result = await asyncio.to_thread(self._homes.stats, request.volume_id, request.volume_path)
        return csi.NodeGetVolumeStatsResponse(
            usage=[
                csi.VolumeUsage(
                    unit=csi.VolumeUsage.BYTES,
                    total=found.f_blocks * found.f_frsize,
                    available=found.f_bavail * found.f_frsize,
                    used=(found.f_blocks - found.f_bfree) * found.f_frsize,
                ),
                csi.VolumeUsage(
                    unit=csi.VolumeUsage.INODES,
                    total=found.f_files,
                    available=found.f_favail,
                    used=found.f_files - found.f_ffree,
                ),
            ]
        )

    @answering
    async def NodeExpandVolume(self, request: Any) -> Any:
        """As the controller's, for whoever asks the node; it is the same disk."""
        needs(request, "volume_id", "volume_path")
        await asyncio.to_thread(self._homes.stats, request.volume_id, request.volume_path)
        bounds = request.capacity_range
        grown = await asyncio.to_thread(self._homes.grow, request.volume_id, bounds.required_bytes, bounds.limit_bytes)
        return csi.NodeExpandVolumeResponse(capacity_bytes=grown.size)
