"""The condition about drills: RestoreVerified. Pure."""

from __future__ import annotations

from pdshub import rfc3339
from pdshub.api.hub_backup import Drill
from pdshub.reconcile.common.conditions import ConditionDraft
from pdshub.reconcile.hub.backup import schedule
from pdshub.reconcile.hub.drill import rotation
from pdshub.reconcile.hub.drill.record import Drills

RESTORE_VERIFIED = "RestoreVerified"
OWNED = (RESTORE_VERIFIED,)
"""Types of the conditions that the loop of drills writes."""
DAY = 86400.0


def bound(settings: Drill, drills: Drills) -> str:
    """After how many drills everything was looked at, in words."""
    total = rotation.parts(settings.read_percent)
    homes = rotation.rounds(len(drills.queue), settings.sample)
    since = rotation.all_since(drills.read, total)
    read = f"all data was read since {since}" if since else "not all data was read yet"
    return f"each home within {homes} drills, damaged data within {total}; {read}"


def verified(
    settings: Drill | None, drills: Drills, refused: str, now: float, since: float = 0.0
) -> list[ConditionDraft]:
    """Whether restores were tried lately, and went well. ``refused``: why none can be tried; nothing without drills.

    ``since``: when something was saved first, seconds since 1970; 0: nothing was.
    """
    if settings is None or (settings.suspend and drills.last is None):
        return []
    last, good = drills.last, drills.good
    when = f"the last good one was begun at {good.at}" if good else "none went well yet"
    if last is not None and not last.ok:
        return [(RESTORE_VERIFIED, "False", last.reason, f"drill of {last.at}: {last.message}; {when}")]
    if refused and not settings.suspend:
        return [(RESTORE_VERIFIED, "False", "NotDrilled", f"{refused}; {when}")]
    if good is None:
        if since and now - since > settings.max_age_days * DAY:
            return [
                (RESTORE_VERIFIED, "False", "TooOld", "no drill has ended yet, though there is something to restore")
            ]
        return [(RESTORE_VERIFIED, "Unknown", "NoneYet", "no drill has ended yet")]
    if now - schedule.known(rfc3339.seconds(good.at), now) > settings.max_age_days * DAY:
        words = f"older than spec.backup.drill.maxAgeDays ({settings.max_age_days}): {when}"
        return [(RESTORE_VERIFIED, "False", "TooOld", words)]
    return [(RESTORE_VERIFIED, "True", "Verified", f"drill of {good.at}: {good.message}; {bound(settings, drills)}")]
