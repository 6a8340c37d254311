"""What the reconcile of views works with, and what it remembers of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from pdshub.reconcile.common.context import Context
from pdshub.reconcile.view.comparison import UserChanges
from pdshub.reconcile.view.surveyor_objects import SurveyorObjects
from pdshub.reconcile.view.surveyor_sync import LastAnswer, NodeRequests, Phase, Told
from pdshub.reconcile.view.update_policy import TakeUp
from pdshub.survey_api import SurveyApi


@dataclass(frozen=True)
class ObjectsSeen:
    """What was found of a surveyor's objects, for which spec and settings, and when (time.monotonic())."""

    objects: SurveyorObjects
    key: str
    at: float


@dataclass
class ViewMemory:
    """What is remembered of one view and its surveyor between looks; losing it costs a look or a survey."""

    objects: ObjectsSeen | None = None
    answer: LastAnswer | None = None
    told: Told = field(default_factory=Told)
    requests: NodeRequests = field(default_factory=NodeRequests)
    phase: Phase = field(default_factory=Phase)
    take_up: TakeUp = field(default_factory=TakeUp)
    user_changes: UserChanges | None = None


@dataclass
class ViewContext(Context):
    """The doors, the installation, the surveyors, and the memory of views."""

    views: dict[str, ViewMemory] = field(default_factory=dict)
    surveys: SurveyApi = field(default_factory=SurveyApi)

    def view(self, name: str) -> ViewMemory:
        """What is remembered of a view; a new memory where nothing is."""
        return self.views.setdefault(name, ViewMemory())
