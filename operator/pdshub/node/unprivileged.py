"""Become nobody in particular, for good: how a check sees the archive as a user's process does, and how what reads
others' bytes loses the rights that it was started with.

Only for child processes. Standard library only, like mount/worker_main.py.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

UID, GID = 1000, 1000  # what the hub's servers run as (render/server.py)
NET_BIND_SERVICE = 1 << 10
"""To connect from a port below 1024 (capabilities(7))."""
_PR_SET_KEEPCAPS, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 8, 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
#: A user's answer: a few hundred short lines at most.
_LIMIT = 4 << 20

_libc = ctypes.CDLL(None, use_errno=True)


def become(uid: int = UID, gid: int = GID, keep: int = 0) -> dict[str, Any]:
    """Drop root: no groups, no capabilities in any set, no new privileges. Answers what the kernel says of it.

    `keep`: a mask of capabilities that this process, and none that it starts, goes on to have. Raises PermissionError
    if anything else of root is left (a check as root would prove nothing), or there are threads beside this one, which
    the kernel treats for themselves.
    """
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        raise PermissionError(errno.EPERM, "only a process of one thread can change its user")
    _libc.prctl(_PR_SET_KEEPCAPS, int(bool(keep)), 0, 0, 0)
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # EINVAL beyond the kernel's last one
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    # setresuid cleared the effective and ambient sets; this sets the permitted and clears the inheritable one
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _libc.capset(header, (ctypes.c_uint32 * 6)(keep, keep))
    found = identity()
    kept = {"CapPrm": keep, "CapEff": keep} if keep else {}
    wanted = {"uid": uid, "gid": gid, "groups": [], "capabilities": list(kept), "noNewPrivileges": True}
    if found != wanted or any(capabilities()[name] != mask for name, mask in kept.items()):
        raise PermissionError(errno.EPERM, f"the check could not become a plain user: {found}")
    return found


def identity() -> dict[str, Any]:
    """Who this process is, from /proc/self/status (proc_pid_status(5))."""
    lines = dict(line.partition(":")[::2] for line in Path("/proc/self/status").read_text().splitlines())
    uids, gids = set(lines["Uid"].split()), set(lines["Gid"].split())
    return {
        "uid": int(uids.pop()) if len(uids) == 1 else -1,
        "gid": int(gids.pop()) if len(gids) == 1 else -1,
        "groups": [int(group) for group in lines["Groups"].split()],
        "capabilities": [name for name, mask in capabilities().items() if mask],
        "noNewPrivileges": lines["NoNewPrivs"].strip() == "1",
    }


def capabilities() -> dict[str, int]:
    """The masks of this process' five sets, from /proc/self/status (capabilities(7))."""
    lines = dict(line.partition(":")[::2] for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(lines[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}


def as_user(work: Callable[[], Any], uid: int = UID, gid: int = GID) -> tuple[dict[str, Any], Any]:
    """(identity, what `work` answers, as JSON) from a forked process that became a user. Raises OSError."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(receive)
            try:
                answer: dict[str, Any] = {"who": become(uid, gid), "ok": work()}
            except OSError as error:
                answer = {"error": error.strerror or str(error), "errno": error.errno or errno.EIO}
            with os.fdopen(send, "w") as pipe:
                json.dump(answer, pipe)
        except BaseException as error:
            sys.stderr.write(f"check as a user: {error!r}\n")
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive) as pipe:
        text = pipe.read(_LIMIT)
    os.waitpid(child, 0)
    if not text:
        raise OSError(errno.EPIPE, "the check's process ended without an answer")
    found = json.loads(text)
    if "error" in found:
        raise OSError(found["errno"], found["error"])
    return found["who"], found["ok"]
