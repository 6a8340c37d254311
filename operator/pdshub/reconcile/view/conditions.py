"""Conditions of a view that are about its generations: Released, Surveyed, Intact, PinnedDrift, Local. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pdshub.api.generation import Proof, ReleasedGeneration
from pdshub.api.status import Condition
from pdshub.api.survey import CheckState, State, SurveyState
from pdshub.api.view import ArchiveViewSpec, NodeStatus
from pdshub.generation_id import short
from pdshub.reconcile.common.conditions import ConditionDraft, truth
from pdshub.reconcile.view.generations import Verdict
from pdshub.reconcile.view.surveyor_objects import Obstacle, SurveyorObjects


def released(verdict: Verdict, before: Iterable[Condition]) -> ConditionDraft:
    """Whether users see the newest. While the surveyor is away the last word stands."""
    if verdict.reason == "SurveyorAway" and verdict.released is not None:
        was = next((c for c in before if c.type == "Released"), None)
        if was is not None:
            return "Released", was.status, was.reason, was.message
    return "Released", truth(verdict.settled), verdict.reason, verdict.message


def surveyed(objects: SurveyorObjects, state: State | None, error: str) -> ConditionDraft:
    """Whether the sources are surveyed as the view asks; what it asks for and does not get is no reason to stop."""
    kind, status, reason, message = _surveyed(objects, state, error)
    if not objects.refused:
        return kind, status, reason, message
    if status == "True":
        message = f"{objects.refused}. Surveys go on with the store that there is"
        return kind, "False", Obstacle.STORAGE_TOO_LARGE.value, message
    return kind, status, reason, f"{message}; {objects.refused}"


def _surveyed(objects: SurveyorObjects, state: State | None, error: str) -> ConditionDraft:
    obstacle = objects.obstacle
    if obstacle is Obstacle.SETTLING:
        return "Surveyed", "Unknown", obstacle.value, objects.trouble
    if obstacle and not obstacle.passes:
        return "Surveyed", "False", obstacle.value, objects.trouble
    if state is None:
        if objects.runs:
            why = error or "it has not been asked yet"
            return "Surveyed", "False" if error else "Unknown", "SurveyorAway", f"the surveyor is not reached: {why}"
        what = objects.trouble or "it is being made"
        known = obstacle is Obstacle.NOT_RUNNING
        return "Surveyed", "False" if known else "Unknown", "SurveyorStarting", f"the surveyor is not there: {what}"
    survey = state.survey
    last = survey.last_finished
    if survey.state == SurveyState.FAILED:
        after = f"; the last one that went well ended {last}" if last else ""
        return "Surveyed", "False", "SurveyFailed", f"the survey failed: {survey.message or 'no reason given'}{after}"
    if not last:
        words = survey.message if survey.state != SurveyState.RUNNING else ""  # else they change by the second
        return "Surveyed", "Unknown", "Surveying", words or "the first survey has not finished yet"
    if survey.state == SurveyState.WAITING:
        return "Surveyed", "True", "Settling", survey.message or "datasets are still being copied"
    return "Surveyed", "True", "Finished", f"the last survey ended {last}"


def intact(rows: Iterable[NodeStatus]) -> list[ConditionDraft]:
    """Whether every node that looked found the view unwritable and its sample as recorded.

    Damage on one node counts more than a delivery, and a delivery, of which all that is known is known, more than what
    could not be looked at. A word of a newer node that is not known here is taken for damage.
    """
    looked = [(row.name, row.proof) for row in rows if row.proof is not None]
    if not looked:
        return []
    bad = [(node, proof) for node, proof in looked if not proof.ok and proof.result not in ("changing", "incomplete")]
    if bad:
        return [("Intact", "False", "Violated", _by_message(bad))]
    for result, reason in (("changing", "Changing"), ("incomplete", "Incomplete")):
        if any(proof.result == result for _, proof in looked if not proof.ok):
            return [("Intact", "Unknown", reason, _by_message((n, p) for n, p in looked if p.result == result))]
    nodes = "1 node" if len(looked) == 1 else f"{len(looked)} nodes"
    return [("Intact", "True", "Proven", f"on {nodes} no user can write, and the sample has the bytes recorded")]


def _by_message(found: Iterable[tuple[str, Proof]]) -> str:
    """Nodes that say the same are named together."""
    nodes: dict[str, list[str]] = {}
    for node, proof in found:
        nodes.setdefault(proof.message, []).append(node)
    return "; ".join(
        f"node{'s' if len(names) > 1 else ''} {', '.join(names)}: {message}" for message, names in nodes.items()
    )


def drift(
    spec: ArchiveViewSpec,
    verdict: Verdict,
    state: State | None,
    before: Iterable[Condition],
    was_released: ReleasedGeneration | None,
) -> list[ConditionDraft]:
    """Whether the bytes of a pinned generation are still those of its survey: a catalog holds names, not bytes.

    While the surveyor is away the condition stands that is of this generation: ``was_released`` is the one that
    ``before`` speaks of.
    """
    if not spec.pin or verdict.released is None:
        return []
    name = verdict.released.name
    result = state.verify if state else None
    if result is None or result.generation != name or result.files is None:
        if result is not None and result.generation == name and result.state == CheckState.FAILED:
            why = f"generation {short(name)} cannot be compared with its sources: {result.message}"
            return [("PinnedDrift", "Unknown", "CompareFailed", why)]
        was = next((c for c in before if c.type == "PinnedDrift"), None)
        if state is None and was is not None and was_released is not None and was_released.name == name:
            return [("PinnedDrift", was.status, was.reason, was.message)]
        return [
            ("PinnedDrift", "Unknown", "NotCompared", f"generation {short(name)} is being compared with its sources")
        ]
    if result.drifted:
        few = f" (first: {', '.join(result.examples[:3])})" if result.examples else ""
        message = (
            f"{result.drifted} of {result.files} files of generation {short(name)} are no longer as surveyed{few}: "
            f"users see its names, with what the sources hold now"
        )
        return [("PinnedDrift", "True", "Drifted", message)]
    exact = f", {result.compared} byte by byte" if result.compared else ""
    return [
        (
            "PinnedDrift",
            "False",
            "AsSurveyed",
            f"all {result.files} files of generation {short(name)} are as surveyed{exact}",
        )
    ]


def local(
    spec: ArchiveViewSpec,
    verdict: Verdict,
    state: State | None,
    rows: Iterable[NodeStatus],
    before: Iterable[Condition],
) -> list[ConditionDraft]:
    """Whether the files that shall travel with what users see are on every node, so that they are read there.

    While the surveyor is away what it said last of reading stands.
    """
    if spec.survey.content is None:
        return []
    if verdict.released is None:
        return [("Local", "Unknown", "NoGeneration", "files travel with a generation, and none is released yet")]
    found, rows = verdict.released.content, list(rows)
    files = found.files if found else 0
    trouble = _unread(state, verdict.released.name, files, found.wanted_files if found else 0)
    if trouble is None and state is None and (was := next((c for c in before if c.type == "Local"), None)):
        trouble = ("Local", was.status, was.reason, was.message) if was.reason in _READ else None
    behind = [row for row in rows if found and (row.content is None or row.content.digest != found.digest)]
    if why := {row.name: row.content.message for row in behind if row.content and row.content.message}:
        few = "; ".join(f"node {name}: {text}" for name, text in sorted(why.items())[:3])
        return [("Local", "False", "NotOnNode", f"{few}. These files are read from the sources there")]
    if trouble:
        return [trouble]
    if found is None or not found.complete:
        done = f"{files:,} of {found.wanted_files:,} files travel so far" if found else "the first files are being read"
        return [("Local", "Unknown", "Reading", f"{done}; the rest is read from the sources")]
    if behind:
        names = ", ".join(row.name for row in behind[:10])
        return [("Local", "Unknown", "Fetching", f"{files:,} files are on their way to {len(behind)} nodes: {names}")]
    nodes = "1 node" if len(rows) == 1 else f"{len(rows)} nodes"
    return [("Local", "True", "Complete", f"{files:,} files ({found.bytes:,} bytes) are read on {nodes} themselves")]


_READ = ("OverBudget", "LeftOut", "ReadFailed")


def _unread(state: State | None, name: str, files: int, wanted: int) -> ConditionDraft | None:
    """What the surveyor says of files that do not travel, and will not without somebody's doing."""
    reading = state.reading if state else None
    if reading is None or reading.generation != name:
        return None
    if reading.state == CheckState.FAILED:
        return (
            "Local",
            "False",
            "ReadFailed",
            f"the files cannot be read or kept: {reading.message}; tried again within an hour",
        )
    if reading.state != CheckState.DONE:
        return None
    if reading.over_budget:
        much = f"{files:,} of {wanted:,} files travel: what they take reached spec.survey.content.budget"
        return "Local", "False", "OverBudget", f"{much}. Make it larger, or leave files out by exclude"
    if reading.changed or reading.unreadable:
        left = [f"{reading.changed:,} changed since the survey: the next generation takes them"] * bool(reading.changed)
        left += [f"{reading.unreadable:,} could not be read"] * bool(reading.unreadable)
        return "Local", "False", "LeftOut", f"{files:,} of {wanted:,} files travel; {', '.join(left)}"
    return None
