"""Makes the kubelet look at the notice now: by itself it takes a minute; a changed annotation makes it look at once."""

from __future__ import annotations

from pdshub.kube import POD
from pdshub.reconcile.facts import Facts
from pdshub.reconcile.world import World
from pdshub.render.keys import digest
from pdshub.render.names import NOTICE_ANNOTATION


async def act(world: World, facts: Facts) -> str:
    """Annotate the hub's pod with the digest of the notice."""
    body = {"metadata": {"annotations": {NOTICE_ANNOTATION: digest(facts.notice)}}}
    await world.kube.patch(POD, facts.notice_pod, body, facts.names.namespace)
    return ""
