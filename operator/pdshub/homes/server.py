"""The driver's two gRPC servers, and its health in a file for the kubelet's probe."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio

from pdshub.homes.controller import Controller
from pdshub.homes.node_service import Identity, Node
from pdshub.homes.operations import Homes
from pdshub.homes.watch import Watch
from pdshub.node.csi import sockets
from pdshub.node.csi.sockets import csi_services
from pdshub.node.report import heartbeat
from pdshub.wellknown import HOMES_DRIVER

log = logging.getLogger(__name__)

STUCK_SECONDS = 3600.0
"""A loop over the disk without a whole turn for so long is stuck: where homes are copied one takes some minutes."""


@dataclass(frozen=True)
class Places:
    """Paths of the driver below the kubelet's directory."""

    kubelet: Path

    @property
    def plugin(self) -> Path:
        """The driver's own directory."""
        return self.kubelet / "plugins" / HOMES_DRIVER

    @property
    def lock(self) -> Path:
        """Held by the driver that runs."""
        return self.plugin / "lock"

    @property
    def socket(self) -> Path:
        """Where the driver listens."""
        return self.plugin / "csi.sock"

    @property
    def registration(self) -> Path:
        """Where the kubelet finds the driver."""
        return self.kubelet / "plugins_registry" / f"{HOMES_DRIVER}-reg.sock"

    def prepare(self) -> None:
        """Make the directories. Raises OSError."""
        for folder in (self.plugin, self.registration.parent):
            folder.mkdir(parents=True, exist_ok=True)


async def serve(places: Places, node: str, homes: Homes) -> list[Any]:
    """Start both, in the order the kubelet needs. Raises OSError."""
    driver = grpc.aio.server()
    csi_services.add_IdentityServicer_to_server(Identity(), driver)
    csi_services.add_ControllerServicer_to_server(Controller(node, homes), driver)
    csi_services.add_NodeServicer_to_server(Node(node, homes), driver)
    return await sockets.serve(driver, HOMES_DRIVER, places.socket, places.registration)


async def said(places: Places, watch: Watch) -> str:
    """What is in the file: heartbeat.OK in front, or why a restart is wanted."""
    idle = time.monotonic() - watch.last_turn
    if idle > STUCK_SECONDS:
        return f"no whole look at the disk for {idle:.0f} s"
    return heartbeat.OK if await sockets.answers(places.socket) else "the CSI socket does not answer"
