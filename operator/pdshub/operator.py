"""pdshub-operator: kopf runs it and watches hubs and views, informers the rest; every change leads to reconcile()."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import sys
from pathlib import Path

import kopf

from pdshub import installation, ports
from pdshub.audit_log import trail
from pdshub.helm import Helm
from pdshub.kopf_handlers import registry
from pdshub.kube import Kube
from pdshub.loops import HELM_GRACE, Operator, Surroundings
from pdshub.reconcile.common.context import BundledChart
from pdshub.render.chart import AIRGAP_PATH
from pdshub.tenant import EVENTS
from pdshub.tenant_kubeconfig import Kubeconfigs
from pdshub.watch import small_buffers


async def run(options: argparse.Namespace) -> None:
    """Run until told to stop."""

    async def make() -> Operator:
        small_buffers()
        around = Surroundings(
            Helm(Kubeconfigs(os.environ).path),
            installation.load(options.installation, os.environ.get("POD_IPS", "")),
            BundledChart.read(options.airgap_chart),
            options.namespace,
            audit_log=trail.from_environment(os.environ),
        )
        own = (options.namespace, around.installation.surveyor.namespace, EVENTS)
        operator = Operator(await Kube.connect(own), around)
        await operator.start(options.port)
        return operator

    await kopf.operator(registry=registry(make, HELM_GRACE), clusterwide=True, standalone=True)


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
