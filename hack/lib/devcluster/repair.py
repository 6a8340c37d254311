"""A machine whose processes were all killed: what the engine still believes is made true again.

podman keeps its state in files. When a container and its monitor (conmon) die together, nobody writes down
that it ended: podman lists it as up for ever, its address stays taken, its mounts and network namespace stay
behind. What really runs is asked of the kernel here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import portrules
from .engine import Engine
from .machine import unmount_below
from .run import StepFailed, succeeds

LIBPOD_ALIVE = Path("/run/libpod/alive")
"""podman takes a missing file for a reboot and then forgets what ran before."""
PODMAN_ADDRESSES = Path("/run/containers/networks/ipam.db")
NETWORK_NAMESPACES = Path("/run/netns")


@dataclass(frozen=True)
class Belief:
    """What the engine says of one container."""

    id: str
    name: str
    running: bool
    pid: int
    addresses: tuple[str, ...] = ()


def beliefs(inspected: Iterable[dict[str, Any]]) -> list[Belief]:
    """From the answer of ``container inspect``."""
    found = []
    for c in inspected:
        state = c["State"]
        name = str(c["Name"]).lstrip("/")
        networks = (c.get("NetworkSettings") or {}).get("Networks") or {}
        addresses = tuple(n["IPAddress"] for n in networks.values() if n.get("IPAddress"))
        found.append(Belief(str(c["Id"]), name, bool(state["Running"]), int(state.get("Pid") or 0), addresses))
    return found


def is_alive(belief: Belief, proc: Path = Path("/proc")) -> bool:
    """Whether the container's first process runs; a process number used again by another one doesn't count."""
    try:
        cgroup = (proc / str(belief.pid) / "cgroup").read_text()
        state = (proc / str(belief.pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    # with cgroup v2 and a cgroup namespace the kernel shows the path from here all the same
    return belief.pid > 0 and state != "Z" and belief.id in cgroup


def dead(found: Iterable[Belief], alive: Callable[[Belief], bool]) -> list[Belief]:
    """Containers that the engine believes to run and that don't."""
    return [b for b in found if b.running and not alive(b)]


def repair(engine: Engine, say: Callable[[str], None]) -> None:
    """Remove what died unseen. Containers that run are never touched."""
    if engine.name != "podman":
        return  # docker's daemon watches its containers itself
    found = _all(engine)
    gone = dead(found, is_alive)
    if gone:
        say(f"repairing: {', '.join(b.name for b in gone)} died without {engine.name} noticing")
        _bury(engine, gone, alone=not any(b.running and b not in gone for b in found))
    running = [b for b in _all(engine) if b.running]
    rules = portrules.remove_stale([b.id for b in running], [a for b in running for a in b.addresses])
    if rules:
        say(f"repairing: removed {rules} port rules of containers that are gone")


def _bury(engine: Engine, gone: list[Belief], *, alone: bool) -> None:
    """Remove the dead; ``alone``: no other container of the engine runs."""
    if alone:
        # nothing of podman's lives, so it may think that the machine was started again
        LIBPOD_ALIVE.unlink(missing_ok=True)
        PODMAN_ADDRESSES.unlink(missing_ok=True)
        unmount_below(Path("/var/lib/containers/storage/overlay"))
        unmount_below(Path("/var/lib/containers/storage/overlay-containers"))
    for belief in gone:
        _remove(engine, belief)
    if alone and NETWORK_NAMESPACES.is_dir():
        for namespace in NETWORK_NAMESPACES.glob("netns-*"):
            unmount_below(namespace)
            namespace.unlink(missing_ok=True)


def _all(engine: Engine) -> list[Belief]:
    ids = engine.output("ps", "-a", "-q", "--no-trunc").split()
    if not ids:
        return []
    return beliefs(json.loads(engine.output("container", "inspect", *ids)))


def _remove(engine: Engine, belief: Belief) -> None:
    """Remove a dead container of ours; one of somebody else's is only written off as ended."""
    if not _is_ours(belief.name):
        engine.ok("container", "cleanup", belief.id)
        return
    if engine.remove(belief.id, timeout=60) and not engine.inspect(belief.id):
        return
    succeeds(["runc", "delete", "--force", belief.id])
    unmount_below(Path(f"/var/lib/containers/storage/overlay-containers/{belief.id}"))
    if not engine.remove(belief.id) and engine.inspect(belief.id):
        raise StepFailed(f"podman can't remove the dead container {belief.name}: try `podman rm -f {belief.name}`")


def _is_ours(name: str) -> bool:
    return name.startswith("pdshub") or name.endswith(("-control-plane", "-worker"))
