"""reconcile() of a hub's people: a loop of its own, so that no run of helm and no refused value delays a removal."""

from __future__ import annotations

import logging
import time
from typing import Any

from pdshub import hub_api, rfc3339
from pdshub.audit_log import entry
from pdshub.audit_log.list_author import list_author
from pdshub.kube import CLAIM, CONFIG_MAP, PDSHUB, Kube, Object
from pdshub.reconcile.common import events
from pdshub.reconcile.hub import writing
from pdshub.reconcile.hub.people import census, conditions, homes, read
from pdshub.reconcile.hub.people.conditions import Enforcement
from pdshub.reconcile.hub.people.context import PeopleContext, PeopleMemory
from pdshub.reconcile.hub.people.document import Document, people_map
from pdshub.reconcile.hub.people.document import read as document_in
from pdshub.reconcile.hub.people.effective import Groups, shrunk
from pdshub.reconcile.hub.people.enforce import enforce, touch
from pdshub.reconcile.hub.people.homes import Homes
from pdshub.reconcile.hub.people.sources import Refused
from pdshub.render.names import HOME_CLAIM, HUB_LABEL, PEOPLE_ANNOTATION, Names
from pdshub.wellknown import APPROVE_USERS, HOME_OF, MANAGER

log = logging.getLogger(__name__)

SETTLED = 60.0
"""Seconds until the next look where nothing is to be done."""
WORKING = 1.0
"""The same while the hub takes up a list, or somebody is being taken out."""
AWAY = 5.0
"""The same while the hub cannot be asked."""
CENSUS_EVERY, ACTIVITY_EVERY = 60.0, 300.0
"""Seconds between two censuses, where people or homes changed, and where somebody was only seen again."""


async def reconcile(context: PeopleContext, namespace: str, name: str) -> float | None:
    """Bring one hub's list into effect. Seconds until the next look is due; None when the hub is gone.

    Raises KubeError when the API server does not answer: the caller tries again.
    """
    hub = await context.kube.get(PDSHUB, name, namespace)
    if hub is None or not await read.acts_here(context.kube, hub):
        await context.forget((namespace, name))
        return None if hub is None else SETTLED
    names = Names(namespace, name)
    memory = context.memory((namespace, name))
    seen = await read.look(context.kube, hub, names)
    before = document_in(seen.maps.get(names.people))
    found = await _list_of(context.kube, names, seen, before, memory)
    effect = before
    if isinstance(found, Document):
        effect = found
        if (before is None or before.text != found.text) and context.kube is not context.kube.live:
            # copies may be behind: they may say that nothing is to be done, the API server decides what is
            return await reconcile(context.live(), namespace, name)
        if before is None and (taken := await _name_taken(context.kube, names)):
            found, effect = taken, None
        elif before is None or before.text != found.text:
            await context.kube.apply(CONFIG_MAP, people_map(names, str(hub["metadata"]["uid"]), found), MANAGER)
            await _say_changed(context.kube, names, seen, before, found)
    enforcement = conditions.NO_LIST
    if effect is not None:
        await touch(context.kube, names, seen.pods, effect)
        enforcement = await enforce(context, names, seen, effect, hub_api.base_url(_dig(hub, "spec", "values")))
    kept = await _homes(context.kube, names, seen, effect, memory)
    if effect is not None:
        await _census(context.kube, names, seen, effect, memory)
    await _report(context, hub, found, effect, enforcement, kept)
    return _pause(enforcement)


def _pause(enforcement: Enforcement) -> float:
    if enforcement.reason in ("Removing", "Spreading"):
        return WORKING
    return AWAY if enforcement.reason in ("HubUnreachable", "ListNotRead") else SETTLED


def _dig(document: Any, *path: str) -> Any:
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return document


async def _list_of(
    kube: Kube, names: Names, seen: read.Seen, before: Document | None, memory: PeopleMemory
) -> Document | Refused | None:
    """The list that may be put into effect, why not, or None for a spec that is refused."""
    if seen.spec is None:
        return None
    users = seen.spec.users
    found = await read.wanted(kube, names, users, Groups.of(seen.spec.values), memory)
    if isinstance(found, Refused):
        return found
    known = int(_dig(seen.hub, "status", "users") or 0)
    approved = str(_dig(seen.hub, "metadata", "annotations", APPROVE_USERS) or "")
    return shrunk(names, before, known, found, users, approved) or found


