"""Before a restore in its place stops a user's server, whoever works there is warned, and has time to save."""

from __future__ import annotations

from pdshub import hub_api, rfc3339
from pdshub.hub_api import HubError
from pdshub.kube import Object
from pdshub.reconcile.common import status
from pdshub.reconcile.common.conditions import ConditionDraft, merge_conditions, truth
from pdshub.reconcile.hub.backup import schedule
from pdshub.reconcile.hub.backup.asked import Restore
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.backup.facts import Facts
from pdshub.reconcile.hub.backup.steps import Nothing, WarnUser
from pdshub.reconcile.hub.people import read as people

WARNED = "UserWarned"
"""Condition of a HubRestore in place: the user was told that their server is stopped, and since when."""
_LOOK = 5.0
"""Seconds between two looks while a warning stands: the user may stop the server themselves."""
MESSAGE = "Your server is stopped then, as files of your home are brought back. Save your work."
"""JupyterLab shows the time before it, and 140 characters in all."""


def seconds_left(restore: Restore, now: float) -> float | None:
    """For how long the server goes on. None: its user has to be warned first; 0: it can be stopped.

    Who cannot be warned is not waited for: a hub that is away shows nothing to anybody.
    """
    spec = restore.spec
    if spec is None or not spec.warn_seconds:
        return 0.0
    said = next((condition for condition in restore.status.conditions if condition.type == WARNED), None)
    if said is None:
        return None
    if said.status != "True":
        return 0.0
    left = rfc3339.seconds(said.last_transition_time) + spec.warn_seconds - now
    # more than the whole warning: a clock was set back, and nobody waits until it is where it was
    return max(0.0, left) if left <= spec.warn_seconds + schedule.AHEAD else 0.0


def first(restore: Restore, now: float) -> WarnUser | Nothing | None:
    """What comes before the stop of a server that runs; None where it can be stopped."""
    left = seconds_left(restore, now)
    if left is None:
        return WarnUser(restore)
    return Nothing(min(left, _LOOK)) if left else None


async def act(context: BackupContext, facts: Facts, hub: Object, restore: Restore) -> None:
    """Warn the user at the hub, and take down whether it was heard. Raises KubeError.

    An operator that is killed between both warns once more, of the later moment: it is the same warning to the hub.
    """
    spec = restore.spec
    assert spec is not None  # noqa: S101 - decided before
    try:
        await _told(context, facts, hub, restore)
        draft: ConditionDraft = (
            WARNED, truth(True), "Warned", f"{spec.user} is warned: their server is stopped in {spec.warn_seconds} s",
        )  # fmt: skip
    except HubError as error:
        draft = WARNED, truth(False), "NotReached", f"{spec.user} cannot be warned: {error}"[:500]
    now = rfc3339.text(facts.now)
    conditions = merge_conditions([draft], restore.status.conditions, 0, now, ())
    told = restore.status.model_copy(update={"conditions": conditions, "message": draft[3]})
    await status.write(context.kube, restore.resource, restore.item, told)


async def _told(context: BackupContext, facts: Facts, hub: Object, restore: Restore) -> None:
    names, memory = facts.names, context.memory((facts.names.namespace, facts.names.name))
    token = await people.token(context.kube, names, memory.token)
    if not token or restore.spec is None:
        raise HubError(f"Secret {names.keys} has no token of the operator")
    base = hub_api.base_url((hub.get("spec") or {}).get("values"))
    async with hub_api.connect(context.kube, names.namespace, base, token) as client:
        await client.warn(restore.spec.user, restore.uid, MESSAGE, restore.spec.warn_seconds)
