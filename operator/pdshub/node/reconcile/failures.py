"""Views at which the plugin itself fails, by an error that nobody foresaw: told of, counted, and the end of nothing."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


class Failures:
    """What failed last, by view ("": work that is of no single view), until it goes well again."""

    def __init__(self) -> None:
        """Nothing has failed yet."""
        self.views: dict[str, str] = {}  # view -> the error
        self.counts: dict[str, int] = {}  # view -> errors since the plugin began

    def note(self, view: str, error: Exception) -> None:
        """The log has the traceback once, not at each of the turns, which are seconds apart."""
        text = repr(error)
        if self.views.get(view) != text:
            log.error("%s", f"view {view}" if view else "reconcile", exc_info=error)
        self.views[view] = text
        self.counts[view] = self.counts.get(view, 0) + 1

    def clear(self, view: str) -> None:
        """It went well."""
        if self.views.pop(view, None):
            log.info("%s goes well again", f"view {view}" if view else "reconcile")

    @contextmanager
    def noted(self, view: str) -> Iterator[None]:
        """An error within is noted and goes no further."""
        try:
            yield
        except Exception as error:
            self.note(view, error)
        else:
            self.clear(view)

    def said(self, view: str) -> str:
        """The error for the view's status; empty if there is none."""
        text = self.views.get(view)
        return f"the node plugin fails at this view, its log says where: {text}" if text else ""

    def keep_only(self, views: Collection[str]) -> None:
        """Forget the others."""
        for known in (self.views, self.counts):
            for view in known.keys() - set(views):
                del known[view]

    @property
    def message(self) -> str:
        """All of them, for who looks at the node; empty if nothing fails."""
        return "; ".join(f"{view or 'reconcile'}: {text}" for view, text in sorted(self.views.items()))
