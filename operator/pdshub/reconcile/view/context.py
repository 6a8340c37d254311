"""What the reconcile of views works with, and what it remembers of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from pdshub.api.generation import Changes
from pdshub.reconcile.common.context import Context
from pdshub.reconcile.common.objects import Step
from pdshub.survey_api import State, SurveyApi


@dataclass(frozen=True)
class SurveyorObjects:
    """What there is of a view's surveyor, and what has to be written."""

    steps: tuple[Step, ...] = ()
    address: str = ""
    """Where it answers, as ip:port; empty before its Service is there."""
    reason: str = ""
    trouble: str = ""
    """Why there is none, or why it does not run: a word and a sentence."""
    runs: bool = False
    """Its pod is available."""
    refused: str = ""
    """What the view asks for and does not get, though its surveyor goes on."""


@dataclass
class ViewMemory:
    """What is remembered of one view and its surveyor between looks; losing it costs a look or a survey."""

    seen: SurveyorObjects | None = None
    seen_key: str = ""
    seen_at: float = 0.0
    """What was found of the surveyor's objects, for which spec and settings, and when (time.monotonic())."""
    told: tuple[str, str | None] = ("", None)
    """Digest of what the surveyor was told last, and what it called that spec."""
    told_at: float = 0.0
    phase: tuple[str, float] = ("", 0.0)
    """What the survey was said to do, and when that was written."""
    state: State | None = None
    state_at: float = 0.0
    """Its last answer."""
    asked_by: frozenset[str] = frozenset()
    """Requests of nodes that the present token stands for."""
    token: str = ""
    token_at: float = 0.0
    trees: dict[int, str] = field(default_factory=dict)
    """Generations of the spec that were seen, and what Ready speaks of in each."""
    tree_at: float = 0.0
    """When the newest of them was seen first."""
    fetching: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Nodes that fetch a generation, which, and since when."""
    changes: dict[tuple[str, str], Changes | str] = field(default_factory=dict)
    """What a candidate changes for users, or why that is not known, by the pair that is compared."""
    compared_at: str = ""
    """End of the survey that the live side of that comparison is of."""


@dataclass
class ViewContext(Context):
    """The doors, the installation, the surveyors, and the memory of views."""

    views: dict[str, ViewMemory] = field(default_factory=dict)
    surveys: SurveyApi = field(default_factory=SurveyApi)

    def view(self, name: str) -> ViewMemory:
        """What is remembered of a view."""
        return self.views.setdefault(name, ViewMemory())
