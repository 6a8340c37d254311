"""The Controller service: volumes and checkpoints of this node's disk (CSI specification 1.12, Controller Service RPC).

There is nothing to attach. A volume is grown whole here, its file system included, so that no node has to do more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from pdshub.homes import names
from pdshub.homes.answers import answering, needs, refuse, why_not
from pdshub.homes.errors import ArgumentError, FullError, HomesError
from pdshub.homes.model import Checkpoint, Volume
from pdshub.homes.operations import Homes
from pdshub.node._proto import csi_pb2 as csi
from pdshub.node._proto import csi_pb2_grpc as services
from pdshub.wellknown import HOMES_NODE

log = logging.getLogger(__name__)

CAPABILITIES = (
    *("CREATE_DELETE_VOLUME", "LIST_VOLUMES", "GET_CAPACITY", "EXPAND_VOLUME"),
    *("CREATE_DELETE_SNAPSHOT", "LIST_SNAPSHOTS"),
)
_OURS = "csi.storage.k8s.io/"
"""Parameters that Kubernetes' own sidecars add."""


class TokenError(HomesError):
    """A page is asked for that no list has given."""

    status = "ABORTED"


def page(ids: Sequence[str], token: str, most: int) -> tuple[list[str], str]:
    """The next of these ids, which are sorted, and the token of the page after it; empty at the end.

    A token is the last id of its page: it holds though that one, or any other, is gone meanwhile. Raises TokenError.
    """
    if token and not (names.is_volume(token) or names.is_checkpoint(token)):
        raise TokenError(f"{token[:64]!r} is no token of a list")
    if most < 0:
        raise ArgumentError("max_entries is negative")
    rest = [found for found in ids if found > token]
    shown = rest[:most] if most else rest
    return shown, shown[-1] if len(shown) < len(rest) else ""


