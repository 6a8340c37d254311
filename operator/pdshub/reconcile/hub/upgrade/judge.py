"""A look at a hub's way back, where it needs one, and what it means for the Facts of the hub."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pdshub.installation import Backup as Settings
from pdshub.kube import Object
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.release import payload
from pdshub.reconcile.hub.upgrade import chart, copying, plan, returning
from pdshub.reconcile.hub.upgrade import seen as reading
from pdshub.reconcile.hub.upgrade.chart import NoChart
from pdshub.reconcile.hub.upgrade.record import Record
from pdshub.reconcile.hub.upgrade.returning import Back
from pdshub.reconcile.hub.upgrade.seen import Seen
from pdshub.reconcile.hub.upgrade_state import NOT_POSSIBLE, Kept, Turn, Upgrade, asked
from pdshub.render import chart as charts
from pdshub.render import signin_rules
from pdshub.render import values as rendering
from pdshub.render.merge import same


def wanted(facts: Facts) -> bool:
    """Whether anything about the way back has to be known. A hub at rest, which is no former one, asks nothing."""
    if facts.deleting or facts.spec is None or facts.conflicting_hub or not facts.granted or facts.chart is None:
        return False
    if facts.refused[0] or facts.unreadable_release is not None or facts.spec.suspend:
        return False
    back = facts.status.upgrade.rollback if facts.status.upgrade else None
    return asked(facts.spec) is not None or back is not None or plan.migrates(facts)


async def look(context: HubContext, hub: Object, facts: Facts) -> Facts:
    """The Facts with what is known of the way back, where that is wanted. Raises KubeError."""
    if not wanted(facts) or facts.spec is None:
        return facts
    run = plan.run_name(facts.names, facts)
    found = await reading.look(context, hub, facts.names, facts.spec, run)
    return judged(facts, found, context.installation.backup)


def judged(facts: Facts, seen: Seen, settings: Settings) -> Facts:
    """What was seen means this: pure."""
    back = returning.returning(facts, seen, settings, lambda record: _kept(facts, record)[1])
    if back.turn is not None or back.holds:
        # the chart of the spec is not what is installed now: what is wrong with it is in nobody's way
        facts = replace(facts, chart=replace(facts.chart, trouble="") if facts.chart else None)
    kept: Kept | None = None
    if back.holds:
        facts, kept, turn = _held(facts, seen, back)
        back = replace(back, turn=turn) if turn else returning.started(facts, seen, back)
    made = Upgrade(
        turn=back.turn,
        copies=tuple(each.shown for each in seen.records),
        rollback=back.status,
        kept=kept,
        plan=back.plan,
    )
    if back.turn is None and not back.holds and plan.migrates(facts):
        found = copying.copying(facts, seen, settings)
        made = replace(made, copying=found.turn, plan=found.plan)
    return replace(facts, upgrade=made)


def _document(record: Record) -> dict[str, Any]:
    """The release of a record. Raises ValueError."""
    return payload({"metadata": {"name": record.secret}, "data": {"release": record.release}})


def _kept(facts: Facts, record: Record) -> tuple[Kept | None, str]:
    """The release of a record, or why it may not be installed: what the installation refuses today stays refused."""
    try:
        document = _document(record)
        ref = chart.ref(document, record.about.identity)
    except (ValueError, NoChart) as error:
        return None, str(error)
    values = document.get("config") or {}
    if not isinstance(values, dict) or plan.dig(values, "custom", "pdshub", "hub") != facts.names.name:
        return None, f"Secret {record.secret} holds the release of another hub"
    if trouble := rendering.template_trouble(values):
        return None, trouble
    verdict = signin_rules.judge(facts.values, values, ref)
    if verdict.open and not facts.development:
        return None, f"the sign-in of that revision lets in people who are on no list: {verdict.open}"
    return Kept(record.secret, ref, values), ""


def _held(facts: Facts, seen: Seen, back: Back) -> tuple[Facts, Kept | None, Turn | None]:
    """The Facts with the release of the copy in place of what the spec asks for."""
    copy = back.status.copy_id if back.status else ""
    record = next((each for each in seen.records if each.about.copy_id == copy), None)
    kept, why = _kept(facts, record) if record else (None, f"the record of copy {copy} is gone")
    if kept is None and back.status is not None and back.status.phase == "Done":
        # it was installed before: nothing else is, and that it runs on does not depend on the record
        return replace(facts, in_sync=True), None, None
    if kept is None:
        words = f"spec.upgrade.rollback: {why}. The database of that revision is in place; take the field away to go on"
        return facts, None, Turn("stall", NOT_POSSIBLE, words[:1500], seconds=copying.SLOWLY)
    release = facts.release
    key = f"{facts.generation}-{charts.digest(kept.chart, kept.values)}"
    attempt = facts.attempt if facts.attempt.key == key else replace(facts.attempt, failures=0, wait=0.0)
    in_sync = release is not None and same(dict(release.values), dict(kept.values))
    changed = replace(facts, chart=kept.chart, values=kept.values, in_sync=in_sync, key=key, attempt=attempt)
    return changed, kept, None
