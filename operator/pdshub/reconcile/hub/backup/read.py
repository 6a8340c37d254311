"""All reads of one look at a hub's backups; in its namespace as the namespace's account.

At rest everything is answered from copies; Jobs and pods are asked for while something is to be done, and only then.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from pdshub import rfc3339
from pdshub.api.backup_repository import NfsShare
from pdshub.api.hub import PDSHubSpec
from pdshub.api.refusal import refusal_words
from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    CONFIG_MAP,
    HUB_BACKUP,
    HUB_RESTORE,
    JOB,
    NAMESPACE,
    NODE,
    POD,
    SECRET,
    VOLUME,
    Kube,
    Object,
)
from pdshub.reconcile.common.objects import Step as Write
from pdshub.reconcile.common.objects import orphaned
from pdshub.reconcile.hub import recovering
from pdshub.reconcile.hub.backup import schedule, snapshot_objects
from pdshub.reconcile.hub.backup.asked import is_user, restores_of, runs_of
from pdshub.reconcile.hub.backup.context import BackupContext, BackupMemory
from pdshub.reconcile.hub.backup.facts import Facts, KeyState, is_repository, uses_of
from pdshub.reconcile.hub.backup.items import concerned
from pdshub.reconcile.hub.backup.nodes import node
from pdshub.reconcile.hub.people import homes
from pdshub.render import archive, backup_repository, backup_volume, signin
from pdshub.render.backup_job import Identity
from pdshub.render.names import (
    BACKUP_LABELS,
    DATABASE_CLAIM,
    ENVIRONMENT_LABEL,
    HOME_CLAIM,
    HOME_LABELS,
    HUB_LABEL,
    SERVER_LABELS,
    Names,
)
from pdshub.render.server import UID
from pdshub.wellknown import MANAGER

SERVERS_EVERY = 15.0
"""Seconds between two looks at users' pods while a Job runs: whether a server waits for a home on another node."""
_MOST_ID = 2**31 - 1


def _labels(pairs: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in pairs.items())


def _dig(document: Any, *path: str) -> Any:
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return document


def identity_of(values: Any) -> Identity:
    """As whom files of homes are kept: what values say of users' servers, where it is an id and not root's."""

    def number(key: str) -> int:
        found = _dig(values, "singleuser", key)
        return found if type(found) is int and 0 < found <= _MOST_ID else UID

    return Identity(number("uid"), number("fsGid"))


async def look(context: BackupContext, hub: Object, names: Names) -> Facts:
    """One look at a hub that may have backups. Raises KubeError."""
    kube = context.kube
    facts = Facts(
        names,
        context.clock(),
        str(hub["metadata"].get("uid", "")),
        rfc3339.seconds(hub["metadata"].get("creationTimestamp")),
        runs=runs_of(await kube.items(HUB_BACKUP, names.namespace), names.name),
        restores=restores_of(await kube.items(HUB_RESTORE, names.namespace), names.name),
    )
    if not (hub.get("spec") or {}).get("backup"):
        return await _working(context, facts)
    try:
        spec = PDSHubSpec.model_validate(hub.get("spec") or {})
    except ValidationError as error:
        # what is wrong may be of a moment: what is under way waits, and nothing new begins
        return replace(facts, refused=("InvalidSpec", refusal_words(error)), runs=(), restores=())
    if spec.backup is None:
        return facts
    facts = replace(facts, recovering=recovering.goes_on(hub), backup=spec.backup, identity=identity_of(spec.values))
    facts = replace(facts, upgrades=spec.upgrade.keep)
    facts = await placed(context, facts)
    return await _working(context, facts) if facts.refused[0] else await _content(context, facts, hub, spec)


