"""The two gRPC servers: the driver's, then the one by which the kubelet finds it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import grpc.aio

from pdshub.node.csi import sockets
from pdshub.node.csi.services import Identity, Node
from pdshub.node.csi.sockets import csi_services, registration_services
from pdshub.node.layout import Layout
from pdshub.wellknown import DRIVER


async def serve(layout: Layout, node: Node) -> list[Any]:
    """Start both, in the order the kubelet needs."""
    for old in (layout.registration_socket, layout.csi_socket):  # of a process that was killed
        with suppress(FileNotFoundError):
            os.unlink(old)  # noqa: PTH108
    driver = grpc.aio.server()
    csi_services.add_IdentityServicer_to_server(Identity(), driver)
    csi_services.add_NodeServicer_to_server(node, driver)
    await sockets.listen(driver, layout.csi_socket)
    registrar = grpc.aio.server()
    endpoint = sockets.Registration(DRIVER, str(layout.csi_socket))
    registration_services.add_RegistrationServicer_to_server(endpoint, registrar)
    await sockets.listen(registrar, layout.registration_socket)
    return [driver, registrar]


async def answers(layout: Layout, seconds: float = 2) -> bool:
    """Does the driver's socket answer a Probe? For the liveness probe."""
    return await sockets.answers(layout.csi_socket, seconds)
