"""Makes the kubelet look at the notice now: by itself it takes a minute; a changed annotation makes it look at once."""

from __future__ import annotations

from pdshub.kube import POD
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Facts
from pdshub.render.keys import digest
from pdshub.render.names import NOTICE_ANNOTATION


async def act(context: HubContext, facts: Facts) -> str:
    """Annotate the hub's pod with the digest of the notice. Raises KubeError."""
    body = {"metadata": {"annotations": {NOTICE_ANNOTATION: digest(facts.notice)}}}
    await context.kube.patch(POD, facts.notice_pod, body, facts.names.namespace)
    return ""
