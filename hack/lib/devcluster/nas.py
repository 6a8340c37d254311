"""The NAS: an NFSv4 server in a container beside the cluster, with a fixed address."""

from __future__ import annotations

import socket
import time

from . import engine as engines
from .engine import LABEL, NETWORK, Engine
from .run import StepFailed
from .settings import Paths

EXPORTS = ("pds-main", "pds-mission")
NFS_PORT = 2049


def ensure(paths: Paths, engine: Engine, image: str) -> tuple[str, bool]:
    """The NAS's address, and whether it had to be started.

    A container of another image, address or data folder is replaced.
    """
    address = engines.nas_address(engines.network(engine), paths.cluster_name)
    wanted = f"{image} {address} {paths.archive}"
    state = engine.inspect(paths.nas_container)
    if state:
        label = (state["Config"].get("Labels") or {}).get("pdshub.dev/nas")
        if state["State"]["Running"] and label == wanted and answers(address, 5):
            # a test that was ended in the middle may have left it stopped, and its port takes connections all the same
            engine.run("kill", "--signal", "CONT", paths.nas_container)
            return address, False
        remove(paths, engine)
    for export in EXPORTS:
        (paths.archive / export).mkdir(parents=True, exist_ok=True)
    engine.run(
        *("run", "-d", "--name", paths.nas_container, "--hostname", "nas"),
        *("--network", NETWORK, "--ip", address, "--label", LABEL, "--label", f"pdshub.dev/nas={wanted}"),
        # file handles (open_by_handle_at) and acting for the caller's uid
        *("--cap-add", "DAC_READ_SEARCH", "--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined"),
        *("-v", f"{paths.archive}:/srv/nas:ro", image),
    )
    if not answers(address, 15):
        log = engine.output("logs", "--tail", "20", paths.nas_container)
        raise StepFailed(f"the NAS at {address} does not answer on port {NFS_PORT}:\n{log}")
    return address, True


def answers(address: str, seconds: float) -> bool:
    """Whether something accepts connections on the NFS port within ``seconds``."""
    until = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((address, NFS_PORT), timeout=2):
                return True
        except OSError:
            if time.monotonic() > until:
                return False
            time.sleep(0.3)


def remove(paths: Paths, engine: Engine) -> None:
    """Take the NAS container away; its data stays in the cache."""
    engine.remove(paths.nas_container)
