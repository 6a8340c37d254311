"""What is known of a hub's way back, as far as the decision about the hub and its conditions need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pdshub.api.hub import PDSHubSpec, PDSHubStatus
from pdshub.api.hub_upgrade import DatabaseCopy, RollbackStatus
from pdshub.render.chart import ChartRef

How = Literal["copy", "rollback", "wait", "stall"]
Copying = Literal["MakeClaim", "MakeRun", "RemoveRun", "StartCopy", "RemoveJob", "TakeDown"]
Returning = Literal["Stop", "StartPutBack", "RemovePutBack", "TakeAside", "Start"]
DATABASE_NOT_COPIED, NOT_POSSIBLE, ROLLED_BACK = "DatabaseNotCopied", "RollbackNotPossible", "RolledBack"
ROLLING_BACK, FAILED = "RollingBack", "RollbackFailed"


@dataclass(frozen=True)
class Turn:
    """What is done next about the database, or why nothing can be; the reason and message are the conditions'."""

    how: How
    reason: str
    message: str
    step: Copying | Returning | None = None
    """Of copy and rollback: what is done."""
    seconds: float = 1.0
    """Of wait and stall: until the next look."""


@dataclass(frozen=True)
class Kept:
    """A release that a hub goes back to, out of a sealed record."""

    secret: str
    """The Secret that holds it."""
    chart: ChartRef
    """Its folder is there only while Helm runs (see upgrade/chart)."""
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Upgrade:
    """What is known of the way back, of a hub that needs it."""

    turn: Turn | None = None
    """Of a return; None: nothing of it is in the way of what else is to be done."""
    copying: Turn | None = None
    """Before helm runs; None: it may."""
    copies: tuple[DatabaseCopy, ...] = ()
    """The newest first."""
    rollback: RollbackStatus | None = None
    """The return, as the status has to say."""
    kept: Kept | None = None
    """What is installed instead of what the spec says."""
    plan: Any = None
    """What a step needs (upgrade/plan.Plan)."""


def asked(spec: PDSHubSpec | None) -> int | None:
    """The revision that a spec wants back."""
    return spec.upgrade.rollback if spec else None


def told(spec: PDSHubSpec, status: PDSHubStatus) -> str:
    """What people read on the hub's pages while it is a former one; empty else."""
    back = status.upgrade.rollback if status.upgrade else None
    if back is None or back.phase not in ("PutBack", "Done") or asked(spec) != back.revision:
        return ""
    return (
        f"On {back.at[:16].replace('T', ' ')} UTC this hub was set back to its state of "
        f"{back.taken[:16].replace('T', ' ')} UTC. Your files are as you left them. Tokens and shares that you made in "
        f"between are gone. If your server shows an error, stop and start it."
    )
