"""A whole CSI driver for csi-sanity, in front of the node plugin, which has no controller.

The suite's full flow creates a volume and publishes it as SINGLE_NODE_WRITER; an archive is read-only and the
plugin refuses writers. So: a controller whose "volumes" are all the same ArchiveView, and a node service that
hands every call on to the plugin, with that one access mode replaced.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio

from pdshub.node._proto import csi_pb2 as csi
from pdshub.node._proto import csi_pb2_grpc as services
from pdshub.wellknown import DRIVER


class Identity(services.IdentityServicer):
    async def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return csi.GetPluginInfoResponse(name=DRIVER, vendor_version="test")

    async def GetPluginCapabilities(self, request: Any, context: Any) -> Any:
        kind = csi.PluginCapability.Service.CONTROLLER_SERVICE
        return csi.GetPluginCapabilitiesResponse(
            capabilities=[csi.PluginCapability(service=csi.PluginCapability.Service(type=kind))]
        )

    async def Probe(self, request: Any, context: Any) -> Any:
        return csi.ProbeResponse()


class Controller(services.ControllerServicer):
    def __init__(self, view: str, namespace: str) -> None:
        # as the kubelet names the pod's, where a driver asks for it (CSIDriver podInfoOnMount)
        self._context = {"view": view, **({"csi.storage.k8s.io/pod.namespace": namespace} if namespace else {})}

    async def ControllerGetCapabilities(self, request: Any, context: Any) -> Any:
        kind = csi.ControllerServiceCapability.RPC.CREATE_DELETE_VOLUME
        return csi.ControllerGetCapabilitiesResponse(
            capabilities=[csi.ControllerServiceCapability(rpc=csi.ControllerServiceCapability.RPC(type=kind))]
        )

    async def CreateVolume(self, request: Any, context: Any) -> Any:
        if not request.name or not request.volume_capabilities:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "name and capabilities are needed")
        size = request.capacity_range.required_bytes or 1 << 30
        return csi.CreateVolumeResponse(
            volume=csi.Volume(volume_id=request.name, capacity_bytes=size, volume_context=self._context)
        )

    async def DeleteVolume(self, request: Any, context: Any) -> Any:
        if not request.volume_id:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "volume_id is needed")
        return csi.DeleteVolumeResponse()

    async def ValidateVolumeCapabilities(self, request: Any, context: Any) -> Any:
        confirmed = csi.ValidateVolumeCapabilitiesResponse.Confirmed(volume_capabilities=request.volume_capabilities)
        return csi.ValidateVolumeCapabilitiesResponse(confirmed=confirmed)


class Node(services.NodeServicer):
    """Forwards to the plugin; its refusals are passed back as they are."""

    def __init__(self, plugin: services.NodeStub) -> None:
        self._plugin = plugin

    async def _forward(self, name: str, request: Any, context: Any) -> Any:
        try:
            return await getattr(self._plugin, name)(request, timeout=60)
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details())

    async def NodeGetInfo(self, request: Any, context: Any) -> Any:
        return await self._forward("NodeGetInfo", request, context)

    async def NodeGetCapabilities(self, request: Any, context: Any) -> Any:
        return await self._forward("NodeGetCapabilities", request, context)

    async def NodePublishVolume(self, request: Any, context: Any) -> Any:
        modes = csi.VolumeCapability.AccessMode
        if request.HasField("volume_capability"):
            mode = request.volume_capability.access_mode
            if mode.mode == modes.SINGLE_NODE_WRITER:
                mode.mode = modes.MULTI_NODE_READER_ONLY
        return await self._forward("NodePublishVolume", request, context)

    async def NodeUnpublishVolume(self, request: Any, context: Any) -> Any:
        return await self._forward("NodeUnpublishVolume", request, context)

    async def NodeGetVolumeStats(self, request: Any, context: Any) -> Any:
        return await self._forward("NodeGetVolumeStats", request, context)


async def main(socket: str, view: str, plugin: str, namespace: str = "") -> None:
    options = [("grpc.default_authority", "localhost")]
    async with grpc.aio.insecure_channel(f"unix://{plugin}", options=options) as channel:
        server = grpc.aio.server()
        services.add_IdentityServicer_to_server(Identity(), server)
        services.add_ControllerServicer_to_server(Controller(view, namespace), server)
        services.add_NodeServicer_to_server(Node(services.NodeStub(channel)), server)
        server.add_insecure_port(f"unix://{socket}")
        await server.start()
        await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
