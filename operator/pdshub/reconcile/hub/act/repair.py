"""Puts back objects of the release that somebody changed or took away, as the sealed release says; no run of helm."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from pdshub.kube import SECRET, Kube, KubeError, Object
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.drift import Drifted, in_words
from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.manifest.compare import differences
from pdshub.reconcile.hub.manifest.documents import ManifestError, documents
from pdshub.reconcile.hub.manifest.kinds import KINDS
from pdshub.reconcile.hub.release import payload
from pdshub.reconcile.hub.seal import is_sealed
from pdshub.render.names import Names

log = logging.getLogger(__name__)

FIELD_MANAGER = "pdshub-drift"
"""Of its own: Helm patches what it changes, whoever manages the field, and what Helm removes this does not hold."""
_NAME, _NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"


async def act(context: HubContext, facts: Facts) -> str:
    """Put back what is due. Raises the first KubeError, after the rest was tried."""
    assert facts.release is not None and facts.drift is not None  # noqa: S101 - decide repairs nothing without
    names, memory = facts.names, context.memory(facts.names.namespace, facts.names.name).drift
    wanted = await _sealed_objects(context, names, facts.release.secret)
    first: KubeError | None = None
    done = []
    for each in facts.drift.due:
        body = wanted.get((each.kind, each.name))
        if body is None:
            continue
        memory.put_back[each.title] = time.monotonic()
        try:
            written = await _put(context.kube, names, each, body)
        except KubeError as error:
            first = first or KubeError(error.status, f"{each.title}: {error}")
            continue
        done.append(each)
        if fields := differences(body, written):
            # what the API server makes of this very manifest is how it has to be
            log.info("%s/%s: %s: written in another way: %s", names.namespace, names.name, each.title, fields)
            memory.as_written[each.title] = frozenset(fields)
    memory.rarely = tuple(each for each in memory.rarely if each not in done)
    if first:
        raise first
    return f"put back as revision {facts.release.revision} installed it: {in_words(done)}" if done else ""


async def _sealed_objects(
    context: HubContext, names: Names, secret: str
) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """The objects of a release by kind and name, read anew; none when its seal has gone meanwhile."""
    found = await context.kube.get(SECRET, secret, names.namespace)
    if found is None or not is_sealed(await context.seal_key(), found):
        return {}
    try:
        made = documents(str(payload(found).get("manifest") or ""))
    except (ManifestError, ValueError):
        return {}
    return {(each.kind, each.name): each.body for each in made}


async def _put(kube: Kube, names: Names, which: Drifted, body: Mapping[str, Any]) -> Object:
    """Write one object as the manifest says, with the marks by which Helm knows it; returns it as it is then."""
    resource = KINDS[which.kind]
    there = await kube.get_metadata(resource, which.name, names.namespace)
    marks = ((there or {}).get("metadata") or {}).get("annotations") or {}
    if marks.get(_NAME, names.name) != names.name or marks.get(_NAMESPACE, names.namespace) != names.namespace:
        raise KubeError(403, "it belongs to another Helm release by now, and stays as it is")
    meta = body["metadata"]
    labels = {**(meta.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
    annotations = {**(meta.get("annotations") or {}), _NAME: names.name, _NAMESPACE: names.namespace}
    whole = {**meta, "namespace": names.namespace, "labels": labels, "annotations": annotations}
    return await kube.apply(resource, {**body, "metadata": whole}, FIELD_MANAGER)
