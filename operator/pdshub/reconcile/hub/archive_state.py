"""The archive of a hub: its view's health, and the static volumes through which pods see it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from pdshub.api.namespaces import AllowedNamespaces
from pdshub.api.view import ArchiveViewSpec, observed_tree
from pdshub.generation_id import is_name
from pdshub.installation import Allowed, Installation, refusal, storage_refusal
from pdshub.kube import Object
from pdshub.reconcile.common.conditions import ENTRY_EMPTY, LAYER_MISSING
from pdshub.reconcile.common.objects import Step, orphaned
from pdshub.reconcile.hub.facts import ArchiveState
from pdshub.render import archive
from pdshub.render.archive import ViewRef
from pdshub.render.names import HUB_LABEL, NAMESPACE_LABEL, VIEW_LABEL, Names

INLINE_STORAGE = "spec.archive.inline.survey.storage"


def archive_state(
    view: ViewRef, seen: Object | None, inline: ArchiveViewSpec | None, installation: Installation
) -> ArchiveState:
    """Health of the archive as the view's status says it, or why nothing is known of it.

    ``seen`` is the ArchiveView as it was read, ``inline`` its spec where it lies inside of the PDSHub.
    """
    found = _state(view, seen, inline, installation.archive)
    if inline is None or found.ready is False:
        return found
    # who writes a view inside of a hub may not be allowed to read the view's own conditions
    words = storage_refusal(inline.survey.storage, installation.surveyor, INLINE_STORAGE)
    return replace(found, message="; ".join(filter(None, (found.message, words))))


def _state(view: ViewRef, seen: Object | None, inline: ArchiveViewSpec | None, allowed: Allowed) -> ArchiveState:
    if inline is not None:
        refused = "; ".join(filter(None, (refusal(source, allowed) for source in inline.sources)))
        if refused:
            return ArchiveState(False, "NotAllowed", refused)
    if seen is None:
        if view.owned:
            return ArchiveState(None, "Preparing", "the ArchiveView is being made")
        return ArchiveState(
            False,
            "NoSuchView",
            f"ArchiveView {view.name} does not exist: correct spec.archive.viewRef or create the view",
        )
    status = seen.get("status") or {}
    ready = next((c for c in status.get("conditions") or [] if c["type"] == "Ready"), None)
    if ready is None or not _current(seen, status):
        return ArchiveState(None, "NoReport", f"no node has reported on ArchiveView {view.name} yet")
    known = {"True": True, "False": False}.get(ready["status"])
    return ArchiveState(known, str(ready.get("reason", "")), str(ready.get("message", "")))


def not_allowed(view: ViewRef, seen: Object | None, namespace: Object | None, names: Names) -> str:
    """Why a hub may not show the view that it refers to, and who can change that; empty when it may.

    A view of its own it always may. One that cannot be read is shown to nobody who is not known to be allowed.
    """
    raw = ((seen or {}).get("spec") or {}).get("allowedNamespaces")
    if view.owned or raw is None:
        return ""
    labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
    try:
        if AllowedNamespaces.model_validate(raw).allows(names.namespace, labels):
            return ""
    except ValidationError:
        pass
    return (
        f"ArchiveView {view.name} may not be shown in namespace {names.namespace}: whoever rules the view adds the "
        f"namespace to its spec.allowedNamespaces, or its label where that has a selector; or name another view in "
        f"spec.archive.viewRef"
    )


def _current(seen: Object, status: Mapping[str, Any]) -> bool:
    """Whether the view's status is about the present spec. A pin or an approval changes nothing that it reports."""
    if int(status.get("observedGeneration", 0)) >= int(seen["metadata"].get("generation", 0)):
        return True
    try:
        spec = ArchiveViewSpec.model_validate(seen.get("spec") or {})
    except ValidationError:
        return False
    return bool(status.get("observedTree")) and status.get("observedTree") == observed_tree(spec)


def generation(seen: Object | None) -> str:
    """The generation that users see; empty while they see the sources live."""
    found = ((seen or {}).get("status") or {}).get("generation") or {}
    name = str(found.get("name", ""))
    return name if is_name(name) else ""


