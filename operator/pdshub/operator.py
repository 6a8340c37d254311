"""pdshub-operator: watches with kopf, and leads every edge to reconcile().

Only kopf's raw events are used. Its change handlers and timers would write annotations, progress and a second
finalizer into the object, and a timer whose status patch is rejected once never runs again; here the loops are our
own (reconcile/common/workqueue.py), so that a missed edge costs only time.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kopf

from pdshub import installation, ports
from pdshub.helm import Helm
from pdshub.kube import ARCHIVE_VIEW, CLAIM, PDSHUB, Kube, KubeError
from pdshub.metrics import Exporter, program_version
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.common.healthz import serve
from pdshub.reconcile.common.node_reports import Reports
from pdshub.reconcile.common.tls import Tls
from pdshub.reconcile.common.workqueue import WorkQueue
from pdshub.reconcile.hub import reconcile as hub
from pdshub.reconcile.hub.act.protect import retain, retain_all
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.view import reconcile as view
from pdshub.reconcile.view.context import ViewContext
from pdshub.render.chart import AIRGAP_PATH
from pdshub.render.names import HOME_LABELS, HUB_LABEL, VIEW_LABEL
from pdshub.wellknown import GROUP, VERSION

log = logging.getLogger("pdshub")

RESYNC = 60.0
"""Seconds between two lists of everything: what an event missed is found then."""
STUCK = 900.0
"""A single look that takes longer than this (seconds) has hung; helm's own bound is 300."""
PATIENCE = 100.0
"""Seconds that a run of helm gets to end when the operator is told to stop."""


class Operator:
    """The running operator."""

    def __init__(self, context: HubContext, views: ViewContext) -> None:
        self.context = context
        self.hubs: WorkQueue[tuple[str, str]] = WorkQueue(lambda key: hub.reconcile(context, *key))
        self.views: WorkQueue[str] = WorkQueue(
            lambda name: view.reconcile(views, name, self.reports.nodes, self.reports.asked)
        )
        self.reports = Reports(context.kube, context.system, self.views.enqueue_all, context.tls)
        self._metrics = Exporter(
            context.kube, program_version(), self.unhealthy_reason, self.hubs.longest_busy, lambda: self.reports.nodes
        )
        self._beat = time.monotonic()
        self._tasks: list[asyncio.Task[Any]] = []

    async def start(self, port: int) -> None:
        """Begin to look around."""
        self._tasks = [asyncio.create_task(self.reports.run()), asyncio.create_task(self._resync())]
        self._tasks.append(asyncio.create_task(serve(port, self.unhealthy_reason, self._metrics)))

    async def stop(self) -> None:
        """Finish what is under way and end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self.hubs.close(PATIENCE), self.views.close(5.0))
        await self.context.kube.close()

    def unhealthy_reason(self) -> str:
        """Why the operator should be restarted; empty while its loops turn."""
        silence = time.monotonic() - self._beat
        if silence > 3 * RESYNC + 60:
            return f"the last sweep was {silence:.0f} s ago"
        if (busy := self.hubs.longest_busy()) > STUCK:
            return f"one look at a hub has taken {busy:.0f} s"
        dead = [task.get_name() for task in self._tasks if task.done()]
        return f"ended: {', '.join(dead)}" if dead else ""

    async def _resync(self) -> None:
        while True:
            try:
                for item in await self.context.kube.metadata(PDSHUB, "", labels=""):
                    self.hubs.enqueue((item["metadata"]["namespace"], item["metadata"]["name"]))
                for item in await self.context.kube.metadata(ARCHIVE_VIEW, "", labels=""):
                    self.views.enqueue(item["metadata"]["name"])
                labels = ",".join([HUB_LABEL, *(f"{k}={v}" for k, v in HOME_LABELS.items())])
                await retain_all(self.context.kube, await self.context.kube.items(CLAIM, labels=labels))
                self._beat = time.monotonic()
            except KubeError as error:
                log.warning("the sweep failed: %s", error)
                await asyncio.sleep(5.0)
                # an API server that is away is no reason to restart: the loop did turn
                self._beat = time.monotonic()
                continue
            await asyncio.sleep(RESYNC)

    def on_hub(self, namespace: str, name: str) -> None:
        """Something about a hub changed: its neighbours may have to wait for it, or need wait no longer."""
        for key in self.hubs.keys:
            if key[0] == namespace and key[1] != name:
                self.hubs.enqueue(key)
        self.hubs.enqueue((namespace, name))
        self.views.enqueue_all()  # they say how each hub takes up a new generation

    def on_view(self, name: str) -> None:
        """Something about a view changed; hubs look for themselves whether it is theirs."""
        self.views.enqueue(name)
        self.hubs.enqueue_all()


def by_address(info: kopf.ConnectionInfo | None, environ: Mapping[str, str]) -> kopf.ConnectionInfo | None:
    """The service account's login with the API server's address for its name.

    kopf goes to kubernetes.default.svc: a cluster whose DNS is down, or not up yet, would have no operator.
    Source: Kubernetes, "Accessing the API from within a Pod" (the certificate names the address, too).
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if info is None or not host:
        return info
    return dataclasses.replace(info, server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}")