async def placed(context: BackupContext, facts: Facts) -> Facts:
    """Where backups go, or why nowhere."""
    kube, names, backup = context.kube, facts.names, facts.backup
    assert backup is not None  # noqa: S101 - the caller asked
    secret, _ = key_secret = backup_repository.key_of(backup, names)
    key: KeyState = "Present"
    if await kube.get_metadata(SECRET, secret, names.namespace) is None:
        made = any(run.status.snapshots for run in facts.runs)
        key = "Lost" if made or backup.key.secret_ref else "Absent"
    facts = replace(facts, key=key, key_secret=key_secret)
    namespace = await kube.get(NAMESPACE, names.namespace)
    development = (_dig(namespace, "metadata", "labels") or {}).get(ENVIRONMENT_LABEL) == "development"
    refused = backup_repository.refusal(backup, names, context.hubs.installation, development)
    if not refused[0] and (wrong := schedule.trouble(backup.schedule)):
        refused = "InvalidSchedule", f"spec.backup.schedule: {wrong}"
    if refused[0]:
        return replace(facts, refused=refused)
    place = backup_repository.place(backup.repository, names)
    if place.secret and await kube.get_metadata(SECRET, place.secret, names.namespace) is None:
        keys = " and ".join(place.secret_keys)
        return replace(facts, refused=("SecretMissing", f"Secret {place.secret} does not exist: make it, with {keys}"))
    if place.kind == "claim":
        claim = await kube.get(CLAIM, place.claim, names.namespace)
        if claim is None:
            missing = f"claim {place.claim} of spec.backup.repository does not exist in namespace {names.namespace}"
            return replace(facts, refused=("ClaimMissing", missing))
        if wrong := is_repository(claim):
            return replace(facts, refused=("NotARepository", f"spec.backup.repository: {wrong}"))
    facts = replace(facts, place=place)
    return await _volume(kube, facts, backup.repository.nfs) if backup.repository.nfs else facts


async def _volume(kube: Kube, facts: Facts, nfs: NfsShare) -> Facts:
    """What is still to be made of the volume of an NFS share."""
    volume, claim = backup_volume.volume(facts.names, nfs), backup_volume.claim(facts.names, nfs, facts.uid)
    name, found = str(volume["metadata"]["name"]), list[Write]()
    known = await kube.get(VOLUME, name)
    there = await kube.get(CLAIM, claim["metadata"]["name"], facts.names.namespace)
    if known is None:
        found.append(Write(f"PersistentVolume {name}", volume))
    elif not backup_volume.is_of(known, facts.names, nfs):
        return replace(facts, refused=("NameTaken", f"PersistentVolume {name} is another's: rename the hub"))
    elif orphaned(known, there):
        found.append(Write(f"PersistentVolume {name} is free again", known, "rebind"))
    if there is None:
        found.append(Write(f"PersistentVolumeClaim {claim['metadata']['name']}", claim))
    return replace(facts, steps=tuple(found))


async def _content(context: BackupContext, facts: Facts, hub: Object, spec: PDSHubSpec) -> Facts:
    """What there is to save."""
    kube, names = context.kube, facts.names
    if not facts.unfinished:
        return await _working(context, facts)
    claims = await kube.items(CLAIM, names.namespace)
    mine = {HUB_LABEL: names.name, **HOME_LABELS}.items()
    of_homes = [claim for claim in claims if mine <= (claim["metadata"].get("labels") or {}).items()]
    ours = f"app.kubernetes.io/managed-by={MANAGER},{HUB_LABEL}={names.name}"
    maps = {item["metadata"]["name"]: item for item in await kube.items(CONFIG_MAP, names.namespace, labels=ours)}
    template = str(_dig(spec.values, "singleuser", "storage", "dynamic", "pvcNameTemplate") or HOME_CLAIM)
    record = homes.judge(of_homes, homes.read(maps.get(names.homes)), None, template).record
    repository = facts.place.claim if facts.place else ""
    # and those by which Jobs see checkpoints
    of_jobs = [claim for claim in claims if BACKUP_LABELS.items() <= (claim["metadata"].get("labels") or {}).items()]
    known = {*(claim["metadata"]["name"] for claim in [*of_homes, *of_jobs]), DATABASE_CLAIM, repository}
    facts = replace(
        facts,
        homes={user: claim for user, claim in record.items() if is_user(user)},
        claims={claim["metadata"]["name"]: claim for claim in claims if claim["metadata"]["name"] in known},
        secrets=await _secrets(kube, names, spec),
        objects=await _objects(kube, names, hub, spec, dict(record)),
    )
    return await with_nodes(context, await _working(context, facts), concerned(facts))


