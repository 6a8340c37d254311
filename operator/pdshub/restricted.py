"""What every pod of the project's own is: nobody's root, in one home.

Charts of hubs, and servers of people, say the same in the words of their values (render/values.py, render/server.py).
Source: Kubernetes, Pod Security Standards, Restricted.
"""

from __future__ import annotations

from typing import Any


def pod(uid: int, gid: int | None = None, volumes: int | None = None) -> dict[str, Any]:
    """The security context of a pod. ``gid``: its group, where that is another number than ``uid``; ``volumes``: the
    group that its volumes are given to (fsGroup)."""
    # no recursive chown of what has the group already: that of a large home would take long
    group = {} if volumes is None else {"fsGroup": volumes, "fsGroupChangePolicy": "OnRootMismatch"}
    return {
        "runAsNonRoot": True,
        "runAsUser": uid,
        "runAsGroup": uid if gid is None else gid,
        **group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container() -> dict[str, Any]:
    """The security context of a container, which writes to its volumes only."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
