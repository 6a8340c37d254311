"""The two gRPC servers: the driver's, then the one by which the kubelet finds it.

Source: k8s.io/kubelet pluginregistration v1; the kubelet waits one second for GetInfo.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from pdshub.node._proto import csi_pb2 as csi
from pdshub.node._proto import csi_pb2_grpc, pluginregistration_pb2_grpc
from pdshub.node._proto import pluginregistration_pb2 as registration
from pdshub.node.csi.services import Identity, Node
from pdshub.node.layout import Layout
from pdshub.wellknown import DRIVER

# grpcio-tools annotates messages, not services.
csi_services: Any = csi_pb2_grpc
registration_services: Any = pluginregistration_pb2_grpc

log = logging.getLogger(__name__)


class Registration(pluginregistration_pb2_grpc.RegistrationServicer):
    """By this service the kubelet finds the driver's socket.

    Source: k8s.io/kubelet, pkg/apis/pluginregistration/v1.
    """

    def __init__(self, endpoint: str) -> None:
        """`endpoint`: path of the driver's own socket."""
        self._endpoint = endpoint

    async def GetInfo(self, request: Any, context: Any) -> Any:
        """Name, type and socket of the driver; the kubelet waits one second for it."""
        return registration.PluginInfo(
            type="CSIPlugin", name=DRIVER, endpoint=self._endpoint, supported_versions=["1.0.0"]
        )

    async def NotifyRegistrationStatus(self, request: Any, context: Any) -> Any:
        """Log whether the kubelet has taken the driver."""
        if request.plugin_registered:
            log.info("registered with the kubelet")
        else:
            log.error("the kubelet refused the driver: %s", request.error)
        return registration.RegistrationStatusResponse()


async def _listen(server: Any, socket: Path) -> None:
    if server.add_insecure_port(f"unix://{socket}") == 0:
        raise OSError(f"can't listen on {socket}")
    await server.start()
    os.chmod(socket, 0o600)  # noqa: PTH101


async def serve(layout: Layout, node: Node) -> list[Any]:
    """Start both, in the order the kubelet needs."""
    for old in (layout.registration_socket, layout.csi_socket):  # of a process that was killed
        with suppress(FileNotFoundError):
            os.unlink(old)  # noqa: PTH108
    driver = grpc.aio.server()
    csi_services.add_IdentityServicer_to_server(Identity(), driver)
    csi_services.add_NodeServicer_to_server(node, driver)
    await _listen(driver, layout.csi_socket)
    registrar = grpc.aio.server()
    registration_services.add_RegistrationServicer_to_server(Registration(str(layout.csi_socket)), registrar)
    await _listen(registrar, layout.registration_socket)
    return [driver, registrar]


async def answers(layout: Layout, seconds: float = 2) -> bool:
    """Does the driver's socket answer a Probe? For the liveness probe."""
    options = [("grpc.default_authority", "localhost")]
    try:
        async with grpc.aio.insecure_channel(f"unix://{layout.csi_socket}", options=options) as channel:
            await csi_services.IdentityStub(channel).Probe(csi.ProbeRequest(), timeout=seconds)
    except (grpc.aio.AioRpcError, OSError):
        return False
    return True
