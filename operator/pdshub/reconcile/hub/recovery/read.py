"""All reads of one look at a recovery; in the hub's namespace as the namespace's account.

Once a hub is back everything is answered from copies.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from pdshub import rfc3339
from pdshub.api.hub import PDSHubSpec
from pdshub.kube import CLAIM, CONFIG_MAP, JOB, NAMESPACE, POD, SECRET, Kube, Object
from pdshub.reconcile.hub.backup import read as backups
from pdshub.reconcile.hub.backup.facts import Facts as Backups
from pdshub.reconcile.hub.backup.facts import uses_of
from pdshub.reconcile.hub.judge import parse_status
from pdshub.reconcile.hub.judge_values import judge_values
from pdshub.reconcile.hub.recovering import RECOVERING
from pdshub.reconcile.hub.recovery import record
from pdshub.reconcile.hub.recovery.context import RecoveryContext, RecoveryMemory
from pdshub.reconcile.hub.recovery.facts import Facts, Keys
from pdshub.render.names import BACKUP_LABELS, ENVIRONMENT_LABEL, HUB_LABEL, RECOVERY_LABELS, SERVER_LABELS, Names
from pdshub.render.recovery import as_backup, saved_names
from pdshub.wellknown import MANAGER, RECOVER_AGAIN, RECOVERED


def _labels(pairs: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in pairs.items())


async def look(context: RecoveryContext, hub: Object, names: Names) -> Facts:
    """One look at a hub that may have to come back. Raises KubeError."""
    kube = context.kube
    known = Backups(
        names,
        context.backups.clock(),
        str(hub["metadata"].get("uid", "")),
        rfc3339.seconds(hub["metadata"].get("creationTimestamp")),
    )
    spec = _spec(hub)
    if spec is None or spec.bootstrap is None or spec.suspend:
        return Facts(known)
    recovery, status = spec.bootstrap.recovery, parse_status(hub)
    found = record.read(await _record(kube, names))
    facts = Facts(
        known,
        recovery,
        saved_names(recovery, names),
        status.recovery,
        found,
        any(c.type == "Released" and c.reason == RECOVERING for c in status.conditions),
        await _keys(kube, names),
        again=str((hub["metadata"].get("annotations") or {}).get(RECOVER_AGAIN, "")),
    )
    if facts.keys == "Completed" and (found is None or (found.ended and facts.again in ("", found.again))):
        return replace(facts, backups=await _working(context, known, False))
    known = replace(known, backup=as_backup(recovery, names, spec.backup), identity=backups.identity_of(spec.values))
    known = await backups.placed(context.backups, known)
    claims = {str(item["metadata"]["name"]): item for item in await kube.items(CLAIM, names.namespace)}
    goes_on = found is not None and not found.ended
    known = await _working(context, replace(known, claims=claims), goes_on)
    if goes_on:
        known = await backups.with_nodes(context.backups, known, [known.place.claim] if known.place else [])
    values = await _values(context, names, spec)
    return replace(
        facts,
        backups=known,
        values=values.values,
        has_database=values.has_database,
        release=found is None and await _release(kube, names),
        held=context.memory((names.namespace, names.name)).held,
        openable=frozenset(context.memory((names.namespace, names.name)).readers),
    )


def _spec(hub: Object) -> PDSHubSpec | None:
    try:
        return PDSHubSpec.model_validate(hub.get("spec") or {})
    except ValidationError:
        return None  # it may be of a moment: what is under way waits


async def _record(kube: Kube, names: Names) -> Object | None:
    # by the mark of all of the operator's own, as a list that is watched: it costs nothing
    ours = f"app.kubernetes.io/managed-by={MANAGER},{HUB_LABEL}={names.name}"
    maps = await kube.items(CONFIG_MAP, names.namespace, labels=ours)
    return next((item for item in maps if item["metadata"]["name"] == names.recovery), None)


async def _keys(kube: Kube, names: Names) -> Keys:
    secret = await kube.get_metadata(SECRET, names.keys, names.namespace)
    if secret is None:
        return "Absent"
    word = (secret["metadata"].get("annotations") or {}).get(RECOVERED)
    return "Homes" if word == "Homes" else "Completed" if word == "Completed" else "Others"


async def _release(kube: Kube, names: Names) -> bool:
    return bool(await kube.live.metadata(SECRET, names.namespace, labels=f"owner=helm,name={names.name}"))


async def _values(context: RecoveryContext, names: Names, spec: PDSHubSpec) -> Any:
    namespace: Any = await context.kube.get(NAMESPACE, names.namespace) or {"metadata": {}}
    development = (namespace["metadata"].get("labels") or {}).get(ENVIRONMENT_LABEL) == "development"
    return judge_values(spec, names, None, context.hubs.installation, context.hubs.chart, development)


async def _working(context: RecoveryContext, known: Backups, goes_on: bool) -> Backups:
    """Jobs and pods, while something is to be done; once after a start whatever was left behind."""
    names = known.names
    memory = context.memory((names.namespace, names.name))
    if not goes_on and memory.swept:
        return known
    kube = context.kube.live
    mine = _labels({**RECOVERY_LABELS, HUB_LABEL: names.name})
    jobs = [
        job
        for job in await kube.items(JOB, names.namespace, labels=mine)
        if not job["metadata"].get("deletionTimestamp")
    ]
    memory.swept = not goes_on and not jobs
    pods = await kube.items(POD, names.namespace, labels=_labels(RECOVERY_LABELS))
    others = await _others(context, names, memory) if goes_on else []
    return replace(
        known,
        jobs={str(job["metadata"]["name"]): job for job in jobs},
        pods=tuple(pods),
        uses=uses_of([*pods, *others]),
    )


async def _others(context: RecoveryContext, names: Names, memory: RecoveryMemory) -> list[Object]:
    """Pods that may have a claim which is to be filled: not at each look, but before anything is done."""
    asks = context.kube is context.kube.live
    if asks or memory.others is None or time.monotonic() - memory.others[0] > backups.SERVERS_EVERY:
        found = [
            pod
            for labels in (_labels(SERVER_LABELS), "component=hub", _labels(BACKUP_LABELS))
            for pod in await context.kube.live.items(POD, names.namespace, labels=labels)
        ]
        memory.others = time.monotonic(), found
    return memory.others[1]
