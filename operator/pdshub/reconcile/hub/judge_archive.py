"""What a hub's archive needs in its namespace: the hub's own view, a volume and a claim of it, and a notice. Pure."""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError

from pdshub.api.hub import PDSHubSpec
from pdshub.api.view import ArchiveViewSpec
from pdshub.kube import Object
from pdshub.reconcile.common.objects import Step
from pdshub.reconcile.hub.archive_state import generation, judge_volumes, name_conflict, notice_text, stale_own_view
from pdshub.reconcile.hub.facts import ArchiveState, Facts
from pdshub.reconcile.hub.observation import Observation
from pdshub.reconcile.hub.upgrade_state import told
from pdshub.render import archive, notice
from pdshub.render.names import Names


def taken_name(facts: Facts, seen: Observation) -> str:
    """Which object of somebody else has a name that this hub needs; empty when none has."""
    if facts.view is None:
        return ""
    return (
        (name_conflict("ArchiveView", seen.view, facts.names) if facts.view.owned else "")
        or name_conflict("PersistentVolume", seen.named_volume, facts.names)
        or name_conflict("PersistentVolumeClaim", seen.named_claim, facts.names)
    )


def _with(items: tuple[Object, ...], named: Object | None) -> list[Object]:
    """The objects with the hub's marks, and the one of the hub's name, once."""
    known = {item["metadata"]["name"] for item in items}
    return [*items, *([named] if named is not None and named["metadata"]["name"] not in known else [])]


def with_archive(facts: Facts, seen: Observation, spec: PDSHubSpec) -> Facts:
    """The steps of the archive: the hub's own view, its volume and claim, and what its pages say."""
    names, view, state = facts.names, facts.view, facts.archive
    steps = []
    if view is not None and view.owned and _view_differs(spec, names, seen.view):
        steps.append(Step(f"ArchiveView {view.name} is written", archive.own_view(spec, names), "apply"))
    volumes = judge_volumes(names, view, _with(seen.claims, seen.named_claim), _with(seen.volumes, seen.named_volume))
    steps += volumes.steps
    if volumes.unbound and state.ready is not False:
        state = ArchiveState(None, "Binding", volumes.unbound)
    message = " ".join(filter(None, (told(spec, facts.status), notice_text(state) if view else "")))
    shown = generation(seen.view) if view else ""
    words = notice.texts(spec)
    wanted = notice.config_map(names, message, shown, words)
    if (seen.notice or {}).get("data") != wanted["data"]:
        steps.append(Step("the notice of the hub's pages is written", wanted, "apply"))
    return replace(
        facts,
        archive=state,
        steps=tuple(steps),
        settling=volumes.settling,
        stale=(
            *volumes.stale,
            *stale_own_view(names, seen.own_view, seen.own_view_shown, [*seen.claims, *seen.volumes]),
        ),
        notice=notice.content(message, shown, words) if message or shown or words else "",
    )


def _view_differs(spec: PDSHubSpec, names: Names, seen: Object | None) -> bool:
    if seen is None:
        return True
    wanted = archive.own_view(spec, names)
    # what a data manager decided about the view is not the hub's to take back
    have = {key: value for key, value in seen["spec"].items() if key not in ("pin", "approved", "rejected")}
    try:
        return ArchiveViewSpec.model_validate(have) != ArchiveViewSpec.model_validate(wanted["spec"])
    except ValidationError:
        return True
