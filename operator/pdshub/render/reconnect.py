"""What keeps a hub able to start servers when the API server was away for a while: code in the hub's configuration.

After a restart of the node the hub often runs before its network does. KubeSpawner 7 lists its pods once when it is
first needed; if that list fails it keeps the dead reflector for good and never sees a server become ready again.
Source: kubespawner/spawner.py, _start_reflector.
"""

from __future__ import annotations

from typing import Any

EXTRA_CONFIG = '''\
import os
import socket
import time

from kubespawner import KubeSpawner


def _wait_for_kubernetes(seconds=180):
    """The hub begins when the API server can be reached: it takes servers that it can not see for stopped."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    until = time.monotonic() + seconds
    while host:
        try:
            socket.create_connection((host, int(port)), 3).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise SystemExit(f"the Kubernetes API at {host}:{port} is not reached: {error}")
            time.sleep(0.5)


def _forget_dead_reflectors(spawner_class):
    """A reflector whose first list failed is forgotten, so that the next server makes a new one."""
    start = getattr(spawner_class, "_start_reflector", None)
    if start is None:
        return

    async def _start_reflector(self, *args, **kwargs):
        try:
            return await start(self, *args, **kwargs)
        except Exception:
            known = type(self).reflectors
            for key, reflector in list(known.items()):
                loaded = getattr(reflector, "first_load_future", None)
                if loaded is not None and loaded.done() and (loaded.cancelled() or loaded.exception()):
                    known.pop(key, None)
            raise

    spawner_class._start_reflector = _start_reflector


_wait_for_kubernetes()
_forget_dead_reflectors(KubeSpawner)
'''


def render() -> dict[str, Any]:
    """The ``hub`` values that carry this code."""
    return {"extraConfig": {"05-pdshub-kubernetes": EXTRA_CONFIG}}
