"""`pdshub-homes`: the CSI driver of homes on this node's disk; with a command: one look at it, or one thing done."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pdshub import ports

if TYPE_CHECKING:
    from pdshub.homes.operations import Homes

log = logging.getLogger("pdshub.homes")

AGE = "pdshub_homes_metrics_age_seconds"
_THREADS = 32
"""Calls that wait for a lock keep a thread each."""


def _setting(name: str, otherwise: str) -> str:
    """An option's value from the pod's environment, where commands in its shell find it as well."""
    return os.environ.get(f"HOMES_{name}") or otherwise


def parser() -> argparse.ArgumentParser:
    """The command line; in a pod the defaults come from the environment."""
    root = argparse.ArgumentParser(prog="pdshub-homes", description=__doc__)
    root.add_argument("--kubelet-dir", type=Path, default=Path(os.environ.get("KUBELET_DIR") or "/var/lib/kubelet"))
    root.add_argument("--node-name", default=os.environ.get("NODE_NAME") or socket.gethostname())
    root.add_argument("--backend", choices=["file", "lvm-thin"], default=_setting("BACKEND", "file"))
    root.add_argument(
        "--folder", type=Path, default=Path(_setting("FOLDER", "/var/lib/pdshub/homes")), help="of images and locks"
    )
    root.add_argument("--copy-most", default=_setting("COPY_MOST", "1Gi"), help="copied at most where nothing reflinks")
    root.add_argument("--vg", default=_setting("VG", ""), help="volume group of lvm-thin")
    root.add_argument("--pool", default=_setting("POOL", ""), help="thin pool of lvm-thin")
    root.add_argument("--overcommit", type=float, default=float(_setting("OVERCOMMIT", "1")))
    root.add_argument("--drop-above", type=float, default=float(_setting("DROP_ABOVE", "0.90")))
    root.add_argument("--refuse-above", type=float, default=float(_setting("REFUSE_ABOVE", "0.95")))
    root.add_argument("--checkpoint-hour", type=int, default=int(_setting("CHECKPOINT_HOUR", "2")), help="UTC")
    root.add_argument("--checkpoint-keep", type=int, default=int(_setting("CHECKPOINT_KEEP", "7")), help="0: none")
    root.add_argument("--run-dir", type=Path, help="where health and metrics are written for others; none: nowhere")
    root.add_argument("--no-claims", action="store_true", help="serve CSI alone; somebody else looks after claims")
    root.add_argument("--log-level", default="INFO")
    commands = root.add_subparsers(dest="command")
    served = commands.add_parser("metrics", help="serve the driver's metrics, which lie in its --run-dir")
    served.add_argument("--port", type=int, default=ports.HOMES_METRICS)
    commands.add_parser("list", help="volumes, checkpoints and the pool, as JSON")
    made = commands.add_parser("checkpoint", help="keep a volume as it is now")
    made.add_argument("volume")
    made.add_argument("name")
    gone = commands.add_parser("drop", help="remove a checkpoint")
    gone.add_argument("checkpoint")
    back = commands.add_parser("restore", help="put one file of a checkpoint back, beside what is there now")
    back.add_argument("checkpoint")
    back.add_argument("path", help="in the home")
    disk = commands.add_parser("add-disk", help="let the pool of lvm-thin have one more disk, which is blank")
    disk.add_argument("device", help="below /dev")
    return root


def homes_of(options: argparse.Namespace) -> Homes:
    """The homes that the options describe. Raises ArgumentError, ValueError."""
    from pdshub.api.base import parse_quantity
    from pdshub.homes.backend import Backend
    from pdshub.homes.files import FileBackend
    from pdshub.homes.locks import Locks
    from pdshub.homes.operations import Homes
    from pdshub.homes.policy import Limits
    from pdshub.homes.thin import ThinBackend

    backend: Backend
    if options.backend == "lvm-thin":
        backend = ThinBackend(options.vg, options.pool)
    else:
        backend = FileBackend(options.folder, int(parse_quantity(options.copy_most)))
    limits = Limits(options.overcommit, options.drop_above, options.refuse_above)
    return Homes(backend, Locks(options.folder / "locks"), limits, options.kubelet_dir)


class _Everywhere(Collection[str]):
    """Namespaces in which the driver acts as itself: all; the operator acts as an account of each (tenant.py)."""

    def __contains__(self, item: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


async def driver(options: argparse.Namespace) -> None:
    """Run until SIGTERM. Mounts stay: pods use them."""
    from pdshub.homes import metrics, server
    from pdshub.homes.policy import Schedule
    from pdshub.homes.provisioner import Provisioner
    from pdshub.homes.watch import Watch
    from pdshub.kube import Kube
    from pdshub.node import instance_lock
    from pdshub.node.report import exposition, heartbeat

    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS))
    places = server.Places(options.kubelet_dir)
    places.prepare()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if not await asyncio.to_thread(instance_lock.turn, places.lock, stop.is_set):
        return
    homes = homes_of(options)
    await asyncio.to_thread(homes.prepare)
    watch = Watch(homes, Schedule(options.checkpoint_hour, options.checkpoint_keep))
    servers = await server.serve(places, options.node_name, homes)
    tasks = [asyncio.create_task(watch.run())]
    kube = None
    if not options.no_claims:
        kube = await Kube.connect(_Everywhere())
        tasks.append(asyncio.create_task(Provisioner(kube, homes, options.node_name).run()))
    if options.run_dir:
        tasks.append(asyncio.create_task(metrics.write(options.run_dir / exposition.FILE, lambda: watch.seen)))
        tasks.append(
            asyncio.create_task(heartbeat.beat(options.run_dir / heartbeat.FILE, partial(server.said, places, watch)))
        )
    log.info("homes of node %s: backend %s", options.node_name, options.backend)
    waiting = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for one in servers:
        await one.stop(5)
    if kube is not None:
        await kube.close()
    places.registration.unlink(missing_ok=True)
    for finished in done - {waiting}:
        finished.result()  # a part that ended by itself ended with an error: say it and exit


def listed(homes: Homes) -> str:
    """Everything that is on the disk, as JSON."""
    pool = homes.pool()
    checkpoints = homes.checkpoints()
    document = {
        "pool": {"total": pool.total, "used": pool.used, "promised": pool.promised, "metadata": pool.metadata},
        "volumes": [
            {
                "id": v.id,
                "name": v.label,
                "size": v.size,
                "used": v.used,
                "checkpoints": [
                    {"id": c.id, "created": c.created, "daily": c.daily, "brief": c.brief, "how": c.how}
                    for c in checkpoints
                    if c.volume == v.id
                ],
            }
            for v in sorted(homes.volumes(), key=lambda v: v.label)
        ],
    }
    return json.dumps(document, indent=1)


def command(options: argparse.Namespace) -> str:
    """Do one thing, beside the driver that runs: what is printed. Raises HomesError, OSError."""
    from pdshub.node.mount import syscalls

    homes = homes_of(options)
    if options.command == "checkpoint":
        made = homes.checkpoint(options.volume, options.name)
        return f"{made.id} ({made.how})"
    if options.command == "drop":
        homes.drop(options.checkpoint)
        return f"{options.checkpoint} is gone"
    if options.command == "restore":
        # a checkpoint that is looked at is unmounted with this process, however that ends
        syscalls.own_namespace()
        return homes.restore(options.checkpoint, options.path)
    if options.command == "add-disk":
        pool = homes.add_disk(options.device)
        return f"the pool has {pool.total} bytes now"
    return listed(homes)


def main() -> None:
    """Run the driver, its metrics, or one command; a command that fails says why and ends with 1."""
    options = parser().parse_args()
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    os.umask(0o022)
    if options.command == "metrics":
        from pdshub.node.report import exposition

        exposition.run(options.run_dir / exposition.FILE, options.port, AGE)
    elif options.command:
        from pdshub.homes.errors import HomesError

        try:
            print(command(options))
        except (HomesError, OSError) as error:
            sys.exit(f"pdshub-homes: {error}")
    else:
        # gRPC's own fork handlers would stall the programs that are started
        os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
        asyncio.run(driver(options))


if __name__ == "__main__":
    main()
