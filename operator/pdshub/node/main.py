"""`pdshub-node`: the CSI node plugin; `pdshub-node nfs-helper`: user-space NFS for kernels without a client;
`pdshub-node metrics`: the plugin's metrics for Prometheus, served without rights."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path

from pdshub import ports
from pdshub.node.layout import Layout

log = logging.getLogger("pdshub.node")


def parser() -> argparse.ArgumentParser:
    """The command line; in a pod the defaults come from the environment."""
    root = argparse.ArgumentParser(prog="pdshub-node", description=__doc__)
    root.add_argument("--kubelet-dir", type=Path, default=Path(os.environ.get("KUBELET_DIR") or "/var/lib/kubelet"))
    root.add_argument("--node-name", default=os.environ.get("NODE_NAME") or socket.gethostname())
    root.add_argument("--views-from", type=Path, help="directory of ArchiveView YAMLs, instead of the API server")
    root.add_argument("--generations-from", type=Path, help="directory of generations, instead of the surveyors")
    root.add_argument(
        "--surveyor-namespace",
        default=os.environ.get("SURVEYOR_NAMESPACE", ""),
        help="whose pods may see sources as they are",
    )
    root.add_argument("--keys-dir", type=Path, default=Path("/run/pdshub-keys"), help="keys of S3, in memory")
    root.add_argument("--keys-from", type=Path, help="directory of Secrets and their keys, instead of the API server")
    root.add_argument("--installation", type=Path, default=Path("/etc/pdshub/installation/installation.yaml"))
    root.add_argument("--tls", type=Path, default=Path("/etc/pdshub/tls"))
    root.add_argument("--report-port", type=int, default=ports.NODE_REPORT, help="0: no report")
    root.add_argument("--run-dir", type=Path, help="where health and metrics are written for others; none: nowhere")
    root.add_argument("--generations-max-bytes", default="4Gi", help="what all generations may take on the disk")
    root.add_argument("--packs-max-bytes", default="16Gi", help="what images of packs may take on the disk")
    root.add_argument(
        "--hold-seconds", type=float, default=60, help="how long an old tree in use is kept after a switch"
    )
    root.add_argument("--proof-seconds", type=float, default=3600, help="between two proofs of a view")
    root.add_argument("--canary-seconds", type=float, default=30, help="between two looks at the sample")
    root.add_argument("--probe-seconds", type=float, default=8, help="a source that needs longer to answer is away")
    root.add_argument("--log-level", default="INFO")
    commands = root.add_subparsers(dest="command")
    commands.add_parser("nfs-helper", help="run the user-space NFS helper")
    served = commands.add_parser("metrics", help="serve the plugin's metrics, which lie in its --run-dir")
    served.add_argument("--port", type=int, default=ports.NODE_METRICS)
    commands.add_parser("nfs-mount", help="(of the helper) serve one source until it ends")
    commands.add_parser("s3-mount", help="(of the helper) become what serves one source in S3")
    return root


async def plugin(options: argparse.Namespace) -> None:
    """Run until SIGTERM. Mounts stay: pods use them."""
    # Imported here: the helper's processes need none of it.
    from pdshub.api.base import parse_quantity
    from pdshub.api.report import Report
    from pdshub.node import instance_lock
    from pdshub.node.csi import servers
    from pdshub.node.csi.services import Node
    from pdshub.node.health.monitor import Findings, Health
    from pdshub.node.reconcile.reconciler import Reconciler
    from pdshub.node.reconcile.source_manager import SourceManager
    from pdshub.node.report import exposition, heartbeat, metrics
    from pdshub.node.report import server as report
    from pdshub.node.report.document import document, totals
    from pdshub.node.source.keys import ApiServer, Directory, KeyFiles
    from pdshub.node.source.nfs_requests import HelperRequests
    from pdshub.node.source.policy import PolicyFile
    from pdshub.node.source.source_mount import MountContext
    from pdshub.node.store.cache import GenerationCache
    from pdshub.node.store.content_cache import ContentCache
    from pdshub.node.store.contents import Contents
    from pdshub.node.store.generations import Store
    from pdshub.node.store.informer import ApiInformer, DirectoryInformer, Informer

    layout = Layout(options.kubelet_dir, options.keys_dir)
    layout.prepare()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if not await asyncio.to_thread(instance_lock.turn, layout.plugin_lock, stop.is_set):
        return
    woken = asyncio.Event()
    most = int(parse_quantity(options.generations_max_bytes))
    store = Store(layout.generations)
    cache = GenerationCache(store, options.tls, woken.set, options.generations_from, most)
    packs = int(parse_quantity(options.packs_max_bytes))
    contents = ContentCache(store, Contents(layout.packs), cache.origin, cache.inspect, woken.set, packs)
    policy, helper = PolicyFile(options.installation), HelperRequests(layout)
    secrets = Directory(options.keys_from) if options.keys_from else ApiServer(options.surveyor_namespace)
    keys = KeyFiles(layout, secrets)
    context = MountContext(layout, policy.current, helper, woken.set, options.probe_seconds, keys=keys)
    sources = SourceManager(context)
    informer: Informer
    reader = policy.current().default_run_as  # another one comes with a restart: the chart sees to it
    if options.views_from:
        informer = DirectoryInformer(options.views_from, woken.set, reader)
        informer.look()
    else:
        informer = ApiInformer(layout.cache, woken.set, reader)
    findings = Findings(options.proof_seconds)
    reconciler = Reconciler(layout, sources, cache, contents, informer, woken, options.hold_seconds, findings.of)
    node = Node(options.node_name, layout, reconciler, options.surveyor_namespace)
    grpc_servers = await servers.serve(layout, node)
    health = Health(reconciler, findings, options.canary_seconds)

    def make() -> Report:
        return document(options.node_name, node, reconciler, findings)

    tasks = [asyncio.create_task(part) for part in (informer.run(), reconciler.run(), health.run())]
    if options.run_dir:
        families = partial(metrics.of_node, make, lambda: totals(node, reconciler))
        tasks.append(asyncio.create_task(metrics.write(options.run_dir / exposition.FILE, families)))
        file = options.run_dir / heartbeat.FILE
        said = partial(heartbeat.said, reconciler, lambda: servers.answers(layout))
        tasks.append(asyncio.create_task(heartbeat.beat(file, said)))
    if options.report_port:
        tasks.append(asyncio.create_task(report.serve_report(options.tls, options.report_port, make)))
    waiting = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for server in grpc_servers:
        await server.stop(2)
    await reconciler.close()
    layout.registration_socket.unlink(missing_ok=True)
    for finished in done - {waiting}:
        finished.result()  # a part that ended by itself ended with an error: say it and exit


def main() -> None:
    """Run one of the programs: the plugin, its metrics, the helper, or the helper's process for one source."""
    options = parser().parse_args()
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    os.umask(0o022)
    if options.command == "nfs-helper":
        from pdshub.node.source import nfs_helper

        nfs_helper.run(
            Layout(options.kubelet_dir, options.keys_dir), (sys.executable, "-m", "pdshub.node.main", "nfs-mount")
        )
    elif options.command == "metrics":
        from pdshub.node.report import exposition

        exposition.run(options.run_dir / exposition.FILE, options.port)
    elif options.command == "nfs-mount":
        from pdshub.node.source import nfs_mount

        nfs_mount.run()
    elif options.command == "s3-mount":
        from pdshub.node.source import s3_mount

        s3_mount.run()
    else:
        # gRPC's own fork handlers would stall the worker processes.
        os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
        asyncio.run(plugin(options))


if __name__ == "__main__":
    main()
