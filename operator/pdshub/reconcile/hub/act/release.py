"""The Helm release: install, upgrade, mend after an interruption, uninstall."""

from __future__ import annotations

import time

from pdshub.helm import HelmError, HelmRelease
from pdshub.kube import SECRET, Object
from pdshub.reconcile.hub import revisions
from pdshub.reconcile.hub.act.look_before import look_before
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.decide import BUDGET
from pdshub.reconcile.hub.facts import Attempt, Facts
from pdshub.reconcile.hub.release import (
    PREFIX,
    UnreadableRelease,
    content_digest,
    marked_failed,
    payload,
    read_release,
)
from pdshub.reconcile.hub.seal import ANNOTATION, seal
from pdshub.render.merge import same

_BACKOFF = (3.0, 10.0, 30.0, 90.0, 600.0)
"""Seconds between tries; the last one is for what only waiting can heal."""


def failed(before: Attempt, key: str, error: HelmError) -> Attempt:
    """The record of one more failure. A permanent one spends the whole budget."""
    count = (before.failures if before.key == key else 0) + 1
    return Attempt(key, BUDGET if error.permanent else count, error.reason, str(error))


async def install_or_upgrade(context: HubContext, facts: Facts) -> str:
    """Look at what helm would apply, run it once, and seal what it made; returns what was installed.

    A failure is remembered for ``decide``; what ran before goes on. Raises KubeError.
    """
    assert facts.chart is not None  # noqa: S101 - decide never installs without a spec
    names, memory = facts.names, context.memory(facts.names.namespace, facts.names.name)
    if not await revisions.whole(context, names, facts.status):
        return ""
    try:
        await look_before(context, facts)
        done = await context.helm.install_or_upgrade(names.name, names.namespace, facts.chart, facts.values)
        secret = await _made(context, facts, done)
    except HelmError as error:
        memory.attempt = failed(facts.attempt, facts.key, error)
        step = min(memory.attempt.failures, len(_BACKOFF)) - 1
        memory.retry_at = time.monotonic() + _BACKOFF[step]
        return ""
    memory.attempt, memory.retry_at, memory.resumed = Attempt(), 0.0, False
    memory.own = (str(secret["metadata"]["name"]), content_digest(secret))
    await _seal(context, facts, secret)
    return f"revision {done.revision} of {facts.chart.title} is installed"


async def _made(context: HubContext, facts: Facts, done: HelmRelease) -> Object:
    """The Secret that Helm wrote, with the content that Helm printed. Raises HelmError, KubeError."""
    name = f"{PREFIX}{facts.names.name}.v{done.revision}"
    secret = await context.kube.live.get(SECRET, name, facts.names.namespace)
    try:
        kept = HelmRelease.of(payload(secret)) if secret is not None else None
    except ValueError:
        kept = None
    whole = kept is not None and same(dict(kept.values), dict(done.values))
    if secret is None or kept is None or not whole or (kept.manifest, kept.hooks) != (done.manifest, done.hooks):
        why = f"Secret {name} does not hold what helm has just installed: look who else writes Secrets there"
        raise HelmError("ReleaseForged", why, permanent=True)
    return secret


async def _seal(context: HubContext, facts: Facts, secret: Object) -> None:
    """Put the seal on a release Secret, if it is still the one that was read. Raises KubeError."""
    mark = seal(await context.seal_key(), secret)
    body = {"metadata": {"annotations": {ANNOTATION: mark}, "resourceVersion": secret["metadata"]["resourceVersion"]}}
    await context.kube.patch(SECRET, secret["metadata"]["name"], body, facts.names.namespace)


async def put_seal(context: HubContext, facts: Facts) -> str:
    """Seal what this process saw helm make, where that failed before. Raises KubeError."""
    assert facts.release is not None  # noqa: S101 - decide seals only a release
    secret = await context.kube.get(SECRET, facts.release.secret, facts.names.namespace)
    own = context.memory(facts.names.namespace, facts.names.name).own
    if secret is not None and own == (facts.release.secret, content_digest(secret)):
        await _seal(context, facts, secret)
    return ""


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

    Raises HelmError and KubeError.
    """
    if not await revisions.whole(context, facts.names, facts.status):
        return ""
    await context.helm.uninstall(facts.names.name, facts.names.namespace)
    return ""
