"""The two gRPC servers: the driver's, then the one by which the kubelet finds it."""

from __future__ import annotations

from typing import Any

import grpc.aio

from pdshub.node.csi import sockets
from pdshub.node.csi.services import Identity, Node
from pdshub.node.csi.sockets import csi_services
from pdshub.node.layout import Layout
from pdshub.wellknown import DRIVER


async def serve(layout: Layout, node: Node) -> list[Any]:
    """Start both, in the order the kubelet needs."""
    driver = grpc.aio.server()
    csi_services.add_IdentityServicer_to_server(Identity(), driver)
    csi_services.add_NodeServicer_to_server(node, driver)
    return await sockets.serve(driver, DRIVER, layout.csi_socket, layout.registration_socket)


async def answers(layout: Layout, seconds: float = 2) -> bool:
    """Does the driver's socket answer a Probe? For the liveness probe."""
    return await sockets.answers(layout.csi_socket, seconds)