async def with_nodes(context: BackupContext, facts: Facts, claims: Collection[str]) -> Facts:
    """The nodes, and the volumes of these claims. Raises KubeError."""
    volumes: dict[str, Object] = {}
    for claim in claims:
        name = ((facts.claims.get(claim) or {}).get("spec") or {}).get("volumeName")
        if name and (volume := await context.kube.get(VOLUME, str(name))) is not None:
            volumes[claim] = volume
    tolerations = context.hubs.installation.backup.tolerations
    known = {str(item["metadata"]["name"]): node(item, tolerations) for item in await context.kube.items(NODE)}
    return replace(facts, volumes=volumes, nodes=known)


async def _secrets(kube: Kube, names: Names, spec: PDSHubSpec) -> tuple[str, ...]:
    """Of the hub's keys and the Secrets of its sign-in those that there are."""
    wanted = dict.fromkeys((names.keys, signin.required_secret(spec, names)[0]))
    return tuple([name for name in wanted if await kube.get_metadata(SECRET, name, names.namespace) is not None])


async def _objects(kube: Kube, names: Names, hub: Object, spec: PDSHubSpec, record: dict[str, str]) -> dict[str, str]:
    """The PDSHub, its view and the list of homes as files, as somebody could apply them again."""
    found: dict[str, Object] = {"pdshub.json": _bare(hub), "homes.json": {"version": 1, "homes": record}}
    view = archive.view_of(spec, names)
    if view is not None and (known := await kube.get(ARCHIVE_VIEW, view.name)) is not None:
        found["archiveview.json"] = _bare(known)
    return {name: json.dumps(body, sort_keys=True) for name, body in found.items()}


def _bare(item: Object) -> Object:
    """An object without what the API server adds."""
    kept = ("name", "namespace", "labels", "annotations")
    meta = {key: item["metadata"][key] for key in kept if item["metadata"].get(key)}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": meta, "spec": item.get("spec") or {}}


async def _working(context: BackupContext, facts: Facts) -> Facts:
    """Jobs and pods, while something is to be done; once after a start whatever was left behind."""
    memory = context.memory((facts.names.namespace, facts.names.name))
    if not facts.unfinished and memory.swept:
        return facts
    kube, names = context.kube.live, facts.names
    mine = _labels({**BACKUP_LABELS, HUB_LABEL: names.name})
    jobs = await kube.items(JOB, names.namespace, labels=mine)
    snapshots = await snapshot_objects.look(context, names, bool(facts.unfinished))
    memory.swept = not jobs and not snapshots.there
    # one that is going says nothing any more, and its name is free in a moment
    jobs = [job for job in jobs if not job["metadata"].get("deletionTimestamp")]
    pods = await kube.items(POD, names.namespace, labels=_labels(BACKUP_LABELS))
    others = await _others(context, names, memory) if facts.unfinished else []
    return replace(
        facts,
        jobs={str(job["metadata"]["name"]): job for job in jobs},
        made=frozenset(memory.made),
        snapshots=snapshots,
        pods=tuple(pods),
        uses=uses_of([*pods, *others]),
    )


async def _others(context: BackupContext, names: Names, memory: BackupMemory) -> list[Object]:
    """Pods of servers and of the hub, with their volumes: not at each look, but before anything is done."""
    asks = context.kube is context.kube.live
    if asks or memory.servers is None or time.monotonic() - memory.servers[0] > SERVERS_EVERY:
        found = [
            pod
            for labels in (_labels(SERVER_LABELS), "component=hub")
            for pod in await context.kube.live.items(POD, names.namespace, labels=labels)
        ]
        memory.servers = time.monotonic(), found
    return memory.servers[1]
