"""What every CSI driver of the project has in front of its services: a socket, and how the kubelet finds it.

Source: k8s.io/kubelet, pkg/apis/pluginregistration/v1; the kubelet waits one second for GetInfo.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import grpc.aio

from pdshub.node._proto import csi_pb2 as csi
from pdshub.node._proto import csi_pb2_grpc, pluginregistration_pb2_grpc
from pdshub.node._proto import pluginregistration_pb2 as registration

# grpcio-tools annotates messages, not services.
csi_services: Any = csi_pb2_grpc
registration_services: Any = pluginregistration_pb2_grpc

log = logging.getLogger(__name__)


def program_version() -> str:
    """The installed version of PDSHub; 0+source where it runs from its source."""
    try:
        return version("pdshub")
    except PackageNotFoundError:
        return "0+source"


class Registration(pluginregistration_pb2_grpc.RegistrationServicer):
    """By this service the kubelet finds a driver's socket."""

    def __init__(self, driver: str, endpoint: str) -> None:
        """`driver`: its name; `endpoint`: path of its own socket."""
        self._driver, self._endpoint = driver, endpoint

    async def GetInfo(self, request: Any, context: Any) -> Any:
        """Name, type and socket of the driver; the kubelet waits one second for it."""
        return registration.PluginInfo(
            type="CSIPlugin", name=self._driver, endpoint=self._endpoint, supported_versions=["1.0.0"]
        )

    async def NotifyRegistrationStatus(self, request: Any, context: Any) -> Any:
        """Log whether the kubelet has taken the driver."""
        if request.plugin_registered:
            log.info("registered with the kubelet")
        else:
            log.error("the kubelet refused the driver: %s", request.error)
        return registration.RegistrationStatusResponse()


async def listen(server: Any, socket: Path) -> None:
    """Start a gRPC server on a socket of root's alone. Raises OSError."""
    if server.add_insecure_port(f"unix://{socket}") == 0:
        raise OSError(f"can't listen on {socket}")
    await server.start()
    os.chmod(socket, 0o600)  # noqa: PTH101


async def serve(driver: Any, name: str, socket: Path, registration: Path) -> list[Any]:
    """Start a driver's gRPC server, then the one by which the kubelet finds it: in the order that the kubelet needs.
    Both. ``name``: the driver's. Raises OSError."""
    for old in (registration, socket):  # of a process that was killed
        with suppress(FileNotFoundError):
            os.unlink(old)  # noqa: PTH108
    await listen(driver, socket)
    registrar = grpc.aio.server()
    registration_services.add_RegistrationServicer_to_server(Registration(name, str(socket)), registrar)
    await listen(registrar, registration)
    return [driver, registrar]


async def answers(socket: Path, seconds: float = 2) -> bool:
    """Does the driver behind a socket answer a Probe? For the liveness probe."""
    options = [("grpc.default_authority", "localhost")]
    try:
        async with grpc.aio.insecure_channel(f"unix://{socket}", options=options) as channel:
            await csi_services.IdentityStub(channel).Probe(csi.ProbeRequest(), timeout=seconds)
    except (grpc.aio.AioRpcError, OSError):
        return False
    return True