class Controller(services.ControllerServicer):
    """Makes, grows and removes volumes and checkpoints."""

    def __init__(self, node: str, homes: Homes) -> None:
        """`node`: its name in Kubernetes, which volumes belong to."""
        self._node, self._homes = node, homes

    def _volume(self, volume: Volume, source: Any = None) -> Any:
        return csi.Volume(
            volume_id=volume.id,
            capacity_bytes=volume.size,
            accessible_topology=[csi.Topology(segments={HOMES_NODE: self._node})],
            content_source=source,
        )

    def _snapshot(self, checkpoint: Checkpoint) -> Any:
        made = csi.Snapshot(
            snapshot_id=checkpoint.id,
            source_volume_id=checkpoint.volume,
            size_bytes=checkpoint.size,
            ready_to_use=True,
        )
        made.creation_time.FromNanoseconds(int(checkpoint.created * 1000) * 10**6)
        return made

    def _here(self, requirement: Any) -> bool:
        """Whether a TopologyRequirement, which may be empty, admits this node."""
        wanted = [*requirement.requisite]
        return not wanted or any(t.segments.get(HOMES_NODE, self._node) == self._node for t in wanted)

    @answering
    async def ControllerGetCapabilities(self, request: Any) -> Any:
        """All but attaching, cloning and what a node does."""
        rpc = csi.ControllerServiceCapability.RPC
        return csi.ControllerGetCapabilitiesResponse(
            capabilities=[csi.ControllerServiceCapability(rpc=rpc(type=rpc.Type.Value(name))) for name in CAPABILITIES]
        )

    @answering
    async def CreateVolume(self, request: Any) -> Any:
        """Make a volume, blank or as a checkpoint is."""
        needs(request, "name", "volume_capabilities")
        refuse(request.volume_capabilities)
        unknown = sorted(key for key in request.parameters if not key.startswith(_OURS))
        if unknown:
            raise ArgumentError(f"unknown parameters: {', '.join(unknown)[:200]}; there are none")
        if not self._here(request.accessibility_requirements):
            raise FullError(f"the volume is wanted on another node than {self._node}")
        content, source = None, ""
        if request.HasField("volume_content_source"):
            content = request.volume_content_source
            if not content.HasField("snapshot"):
                raise ArgumentError("a volume can begin as a checkpoint, not as another volume")
            source = content.snapshot.snapshot_id
        bounds = request.capacity_range
        made = await asyncio.to_thread(
            self._homes.create, request.name, bounds.required_bytes, bounds.limit_bytes, source
        )
        return csi.CreateVolumeResponse(volume=self._volume(made, content))

    @answering
    async def DeleteVolume(self, request: Any) -> Any:
        """Remove a volume that is mounted nowhere."""
        needs(request, "volume_id")
        await asyncio.to_thread(self._homes.delete, request.volume_id)
        return csi.DeleteVolumeResponse()

    @answering
    async def ValidateVolumeCapabilities(self, request: Any) -> Any:
        """Whether a volume has these capabilities; what it has not is said."""
        needs(request, "volume_id", "volume_capabilities")
        await asyncio.to_thread(self._homes.volume, request.volume_id)
        whys = [why for capability in request.volume_capabilities if (why := why_not(capability))]
        if whys:
            return csi.ValidateVolumeCapabilitiesResponse(message=whys[0])
        confirmed = csi.ValidateVolumeCapabilitiesResponse.Confirmed(volume_capabilities=request.volume_capabilities)
        return csi.ValidateVolumeCapabilitiesResponse(confirmed=confirmed)

    @answering
    async def ListVolumes(self, request: Any) -> Any:
        """Volumes by id."""
        found = {volume.id: volume for volume in await asyncio.to_thread(self._homes.volumes)}
        shown, token = page(sorted(found), request.starting_token, request.max_entries)
        entry = csi.ListVolumesResponse.Entry
        entries = [entry(volume=self._volume(found[volume])) for volume in shown]
        return csi.ListVolumesResponse(entries=entries, next_token=token)

    @answering
    async def GetCapacity(self, request: Any) -> Any:
        """What may still be promised to volumes."""
        elsewhere = request.accessible_topology.segments.get(HOMES_NODE, self._node) != self._node
        if elsewhere or any(why_not(capability) for capability in request.volume_capabilities):
            return csi.GetCapacityResponse(available_capacity=0)
        return csi.GetCapacityResponse(available_capacity=await asyncio.to_thread(self._homes.room))

    @answering
    async def ControllerExpandVolume(self, request: Any) -> Any:
        """Grow a volume and, where it is mounted, its file system; else the next mount does that."""
        needs(request, "volume_id", "capacity_range")
        bounds = request.capacity_range
        grown = await asyncio.to_thread(self._homes.grow, request.volume_id, bounds.required_bytes, bounds.limit_bytes)
        return csi.ControllerExpandVolumeResponse(capacity_bytes=grown.size, node_expansion_required=False)

    @answering
    async def CreateSnapshot(self, request: Any) -> Any:
        """Keep a volume as it is now; whole when this answers."""
        needs(request, "name", "source_volume_id")
        made = await asyncio.to_thread(self._homes.checkpoint, request.source_volume_id, request.name)
        return csi.CreateSnapshotResponse(snapshot=self._snapshot(made))

    @answering
    async def DeleteSnapshot(self, request: Any) -> Any:
        """Remove a checkpoint."""
        needs(request, "snapshot_id")
        await asyncio.to_thread(self._homes.drop, request.snapshot_id)
        return csi.DeleteSnapshotResponse()

    @answering
    async def ListSnapshots(self, request: Any) -> Any:
        """Checkpoints by id: all, those of a volume, or one."""
        known = await asyncio.to_thread(self._homes.checkpoints, request.source_volume_id)
        found = {c.id: c for c in known if request.snapshot_id in ("", c.id)}
        shown, token = page(sorted(found), request.starting_token, request.max_entries)
        entry = csi.ListSnapshotsResponse.Entry
        entries = [entry(snapshot=self._snapshot(found[checkpoint])) for checkpoint in shown]
        return csi.ListSnapshotsResponse(entries=entries, next_token=token)
