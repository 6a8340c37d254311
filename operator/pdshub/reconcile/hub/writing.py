"""The status of a hub is written by two loops, each its part: one at a time, over what is there by then."""

from __future__ import annotations

from collections.abc import Callable

from pdshub.api.hub import PDSHubStatus
from pdshub.kube import PDSHUB, Object
from pdshub.reconcile.common import events, status
from pdshub.reconcile.hub.certificate import renewed
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.judge import parse_status


async def change(context: HubContext, hub: Object, make: Callable[[PDSHubStatus], PDSHubStatus]) -> None:
    """Write what ``make`` makes of the present status, and an event for each condition that turned.

    Raises KubeError.
    """
    meta = hub["metadata"]
    async with context.memory(meta["namespace"], meta["name"]).status:
        current = await context.kube.get(PDSHUB, meta["name"], meta["namespace"])
        if current is None:
            return
        before = parse_status(current)
        after = make(before)
        if await status.write(context.kube, PDSHUB, current, after):
            happened = events.happened(before.conditions, after.conditions)
            if message := renewed(before.certificate, after.certificate):
                happened.append(events.EventRecord(False, "CertificateRenewed", message))
            await events.publish(context.kube, current, happened, meta["namespace"])
