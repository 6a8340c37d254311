"""One module per action; each does one thing, can be done again, and returns what is known after it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from pdshub.reconcile.view.act import compare, finalizer, surveyor, tell
from pdshub.reconcile.view.context import ViewContext
from pdshub.reconcile.view.observation import Action, Observation

Act = Callable[[ViewContext, Observation], Awaitable[Observation]]
"""Does it; returns the observation as it is from then on. Raises KubeError."""

ACTS: Mapping[Action, Act] = {
    Action.LET_GO: surveyor.let_go,
    Action.ADD_FINALIZER: finalizer.add,
    Action.MAKE_SURVEYOR: surveyor.make,
    Action.REMOVE_SURVEYOR: surveyor.remove,
    Action.TELL: tell.act,
    Action.COMPARE: compare.act,
}