def notice_text(found: ArchiveState) -> str:
    """What users read on the hub's pages about the archive; empty while it is whole or its state is not known."""
    if found.ready is not False:
        return ""
    missing = (
        "whoever runs this hub has to see to what is missing."
        if found.reason in ("NotAllowed", "NoSuchView", ENTRY_EMPTY, LAYER_MISSING)
        else "files that are missing come back by themselves."
    )
    return f"The archive is not complete: {found.message}. Servers start all the same; {missing}"


@dataclass(frozen=True)
class Volumes:
    """What has to be done about volumes."""

    steps: tuple[Step, ...] = ()
    settling: str = ""
    stale: tuple[tuple[str, str], ...] = ()
    unbound: str = ""
    """Why no server can start with the archive yet."""


def stale_own_view(names: Names, own: Object | None, shown: bool, bound: list[Object]) -> tuple[tuple[str, str], ...]:
    """The hub's own view once the hub no longer asks for it, as (kind, name); empty while anybody still reads it.

    ``shown``: another hub refers to it. ``bound``: the hub's claims and volumes, also those that are going. Kubernetes
    keeps a claim while a pod uses it: as long as one of the view is there, a server may have the view mounted.
    """
    if own is None or shown or own["metadata"].get("deletionTimestamp") or name_conflict("ArchiveView", own, names):
        return ()
    used = any((item["metadata"].get("labels") or {}).get(VIEW_LABEL) == names.own_view for item in bound)
    return () if used else (("view", names.own_view),)


def judge_volumes(names: Names, view: ViewRef | None, claims: list[Object], volumes: list[Object]) -> Volumes:
    """Compare claims and volumes of a hub with those that it should have."""
    wanted_claim = names.claim(view.name) if view else ""
    wanted_volume = names.volume(view.name) if view else ""
    stale = [
        (kind, str(item["metadata"]["name"]))
        for kind, items, wanted in (("claim", claims, wanted_claim), ("volume", volumes, wanted_volume))
        for item in items
        if item["metadata"]["name"] != wanted and not item["metadata"].get("deletionTimestamp")
    ]
    if view is None:
        return Volumes(stale=tuple(stale))
    claim = next((c for c in claims if c["metadata"]["name"] == wanted_claim), None)
    volume = next((v for v in volumes if v["metadata"]["name"] == wanted_volume), None)
    for item, what in ((claim, "claim"), (volume, "volume")):
        if item and item["metadata"].get("deletionTimestamp"):
            name = item["metadata"]["name"]
            return Volumes(
                settling=f"{what} {name} of an earlier hub is still going: servers that use it must end first",
                stale=tuple(stale),
            )
    steps = []
    if volume is None:
        steps.append(Step(f"volume {wanted_volume} is made", archive.volume(names, view.name)))
    elif orphaned(volume, claim):
        # a released volume binds again only when it forgets the claim that is gone
        steps.append(Step(f"volume {wanted_volume} is made available again", volume, "rebind"))
    unbound = ""
    if claim is None:
        # after the volume: a claim that finds it still Released waits for the controller's next round, 15 s
        steps.append(Step(f"claim {wanted_claim} is made", archive.claim(names, view.name)))
    elif (claim.get("status") or {}).get("phase") != "Bound":
        unbound = f"claim {wanted_claim} is not bound to volume {wanted_volume} yet: servers wait for it"
    return Volumes(tuple(steps), "", tuple(stale), unbound)


def name_conflict(kind: str, found: Object | None, names: Names) -> str:
    """Why an object that has the name that this hub needs is not this hub's; empty when it is, or there is none.

    Names of cluster-scoped objects are joined of namespace and hub, and so can meet: a-b/c and a/b-c have the same.
    """
    if found is None:
        return ""
    labels = found["metadata"].get("labels") or {}
    owner = (labels.get(NAMESPACE_LABEL), labels.get(HUB_LABEL))
    if owner == (names.namespace, names.name):
        return ""
    whose = f"belongs to PDSHub {owner[0]}/{owner[1]}" if all(owner) else "was not made for a PDSHub"
    namespace = found["metadata"].get("namespace")
    where = f" in namespace {namespace}" if namespace else ""
    return (
        f"{kind} {found['metadata']['name']}{where} {whose}, and this hub would need one of that name: give the PDSHub "
        f"{'' if namespace else 'or its namespace '}another name"
    )
