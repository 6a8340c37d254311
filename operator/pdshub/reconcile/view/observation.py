"""What one look at a view found: everything that ``decide`` and ``status`` may know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from pdshub.api.decision import Decision
from pdshub.api.generation import VolumePolicy
from pdshub.api.namespaces import SelectedNamespaces
from pdshub.api.survey import State
from pdshub.api.view import ArchiveViewSpec, ArchiveViewStatus
from pdshub.installation import Allowed
from pdshub.kube import Object
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.view.comparison import UserChanges
from pdshub.reconcile.view.deletion import Users
from pdshub.reconcile.view.surveyor_objects import SurveyorObjects
from pdshub.reconcile.view.surveyor_sync import NodeRequests, Phase, Told
from pdshub.reconcile.view.update_policy import UpdatePolicy


class Action(Enum):
    """What can be done next."""

    WAIT = "wait"
    """Nothing, and the status stays as it is."""
    REPORT = "report"
    """Nothing but the status, if it changed."""
    LET_GO = "let-go"
    """Remove the surveyor of a deleted view, then the finalizer."""
    ADD_FINALIZER = "add-finalizer"
    MAKE_SURVEYOR = "make-surveyor"
    """Write the objects of the surveyor that are missing or differ."""
    REMOVE_SURVEYOR = "remove-surveyor"
    """The view needs none any more."""
    TELL = "tell"
    """Tell the surveyor what is wanted of it."""
    COMPARE = "compare"
    """Ask the surveyor what a candidate changes for users."""


@dataclass(frozen=True)
class SurveyorSeen:
    """A view's surveyor: its objects, its answer, and what is remembered of it."""

    objects: SurveyorObjects
    state: State | None = None
    """Its answer, or the last one while that counts."""
    fresh: bool = False
    """The state is of this look."""
    away: str = ""
    """Why there is no fresh state; may be empty where there is no address to ask at."""
    requests: NodeRequests = field(default_factory=NodeRequests)
    told: Told = field(default_factory=Told)
    phase: Phase = field(default_factory=Phase)
    """What the status says of a running survey."""
    user_changes: UserChanges | None = None
    """What a candidate changes for users, as far as the surveyor was asked."""
    behind: UpdatePolicy = field(default_factory=UpdatePolicy)


@dataclass(frozen=True)
class Observation:
    """One look at a view."""

    name: str
    view: Object
    metadata_generation: int
    before: ArchiveViewStatus
    """The status as it was written last."""
    now: float
    """time.monotonic() of the look."""
    asked: bool = True
    """The nodes were asked once at least since the operator started."""
    deleting: bool = False
    confirmed: bool = False
    """Somebody said that the deletion is meant."""
    finalizer: bool = True
    inline: bool = False
    """The view was written inside of a hub, which makes it again."""
    users: Users = field(default_factory=Users)
    spec: ArchiveViewSpec | None = None
    invalid: str = ""
    """Why the spec is refused, field by field."""
    decisions: tuple[Decision, ...] = ()
    volumes: tuple[VolumePolicy, ...] = ()
    selected: SelectedNamespaces | None = None
    """What the selector of spec.allowedNamespaces chooses, where there is one."""
    reports: Mapping[str, NodeReport] = field(default_factory=dict)
    allowed: Allowed = field(default_factory=Allowed)
    surveyor: SurveyorSeen | None = None
    """None where the view needs none, or the look ended before."""
    done: frozenset[Action] = frozenset()
    """What was done in this look: each action at most once."""

    @property
    def holds(self) -> bool:
        """Whether a deletion would have to wait for who uses the view."""
        return bool(self.users) and not self.inline

    @property
    def was_surveyed(self) -> bool:
        """Whether there may be a surveyor, as the last status says."""
        return any(condition.type == "Surveyed" for condition in self.before.conditions)