def registry(started: dict[str, Operator], make: Any) -> kopf.OperatorRegistry:
    """What kopf calls."""
    found = kopf.OperatorRegistry()

    @kopf.on.startup(registry=found)
    async def startup(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False  # events are our own: one for each happening
        settings.scanning.disabled = True
        settings.peering.standalone = True  # one replica, Recreate: peering is no lease
        # kopf takes away its own finalizer where no handler of its own needs one: it must not be ours
        settings.persistence.finalizer = f"{GROUP}/kopf"
        settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
        settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
        settings.queueing.exit_timeout = PATIENCE
        # a watch that went silent without an error is renewed
        settings.watching.server_timeout = 300
        settings.watching.client_timeout = 330
        started["operator"] = await make()

    @kopf.on.cleanup(registry=found)
    async def cleanup(**_: Any) -> None:
        if "operator" in started:
            await started["operator"].stop()

    @kopf.on.login(registry=found)
    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        mine = by_address(kopf.login_with_service_account(**kwargs), os.environ)
        return mine or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(GROUP, VERSION, "pdshubs", registry=found)
    async def hub_event(namespace: str | None, name: str, **_: Any) -> None:
        started["operator"].on_hub(namespace or "", name)

    @kopf.on.event(GROUP, VERSION, "archiveviews", registry=found)
    async def view_event(name: str, **_: Any) -> None:
        started["operator"].on_view(name)

    @kopf.on.event("v1", "persistentvolumeclaims", labels={**HOME_LABELS, HUB_LABEL: kopf.PRESENT}, registry=found)
    async def home_event(body: kopf.Body, type: str, **_: Any) -> None:
        if type != "DELETED":
            await retain(started["operator"].context.kube, dict(body))

    @kopf.on.event("v1", "persistentvolumeclaims", labels={VIEW_LABEL: kopf.PRESENT}, registry=found)
    async def claim_event(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        if HUB_LABEL in labels:
            started["operator"].hubs.enqueue((namespace or "", str(labels.get(HUB_LABEL))))
        else:
            started["operator"].views.enqueue_all()  # a surveyor's

    return found


async def run(options: argparse.Namespace) -> None:
    """Run until told to stop."""

    async def make() -> Operator:
        kube = await Kube.connect()
        shared = (
            kube,
            Helm(kubeconfig=os.environ.get("KUBECONFIG")),
            installation.load(options.installation),
            BundledChart.read(options.airgap_chart),
            options.namespace,
            Tls(kube, options.namespace),
        )
        operator = Operator(HubContext(*shared), ViewContext(*shared))
        await operator.start(options.port)
        return operator

    await kopf.operator(registry=registry({}, make), clusterwide=True, standalone=True)


def main(argv: list[str] | None = None) -> None:
    """Entry point of pdshub-operator."""
    parser = argparse.ArgumentParser(prog="pdshub-operator", description=__doc__)
    parser.add_argument(
        "--dev", action="store_true", help="outside the cluster, by kubeconfig: debug words of reconcile"
    )
    parser.add_argument("--namespace", default=os.environ.get("POD_NAMESPACE", "pdshub-system"))
    parser.add_argument("--installation", type=Path, default=installation.DEFAULT_PATH)
    parser.add_argument("--airgap-chart", default=AIRGAP_PATH, help="folder of the chart for source Airgap")
    parser.add_argument("--port", type=int, default=ports.OPERATOR_HEALTH, help="port of /healthz")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kopf").setLevel(logging.WARNING)  # else a line for every event of every object
    logging.getLogger("pdshub").setLevel(logging.DEBUG if options.dev else logging.INFO)
    if not shutil.which("helm"):
        parser.exit(1, "pdshub-operator: helm is not on PATH\n")
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
