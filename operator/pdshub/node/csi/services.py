"""The CSI services: Identity and Node (no staging, no controller).

Publishing never waits for a NAS: the target gets the view's small directory at once, and the trees appear
below it when they can. Source: the CSI specification 1.12, node service.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from pathlib import Path
from typing import Any

import grpc

from pdshub.node._proto import csi_pb2 as csi
from pdshub.node._proto import csi_pb2_grpc as services
from pdshub.node.csi.sockets import program_version
from pdshub.node.layout import Layout
from pdshub.node.mount import mountinfo, volume_root
from pdshub.node.mount.locks import Locks
from pdshub.node.reconcile.reconciler import Reconciler
from pdshub.node.spec import SOURCES
from pdshub.wellknown import DRIVER

log = logging.getLogger(__name__)

#: How long a publish waits for the trees. A healthy view is complete when its pod starts; a pod of a view
#: that is not gets them while it runs.
SETTLE_SECONDS = 1.5
NODE_CAPABILITIES = ("GET_VOLUME_STATS", "VOLUME_CONDITION")
POD_INFO = "csi.storage.k8s.io/"
CONTENTS = ("view", "sources")
READ_ONLY = {
    csi.VolumeCapability.AccessMode.SINGLE_NODE_READER_ONLY,
    csi.VolumeCapability.AccessMode.MULTI_NODE_READER_ONLY,
}


def tidy(path: str) -> str:
    """The path as the mount table would show it; links are not followed."""
    return os.path.normpath(path)


def refusal(request: Any) -> str:
    """What is wrong with the arguments of a publish (INVALID_ARGUMENT); empty if nothing is."""
    if not request.volume_id:
        return "volume_id is missing"
    if not request.target_path:
        return "target_path is missing"
    if not request.HasField("volume_capability"):
        return "volume_capability is missing"
    capability = request.volume_capability
    if capability.HasField("block"):
        return "an archive can't be a block device"
    if capability.access_mode.mode not in READ_ONLY:
        return "an archive is read-only: the access mode must be ReadOnlyMany"
    if capability.mount.mount_flags:
        return f"mount options {list(capability.mount.mount_flags)} are not supported"
    unknown = [k for k in request.volume_context if k not in ("view", "content") and not k.startswith(POD_INFO)]
    if unknown:
        return f"unknown volume attributes: {', '.join(sorted(unknown))}; only 'view' and 'content' are known"
    content = request.volume_context.get("content", CONTENTS[0])
    if content not in CONTENTS:
        return f"volume attribute 'content': {content!r} is none of {', '.join(CONTENTS)}"
    view = request.volume_context.get("view", "")
    if not view:
        return "volume attribute 'view' (the name of an ArchiveView) is missing"
    if view.startswith(".") or set(view) - set("abcdefghijklmnopqrstuvwxyz0123456789.-"):
        return f"volume attribute 'view': {view!r} can't be the name of an ArchiveView"
    return ""


class Identity(services.IdentityServicer):
    """The Identity service: which driver this is (CSI specification 1.12, Identity Service RPC)."""

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """Name and version of the driver."""
        return csi.GetPluginInfoResponse(name=DRIVER, vendor_version=program_version())

    async def GetPluginCapabilities(self, request: Any, context: Any) -> Any:
        """None: there is no controller service and no topology."""
        return csi.GetPluginCapabilitiesResponse()

    async def Probe(self, request: Any, context: Any) -> Any:
        """Ready, as soon as the socket answers."""
        return csi.ProbeResponse()


class Node(services.NodeServicer):
    """The Node service: publishes views at target paths (CSI specification 1.12, Node Service RPC)."""

    def __init__(self, node: str, layout: Layout, reconciler: Reconciler, namespace: str = "") -> None:
        """`namespace`: that of surveyors; only its pods may see the sources themselves."""
        self._node, self._layout, self._reconciler, self._namespace = node, layout, reconciler, namespace
        self._locks = Locks()  # by target
        self.publishes = 0
        self.last_publish_seconds = 0.0

    async def NodeGetInfo(self, request: Any, context: Any) -> Any:
        """The node's name, as Kubernetes has it."""
        return csi.NodeGetInfoResponse(node_id=self._node)

    async def NodeGetCapabilities(self, request: Any, context: Any) -> Any:
        """GET_VOLUME_STATS and, where the specification still has it, VOLUME_CONDITION; no staging."""
        kinds = csi.NodeServiceCapability.RPC
        return csi.NodeGetCapabilitiesResponse(
            capabilities=[
                csi.NodeServiceCapability(rpc=csi.NodeServiceCapability.RPC(type=kind))
                for kind in (kinds.Type.Value(name) for name in NODE_CAPABILITIES if name in kinds.Type.keys())  # noqa: SIM118
            ]
        )

    async def NodePublishVolume(self, request: Any, context: Any) -> Any:
        """Show a view at target_path, read-only; its trees follow, at once if its sources are healthy.

        Idempotent. Aborts with INVALID_ARGUMENT for what is malformed, PERMISSION_DENIED for content `sources` outside
        of the namespace of surveyors and for namespaces that the view does not allow, ALREADY_EXISTS where something
        else is mounted, and INTERNAL for errors of mounting, after which the kubelet tries again.
        """
        started = time.monotonic()
        wrong = refusal(request)
        if wrong:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, wrong)
        target, view = tidy(request.target_path), request.volume_context["view"]
        if request.volume_context.get("content") == "sources":
            # Sources hold what a view hides, and hold it as the view's owner is allowed to read it.
            if not self._namespace or request.volume_context.get(f"{POD_INFO}pod.namespace") != self._namespace:
                await context.abort(
                    grpc.StatusCode.PERMISSION_DENIED,
                    "content 'sources' is for pods of the namespace of surveyors only",
                )
            view += SOURCES
        elif wrong := self._forbidden(view, request.volume_context.get(f"{POD_INFO}pod.namespace", "")):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, wrong)
        if not target.startswith(f"{self._layout.kubelet}/"):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"target_path must lie in {self._layout.kubelet}")
        self._reconciler.expect(view)
        try:
            async with self._locks(target):
                other = await asyncio.to_thread(self._publish, view, target)
        except OSError as error:
            log.exception("publish %s at %s", view, target)
            await context.abort(grpc.StatusCode.INTERNAL, f"publish {view}: {error}")
        if other:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, other)
        settling = asyncio.create_task(self._reconciler.settle(view))
        settling.add_done_callback(_report)
        await asyncio.wait({settling}, timeout=SETTLE_SECONDS)
        self._reconciler.wake()
        self.publishes += 1
        self.last_publish_seconds = time.monotonic() - started
        log.info("published %s at %s in %.0f ms", view, target, self.last_publish_seconds * 1000)
        return csi.NodePublishVolumeResponse()

    def _forbidden(self, name: str, namespace: str) -> str:
        """Why a view may not be shown to pods of a namespace; empty where it may, or where no view is known.

        The kubelet names the namespace (podInfoOnMount of the CSIDriver), and no volume can be made inside of a pod's
        spec (volumeLifecycleModes: Persistent).
        """
        # the newest that is known: the reconciler takes it up at its next turn
        view = self._reconciler.informer.views.get(name) or self._reconciler.view_of(name)
        if view is None or view.may_show_in(namespace):
            return ""
        return f"ArchiveView {name} may not be shown in namespace {namespace}: spec.allowedNamespaces does not have it"

    def _publish(self, view: str, target: str) -> str:
        """Mount the volume's root at the target. Answers what else is there already, if anything is."""
        there = mountinfo.top(mountinfo.read(), target)
        if there is not None:
            if volume_root.is_volume_root(there, view):
                return ""
            return f"{target} is already a mount of {there.source}"
        volume_root.ensure(self._layout, view)
        Path(target).mkdir(parents=True, exist_ok=True)
        volume_root.publish(self._layout, view, target)
        made = mountinfo.top(mountinfo.read(), target)
        if made is None or not volume_root.is_volume_root(made, view):
            # the view was taken for a leftover, and its root away, in just this moment
            volume_root.unpublish(target)
            raise OSError(errno.EAGAIN, "its directory has just been removed: it is made anew at the next try")
        return ""

    async def NodeUnpublishVolume(self, request: Any, context: Any) -> Any:
        """Take target_path and all below it away. Idempotent; never waits for a NAS.

        Aborts with INVALID_ARGUMENT for what is malformed, INTERNAL for errors of unmounting.
        """
        if not request.volume_id or not request.target_path:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "volume_id and target_path are needed")
        target = tidy(request.target_path)
        if not target.startswith(f"{self._layout.kubelet}/"):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"target_path must lie in {self._layout.kubelet}")
        try:
            async with self._locks(target):
                await asyncio.to_thread(volume_root.unpublish, target)
        except OSError as error:
            await context.abort(grpc.StatusCode.INTERNAL, f"unpublish {target}: {error}")
        self._reconciler.wake()
        log.info("unpublished %s", target)
        return csi.NodeUnpublishVolumeResponse()

    async def NodeGetVolumeStats(self, request: Any, context: Any) -> Any:
        """Health from memory, numbers of the small directory only: a dead NAS can't make this wait."""
        if not request.volume_id or not request.volume_path:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "volume_id and volume_path are needed")
        there = mountinfo.top(mountinfo.read(), tidy(request.volume_path))
        if there is None or not volume_root.is_volume_root(there):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"nothing is published at {request.volume_path}")
            raise AssertionError  # abort raises
        view = there.source.removeprefix("pdshub:")
        story = self._reconciler.stories.get(view)
        try:
            numbers = os.statvfs(self._layout.volume_root(view))
        except OSError as error:
            await context.abort(grpc.StatusCode.INTERNAL, os.strerror(error.errno or errno.EIO))
        usage = csi.VolumeUsage(
            unit=csi.VolumeUsage.BYTES,
            total=numbers.f_blocks * numbers.f_frsize,
            available=numbers.f_bavail * numbers.f_frsize,
            used=(numbers.f_blocks - numbers.f_bfree) * numbers.f_frsize,
        )
        response = csi.NodeGetVolumeStatsResponse(usage=[usage])
        # In the specification since 1.3 and, as an alpha field, gone from 1.13: kubelets up to 1.34 read it.
        if "volume_condition" in response.DESCRIPTOR.fields_by_name:
            condition = getattr(response, "volume_condition")  # noqa: B009
            condition.abnormal = not (story and story.ready)
            condition.message = (story.message or "the archive is complete") if story else "not looked at yet"
        return response


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("settling a view: %r", error)