async def _name_taken(kube: Kube, names: Names) -> Refused | None:
    """Whether somebody else has a ConfigMap of the name that the list needs: it may be a source of somebody's."""
    there = await kube.live.get_metadata(CONFIG_MAP, names.people, names.namespace)
    if there is None or (there["metadata"].get("labels") or {}).get(HUB_LABEL) == names.name:
        return None
    return Refused(
        "NameTaken", f"ConfigMap {names.people} is somebody else's: rename it, the list is kept under that name"
    )


async def _say_changed(kube: Kube, names: Names, seen: read.Seen, before: Document | None, after: Document) -> None:
    """An event: how many came and went, and who or which program wrote it."""
    was = before.people if before else None
    came = len(after.people.allowed - was.allowed) if was else len(after.people.allowed)
    went = len(was.allowed - after.people.allowed) if was else 0
    writer, what = await list_author(kube, names.namespace, names.name)
    by = f", written by {writer.manager} ({what})" if writer.manager else ""
    who = f"(person: {writer.by or entry.ELSEWHERE})"
    count = len(after.people.allowed)
    said = f"{came} came onto the list and {went} went off it, {count} may sign in; list {after.digest}{by} {who}"
    record = events.EventRecord(False, "UsersChanged", said)
    await events.publish(kube, seen.hub, [record], names.namespace)


async def _homes(kube: Kube, names: Names, seen: read.Seen, effect: Document | None, memory: PeopleMemory) -> Homes:
    """Record whose home each claim is. Raises KubeError."""
    template = str(_dig(seen.hub, "spec", "values", "singleuser", "storage", "dynamic", "pvcNameTemplate") or "")
    record = homes.read(seen.maps.get(names.homes))
    known = frozenset(user.name for user in memory.listing.users) if memory.listing else frozenset()
    found = homes.judge(seen.claims, record, effect.people if effect else None, template or HOME_CLAIM, known)
    for claim, user in found.to_mark:
        await kube.patch(CLAIM, claim, {"metadata": {"annotations": {HOME_OF: user}}}, names.namespace)
    if found.record != record:
        await kube.apply(CONFIG_MAP, homes.homes_map(names, str(seen.hub["metadata"]["uid"]), found.record), MANAGER)
    return found


async def _census(kube: Kube, names: Names, seen: read.Seen, effect: Document, memory: PeopleMemory) -> None:
    """Write what was counted, where it changed and the last time is long enough ago. Raises KubeError."""
    if memory.listing is None:
        return
    body = census.count(effect.people, memory.listing.users, memory.listing.kept, seen.claims)
    at, before, before_activity = memory.census
    now = time.monotonic()
    stamp, activity = (census.digest(body, activity=each) for each in (False, True))
    if not before:  # of an operator that ran before this one
        notes = _dig(seen.maps.get(names.census), "metadata", "annotations") or {}
        before, before_activity, at = notes.get(PEOPLE_ANNOTATION, ""), activity, now - CENSUS_EVERY
        memory.census = at, before, before_activity
    changed = stamp != before and now - at >= CENSUS_EVERY
    if not changed and (activity == before_activity or now - at < ACTIVITY_EVERY):
        return
    made = census.census_map(names, str(seen.hub["metadata"]["uid"]), body, rfc3339.now())
    if made is None:
        log.warning("%s/%s: the census does not fit into a ConfigMap", names.namespace, names.name)
    else:
        await kube.apply(CONFIG_MAP, made, MANAGER)
    memory.census = now, stamp, activity


async def _report(
    context: PeopleContext,
    hub: Object,
    found: Document | Refused | None,
    effect: Document | None,
    enforcement: Enforcement,
    kept: Homes,
) -> None:
    """Write the conditions about people, and how many may sign in, beside what the hub's own loop writes."""
    drafts = conditions.drafts(found, enforcement, kept)

    def change(status: Any) -> Any:
        generation, now = int(hub["metadata"].get("generation", 0)), rfc3339.now()
        laid = conditions.laid_into(drafts, status.conditions, generation, now)
        count = len(effect.people.allowed) if effect else status.users
        return status.model_copy(update={"conditions": laid, "users": count})

    await writing.change(context.hubs, hub, change)
