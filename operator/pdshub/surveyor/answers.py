"""What the surveyor answers: its state as JSON. Times as RFC 3339."""

from __future__ import annotations

from typing import Any

from pdshub import rfc3339
from pdshub.surveyor.store import Entry
from pdshub.surveyor.surveyor import Surveyor

Json = dict[str, Any]


def survey(s: Surveyor) -> Json:
    """The survey that runs, or how the last one ended. ``request`` is the last token that a survey answered."""
    p = s.progress
    state, message = "idle", ""
    if s.surveying:
        state, message = "running", s.phase
    elif s.desired is None:
        message = "the operator has not said what to survey"
    elif s.view is None:
        message = "the whole view is shown live: there is nothing to survey"
    elif p.failed is not None:
        state, message = "failed", p.message
    elif p.settles is not None:
        state, message = "waiting", f"{p.settling} datasets are still being copied, or their listing is in doubt"
        if not p.settling:
            message = "looks again when what may have been copied just now has settled"
    return {
        "state": state,
        "phase": s.phase,
        "message": message,
        "startedAt": None if p.started is None else rfc3339.text(p.started),
        "lastFinished": None if p.finished is None else rfc3339.text(p.finished),
        "request": p.tried_request,
        "settling": p.settling,
        "seconds": round(p.seconds, 3),
        "counters": p.counters,
    }


def generation(s: Surveyor, entry: Entry) -> Json:
    """One kept generation."""
    return {
        "name": entry.name,
        "asOf": entry.as_of,
        "counts": entry.manifest["counts"],
        "entries": entry.manifest.get("entries") or [],
        "findings": entry.findings,
        "images": len(entry.images),
        "bytes": s.store.stored_bytes(entry),
        "guard": entry.facts.get("guard"),
        "previous": entry.facts.get("previous"),
        "changes": entry.facts.get("changes") or {},
        "content": entry.facts.get("content"),
    }


def state(s: Surveyor) -> Json:
    """Everything that the operator looks at."""
    return {
        "view": s.desired.view if s.desired else "",
        "spec": s.desired.digest if s.desired else None,
        "content": s.desired.content if s.desired else None,
        "survey": survey(s),
        "generations": [generation(s, entry) for entry in s.entries],
        "audit": {k: v for k, v in s.progress.audit.items() if k != "seconds"},
        "verify": {k: v for k, v in s.progress.verify.items() if k not in ("seconds", "newest")},
    }
