"""An upgrade: of what the spec asks for, or, on the way back, of the chart and values that a sealed record holds."""

from __future__ import annotations

from dataclasses import replace

from pdshub.helm import HelmError
from pdshub.kube import SECRET
from pdshub.reconcile.hub.act import release
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.release import payload
from pdshub.reconcile.hub.upgrade import chart, record


async def act(context: HubContext, facts: Facts) -> str:
    """Run helm once; returns what was installed. Raises KubeError, HelmError."""
    kept = facts.upgrade.kept if facts.upgrade else None
    if kept is None:
        return await release.install_or_upgrade(context, facts)
    secret = await context.kube.live.get(SECRET, kept.secret, facts.names.namespace)
    found = record.opened(await context.seal_key(), facts.names, secret) if secret else None
    if found is None or not found.release:
        raise HelmError("RecordGone", f"Secret {kept.secret} with the release to go back to is gone", permanent=False)
    try:
        document = payload({"metadata": {"name": found.secret}, "data": {"release": found.release}})
        with chart.unpacked(document, found.about.identity) as folder:
            return await release.install_or_upgrade(context, replace(facts, chart=folder))
    except (chart.NoChart, ValueError, OSError) as error:
        raise HelmError("RecordGone", f"Secret {kept.secret}: {error}", permanent=False) from error
