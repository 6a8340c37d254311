"""``pdshub-surveyor``: surveys the archive of one view, keeps its generations and serves them.

Exit codes: 0 done; 1 the store or a generation can not be used; 2 wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from pdshub import ports
from pdshub.archive.plan import PlanError
from pdshub.surveyor import local, metrics, server
from pdshub.surveyor.bounds import memory_bound
from pdshub.surveyor.desired_view import DesiredViewError
from pdshub.surveyor.store import Store, StoreError
from pdshub.surveyor.surveyor import Surveyor
from pdshub.surveyor.worker import WorkerError

log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="pdshub-surveyor", description=(__doc__ or "").split("\n\n")[0])
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    p = commands.add_parser("serve", help="work for one view", description="Work for one view, until stopped.")
    p.add_argument("--sources", type=Path, required=True, metavar="DIR", help="each source as DIR/<its name>")
    p.add_argument("--keys", type=Path, metavar="DIR", help="keys of each source in S3 as DIR/<its name>/<key>")
    p.add_argument("--store", type=Path, required=True, metavar="DIR", help="where generations are kept")
    p.add_argument("--tls", type=Path, required=True, metavar="DIR", help="tls.crt, tls.key and ca.crt")
    port, metrics_port = ports.SURVEYOR, ports.SURVEYOR_METRICS
    p.add_argument("--port", type=int, default=port, help=f"HTTPS for operator and nodes (default {port})")
    p.add_argument(
        "--metrics-port", type=int, default=metrics_port, help=f"/metrics and /healthz (default {metrics_port})"
    )
    p.add_argument(
        "--memory", type=int, metavar="MIB", help="bound of a survey's process; default: what the container leaves"
    )
    local.add_commands(commands)
    return top


async def serve(args: argparse.Namespace) -> None:
    """Works until a signal comes. Raises StoreError."""
    os.umask(0o007)  # the store's group may be all that two lives have in common
    store = Store(args.store)
    await asyncio.to_thread(store.open)
    memory = memory_bound() if args.memory is None else args.memory << 20
    surveyor = Surveyor(store, args.sources, keys=args.keys, memory=memory)
    handlers = server.Handlers(surveyor)
    health = await metrics.serve(handlers, args.metrics_port)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tasks = [
        asyncio.create_task(surveyor.run()),
        asyncio.create_task(server.serve(handlers, args.tls, args.port)),
        asyncio.create_task(stop.wait()),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await handlers.close()
        await surveyor.close()
        for task in tasks[1:]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        await health.cleanup()
        store.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    args = parser().parse_args(arguments)
    try:
        if args.command == "serve":
            logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
            asyncio.run(serve(args))
            return 0
        answer, text = args.local(args)
    except (StoreError, PlanError, WorkerError, DesiredViewError, OSError) as error:
        sys.stderr.write(f"pdshub-surveyor: {error}\n")
        return 1
    sys.stdout.write((json.dumps(answer, indent=1, sort_keys=True) if args.output == "json" else text.rstrip()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
