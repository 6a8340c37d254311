"""The process of one source of the user-space NFS client: it gives up its rights, connects, and serves.

It is started by the helper (nfs_helper.py) as root, on a socket as its standard input. What follows is said in lines
of JSON: the helper sends the request; this process answers whether the server has the export; the helper mounts and
says so. From before its first word with the server it is nobody, with one capability: servers want to be asked from a
port below 1024 (exports(5), "secure").
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import socket
from typing import Any

from pdshub.node import unprivileged

UID = GID = 65533
"""Of this process alone: who serves the archive shares no user with whoever else runs on the node."""
KEPT = unprivileged.NET_BIND_SERVICE
_PR_SET_PDEATHSIG = 1
_LINE = 64 << 10  # bytes


def run() -> None:
    """Serve the source that the helper asks for, until its mount or the helper is gone."""
    # while it may read them: the libraries may lie where only root can. nfs-rs loads its own at the first connection
    from pdshub.node.source import nfs_client, nfs_fuse

    importlib.import_module("nfs_rs._internal")
    with socket.socket(fileno=os.dup(0)) as channel, channel.makefile("rb") as lines:
        asked = json.loads(lines.readline(_LINE))
        unprivileged.become(UID, GID, KEPT)
        # behind the change of user, which would undo it: without the helper nobody takes the mount away
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        request = asked["request"]
        # the server is told whom it is asked for, never who this process is
        uid, gid = request["runAs"] or (0, 0)
        filesystem = nfs_fuse.ExportFileSystem(
            nfs_client.Server(request["server"], request["port"], (uid, gid)), request["export"]
        )
        answer: dict[str, Any] = {"ready": True}
        try:
            filesystem.getattr("/")
        except OSError as error:
            answer = {"ready": False, "message": error.strerror or str(error)}
        channel.sendall(json.dumps(answer).encode() + b"\n")
        if not answer["ready"] or not lines.readline(_LINE):
            return
    nfs_fuse.serve(filesystem, asked["fuse"])
