"""The Helm release: install, upgrade, mend after an interruption, uninstall."""

from __future__ import annotations

import time

from pdshub.helm import HelmError
from pdshub.kube import SECRET
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.decide import BUDGET
from pdshub.reconcile.hub.facts import Attempt, Facts
from pdshub.reconcile.hub.release import UnreadableRelease, marked_failed, read_release

_BACKOFF = (3.0, 10.0, 30.0, 90.0, 600.0)
"""Seconds between tries; the last one is for what only waiting can heal."""


def failed(before: Attempt, key: str, error: HelmError) -> Attempt:
    """The record of one more failure. A permanent one spends the whole budget."""
    count = (before.failures if before.key == key else 0) + 1
    return Attempt(key, BUDGET if error.permanent else count, error.reason, str(error))


async def install_or_upgrade(context: HubContext, facts: Facts) -> str:
    """Run helm once; returns what was installed. A failure is remembered for ``decide``; what ran before goes on."""
    assert facts.chart is not None  # noqa: S101 - decide never installs without a spec
    names, memory = facts.names, context.memory(facts.names.namespace, facts.names.name)
    try:
        revision = await context.helm.install_or_upgrade(names.name, names.namespace, facts.chart, facts.values)
    except HelmError as error:
        memory.attempt = failed(facts.attempt, facts.key, error)
        step = min(memory.attempt.failures, len(_BACKOFF)) - 1
        memory.retry_at = time.monotonic() + _BACKOFF[step]
        return ""
    memory.attempt, memory.retry_at, memory.resumed = Attempt(), 0.0, False
    return f"revision {revision} of {facts.chart.title} is installed"


async def unlock(context: HubContext, facts: Facts) -> str:
    """Mark a revision that a killed helm left pending as failed, so that the next run can go on from it.

    Raises KubeError, with a conflict when somebody wrote the Secret meanwhile: then another look decides anew.
    """
    assert facts.release is not None  # noqa: S101 - decide unlocks only a release
    secret = await context.kube.get(SECRET, facts.release.secret, facts.names.namespace)
    found = read_release(secret) if secret is not None else None
    if secret is None or found is None or isinstance(found, UnreadableRelease) or not found.pending:
        return ""
    why = f"interrupted while {found.status}; marked by pdshub-operator"
    await context.kube.patch(SECRET, found.secret, marked_failed(secret, why), facts.names.namespace)
    return f"revision {found.revision} was interrupted while {found.status}"


async def uninstall(context: HubContext, facts: Facts) -> str:
    """Remove the release; database and homes stay (they carry resource-policy keep, or are not Helm's).

    Raises HelmError.
    """
    await context.helm.uninstall(facts.names.name, facts.names.namespace)
    return ""
