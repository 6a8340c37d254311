"""An observation to the one next action, and to what users see: pure and total."""

from __future__ import annotations

from typing import Any

from pdshub.api.generation import Gap
from pdshub.reconcile.view import comparison, decisions, generations, surveyor_sync
from pdshub.reconcile.view.generations import Verdict
from pdshub.reconcile.view.observation import Action, Observation, SurveyorSeen


def decide(seen: Observation) -> Action:
    """The one next action. An action that was done in this look is not chosen again, so that every look ends."""
    return _leave(seen) or _hold(seen) or _remove(seen) or _survey(seen) or Action.REPORT


def _leave(seen: Observation) -> Action | None:
    """A view that is deleted goes when nobody uses it, or when somebody confirmed; else everything goes on."""
    if seen.deleting and not seen.finalizer:
        return Action.WAIT
    if seen.deleting and (seen.confirmed or (seen.asked and not seen.users)):
        return Action.WAIT if Action.LET_GO in seen.done else Action.LET_GO
    # a restart of the operator is no outage: nothing is said before the nodes were asked
    return None if seen.asked else Action.WAIT


def _hold(seen: Observation) -> Action | None:
    """The finalizer before anything is made, and again where somebody took it away.

    It is needed while a deletion has to wait for users, and while there is a surveyor that would be left behind.
    """
    if seen.deleting or seen.finalizer or Action.ADD_FINALIZER in seen.done:
        return None
    objects = seen.surveyor.objects if seen.surveyor else None
    made = bool(objects and (objects.exists or objects.steps)) or (seen.spec is None and seen.was_surveyed)
    return Action.ADD_FINALIZER if seen.holds or made else None


def _remove(seen: Observation) -> Action | None:
    """A view that is live has no surveyor, and no finalizer unless users hold it."""
    if seen.spec is None or seen.spec.cataloged or seen.deleting or Action.REMOVE_SURVEYOR in seen.done:
        return None
    left = seen.was_surveyed or (seen.finalizer and not seen.holds)
    return Action.REMOVE_SURVEYOR if left else None


def _survey(seen: Observation) -> Action | None:
    found = seen.surveyor
    if found is None:
        return None
    # Kubernetes may be collecting what a deleted view owns: to make it again would never end
    if found.objects.steps and not seen.deleting and Action.MAKE_SURVEYOR not in seen.done:
        return Action.MAKE_SURVEYOR
    if not found.fresh or found.state is None:
        return None
    if Action.TELL not in seen.done and must_tell(seen, found):
        return Action.TELL
    if Action.COMPARE not in seen.done and pair_to_compare(seen) is not None:
        return Action.COMPARE
    return None


def desired_view(seen: Observation, found: SurveyorSeen) -> dict[str, Any]:
    """The body of PUT /spec: the view, who asks for a survey, and which generations must not be dropped."""
    assert seen.spec is not None  # noqa: S101 - a view with a surveyor has a spec
    annotations = seen.view["metadata"].get("annotations") or {}
    request = found.requests.request(str(annotations.get(surveyor_sync.REFRESH, "")))
    keep = surveyor_sync.generations_in_use(seen.name, seen.spec, seen.before, seen.reports)
    return surveyor_sync.desired_view(seen.name, seen.metadata_generation, seen.spec, request, keep)


def must_tell(seen: Observation, found: SurveyorSeen) -> bool:
    """Whether the surveyor does not know yet what is wanted of it."""
    if found.state is None or found.state.spec is None:
        return True
    told = found.told
    return (told.desired, told.spec) != (
        surveyor_sync.desired_digest(desired_view(seen, found)),
        found.state.spec,
    )


def verdict(seen: Observation) -> Verdict | None:
    """What users see from now on and what waits; None for a view without a surveyor."""
    found, spec = seen.surveyor, seen.spec
    if found is None or spec is None:
        return None
    kept = surveyor_sync.kept_generations(found.state) if found.state else None
    notes = {kind: decisions.attribution(seen.decisions, kind) for kind in ("Pinned", "Rejected")}
    return generations.decide(spec, seen.before.generation, kept, seen.before.candidate, notes)


def shown_verdict(seen: Observation) -> Verdict | None:
    """The verdict whose candidate says what it changes for users, as far as that is known."""
    found, decided = seen.surveyor, verdict(seen)
    if found is None or decided is None or found.state is None:
        return decided
    return comparison.with_user_changes(decided, found.user_changes, found.state)


def pair_to_compare(seen: Observation) -> tuple[str, str] | None:
    """What users see and the candidate, where the surveyor has to be asked what differs."""
    found, decided = seen.surveyor, verdict(seen)
    if found is None or found.state is None or decided is None:
        return None
    pair = comparison.pair(decided)
    return pair if pair and comparison.is_due(found.user_changes, pair, found.state) else None


def lacks(seen: Observation) -> list[Gap]:
    """Layers of the tree that users lack. Who sees the sources live sees also what is still being copied."""
    decided = verdict(seen)
    if decided is None:
        return []
    if decided.released:
        return decided.released.gaps
    state = seen.surveyor.state if seen.surveyor else None
    kept = surveyor_sync.kept_generations(state) if state else ()
    newest = list(kept[0].gaps) if kept else decided.candidate.gaps if decided.candidate else []
    return [gap for gap in newest if gap.found != "settling"]
