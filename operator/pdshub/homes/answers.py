"""Errors as gRPC has them, and what a request must have: for all services (CSI specification 1.12, error scheme)."""

from __future__ import annotations

import errno
import functools
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc
from google.protobuf.message import Message

from pdshub.homes import names, xfs
from pdshub.homes.errors import ArgumentError, HomesError
from pdshub.node._proto import csi_pb2 as csi

log = logging.getLogger(__name__)

Method = Callable[[Any, Any, Any], Awaitable[Any]]
_MODES = frozenset(
    csi.VolumeCapability.AccessMode.Mode.Value(name)
    for name in (
        "SINGLE_NODE_WRITER",
        "SINGLE_NODE_READER_ONLY",
        "SINGLE_NODE_SINGLE_WRITER",
        "SINGLE_NODE_MULTI_WRITER",
    )
)

_LOOKS = _MODES | {csi.VolumeCapability.AccessMode.MULTI_NODE_READER_ONLY}
"""Modes of a checkpoint: the kubelet says so of ReadOnlyMany, though it is on one node."""


def answering(method: Callable[[Any, Any], Awaitable[Any]]) -> Method:
    """A service's method whose errors become gRPC's; it gets the request alone."""

    called = getattr(method, "__name__", "a call")

    @functools.wraps(method)
    async def answer(self: Any, request: Any, context: Any) -> Any:
        try:
            return await method(self, request)
        except HomesError as error:
            if error.status == HomesError.status:
                log.error("%s: %s", called, error)
            await context.abort(grpc.StatusCode[error.status], str(error))
        except OSError as error:
            log.exception("%s", called)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            code = grpc.StatusCode.RESOURCE_EXHAUSTED if full else grpc.StatusCode.INTERNAL
            await context.abort(code, str(error))
        raise AssertionError  # abort raises

    return answer


def needs(request: Any, *fields: str) -> None:
    """Raises ArgumentError where one of these fields of a request is empty."""
    for field in fields:
        value = getattr(request, field)
        if not (request.HasField(field) if isinstance(value, Message) else value):
            raise ArgumentError(f"{field} is missing")


def why_not(capability: Any, volume: str = "") -> str:
    """Why a volume can't be what a VolumeCapability asks for; empty where it can. ``volume``: its id, if it has one."""
    if capability.HasField("block"):
        return "a home is a file system, no block device"
    if capability.access_mode.mode not in (_LOOKS if names.is_checkpoint(volume) else _MODES):
        return "a home is one node's: the access mode must be ReadWriteOnce or ReadWriteOncePod"
    if capability.mount.fs_type not in ("", xfs.TYPE):
        return f"the file system is {xfs.TYPE}, not {capability.mount.fs_type[:32]!r}"
    if capability.mount.mount_flags:
        return "mount options are not supported: a home is mounted with nosuid and nodev"
    return ""


def refuse(capabilities: Iterable[Any], volume: str = "") -> None:
    """Raises ArgumentError for capabilities that a volume can't have."""
    for capability in capabilities:
        if why := why_not(capability, volume):
            raise ArgumentError(why)
