"""The hub is made to go by its list: told of it, asked whether it does, and whoever is off it is taken out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from pdshub import hub_api
from pdshub.audit_log.entry import REMOVAL
from pdshub.hub_api import HubClient, HubError
from pdshub.kube import POD, Kube, Object
from pdshub.reconcile.common import events
from pdshub.reconcile.hub.people import conditions, read
from pdshub.reconcile.hub.people.conditions import Enforcement
from pdshub.reconcile.hub.people.context import HubKey, Listing, PeopleContext, PeopleMemory
from pdshub.reconcile.hub.people.document import Document, People
from pdshub.reconcile.hub.people.removal import Step, Told, remove
from pdshub.reconcile.hub.people.removals import AT_ONCE
from pdshub.render.keys import TOKEN_KEY
from pdshub.render.names import PEOPLE_ANNOTATION, Names
from pdshub.wellknown import USERNAME

LIST_EVERY = 50.0
"""Seconds between two lists of a hub's users while its list stays as it is."""
_SHARE = 20
"""A list of users that takes long is asked for rarer: it takes at most one part in so many of the hub's time."""


async def touch(kube: Kube, names: Names, pods: Iterable[Object], document: Document) -> None:
    """Make the kubelet look at the list now: a changed annotation makes it look at once. Raises KubeError."""
    for pod in pods:
        if (pod["metadata"].get("annotations") or {}).get(PEOPLE_ANNOTATION) != document.digest:
            body = {"metadata": {"annotations": {PEOPLE_ANNOTATION: document.digest}}}
            await kube.patch(POD, pod["metadata"]["name"], body, names.namespace)


def off_the_list(people: People, listing: Listing) -> set[str]:
    """Who is in the hub's database, and may not sign in any more. Pure."""
    return {u.name for u in listing.users if not people.lets_in(u.name) and u.name not in listing.kept}


def stray_pods(people: People, listing: Listing, pods: Sequence[Object]) -> list[Object]:
    """Pods of servers of people who may not sign in, whether the hub still knows them or not. Pure."""
    found = []
    for pod in pods:
        user = str((pod["metadata"].get("annotations") or {}).get(USERNAME) or "")
        if user and not people.lets_in(user) and user not in listing.kept:
            found.append(pod)
    return found


def listing_due(known: Listing | None, digest: str, now: float) -> bool:
    """Whether the hub's users have to be listed. ``now`` is time.monotonic(). Pure."""
    if known is None or known.digest != digest:
        return True
    return now - known.at >= max(LIST_EVERY, _SHARE * known.took)


async def listed(hub: HubClient, people: People, digest: str) -> Listing:
    """The hub's users, and whom of those off the list it admits by a group, which only it can tell. Raises HubError."""
    began = time.monotonic()
    users = await hub.users()
    doubtful = [u.name for u in users if not people.lets_in(u.name) and u.name not in people.suspended]
    slots = asyncio.Semaphore(AT_ONCE)

    async def admitted(name: str) -> bool:
        async with slots:
            return await hub.admits(name)

    answers = await asyncio.gather(*map(admitted, doubtful))
    kept = frozenset(name for name, let_in in zip(doubtful, answers, strict=True) if let_in)
    now = time.monotonic()
    return Listing(digest, now, now - began, tuple(users), kept)


async def enforce(
    context: PeopleContext, names: Names, seen: read.Seen, document: Document, base_url: str
) -> Enforcement:
    """One look at the hub; what takes time goes on in tasks. Raises KubeError."""
    kube, key = context.kube, (names.namespace, names.name)
    memory = context.memory(key)
    if not seen.pods:
        return conditions.NOT_RUNNING
    token = await read.token(kube, names, memory)
    if not token:
        return conditions.unreachable(f"Secret {names.keys} has no key {TOKEN_KEY}")
    try:
        async with hub_api.connect(kube, names.namespace, base_url, token) as hub:
            digest, trouble = await hub.list_in_effect()
            if digest != document.digest:
                return conditions.spreading(document, trouble)
            listing = memory.listing
            if listing is None or listing_due(listing, digest, time.monotonic()):
                memory.listing = listing = await listed(hub, document.people, digest)
                memory.removals.finished.clear()
    except HubError as error:
        return conditions.unreachable(str(error))
    return await _take_out(context, memory, names, seen.hub, document, listing, base_url)


async def _take_out(
    context: PeopleContext,
    memory: PeopleMemory,
    names: Names,
    hub_object: Object,
    document: Document,
    listing: Listing,
    base_url: str,
) -> Enforcement:
    key: HubKey = (names.namespace, names.name)
    off = off_the_list(document.people, listing) - memory.removals.finished
    memory.removals.keep_to(off)
    if off:
        memory.verified = ""
        memory.removals.begin(off, _work(context, memory, names, hub_object, base_url), lambda: _over(context, key))
        return conditions.removing(memory.removals.words())
    if memory.verified != document.digest:
        left = stray_pods(document.people, listing, await read.server_pods(context.kube, names))
        for pod in left:
            if not pod["metadata"].get("deletionTimestamp"):
                await context.kube.delete(POD, pod["metadata"]["name"], names.namespace)
        if left:
            return conditions.removing(f"{len(left)} pods of servers are ending")
        memory.verified = document.digest
    return conditions.enforced(document)


def _over(context: PeopleContext, key: HubKey) -> None:
    """A removal has ended: the users are listed again, and whoever is left is begun anew."""
    memory = context.memories.get(key)
    if memory is not None and not memory.removals.under_way:
        memory.listing = None
        if not memory.removals.troubles:  # what fails is tried again with the next look
            context.due(key)


def _work(
    context: PeopleContext, memory: PeopleMemory, names: Names, hub_object: Object, base_url: str
) -> Callable[[str, Told], Awaitable[None]]:
    async def work(user: str, told: Told) -> None:
        token = await read.token(context.kube, names, memory)
        async with hub_api.connect(context.kube, names.namespace, base_url, token) as hub:
            done = await remove(hub, user, _written(context, names, user, told), memory.removals.slots)
        if done.found:
            fields = {"user": user, "servers": done.servers, "tokens": done.tokens}
            context.hubs.audit.record(REMOVAL, _title(names), **fields, step=Step.DONE.value)
            event = events.EventRecord(False, "UserRemoved", done.words)
            await events.publish(context.kube, hub_object, [event], names.namespace)

    return work


def _title(names: Names) -> str:
    return f"{names.namespace}/{names.name}"


def _written(context: PeopleContext, names: Names, user: str, told: Told) -> Told:
    """The same, and each step goes into the audit log once."""
    before: set[Step] = set()

    def tell(step: Step) -> None:
        told(step)
        if step not in before:
            before.add(step)
            context.hubs.audit.record(REMOVAL, _title(names), user=user, step=step.value)

    return tell
