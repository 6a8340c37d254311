"""reconcile() of an ArchiveView: nodes do the work, the operator says how it stands."""

from __future__ import annotations

import time

from pydantic import ValidationError

from pdshub.api.view import ArchiveViewSpec, ArchiveViewStatus
from pdshub.kube import ARCHIVE_VIEW
from pdshub.reconcile import events, status, view_status
from pdshub.reconcile.conditions import carried
from pdshub.reconcile.observe import explain
from pdshub.reconcile.reports import NodeReport
from pdshub.reconcile.world import World

FIRST = 0.5
EVERY = 10.0
"""Seconds until the next look: silence of a node has to be noticed, and brings no event."""


async def reconcile(world: World, name: str, reports: dict[str, NodeReport], asked: bool) -> float | None:
    """Write what the nodes say into the view's status. Seconds until the next look; None when the view is gone.

    Until the nodes were ``asked`` a first time nothing is written: a restart of the operator is no outage.
    """
    if not asked:
        return FIRST
    view = await world.kube.get(ARCHIVE_VIEW, name)
    if view is None:
        return None
    if view["metadata"].get("deletionTimestamp"):
        return EVERY
    generation = int(view["metadata"].get("generation", 0))
    try:
        before = ArchiveViewStatus.model_validate(view.get("status") or {})
    except ValidationError:
        before = ArchiveViewStatus()
    try:
        spec = ArchiveViewSpec.model_validate(view["spec"])
    except ValidationError as error:
        rows = carried(
            [("Ready", "False", "InvalidSpec", f"the spec is refused: {explain(error)}")],
            before.conditions,
            generation,
            status.now(),
        )
        after = before.model_copy(update={"observed_generation": generation, "conditions": rows})
    else:
        allowed = world.installation.archive
        after = view_status.status(name, spec, generation, before, reports, allowed, time.monotonic(), status.now())
    if await status.write(world.kube, ARCHIVE_VIEW, view, after):
        happened = events.happened(before.conditions, after.conditions)
        # events of a cluster-scoped object live in namespace default
        await events.publish(world.kube, view, happened, "default")
    return EVERY
