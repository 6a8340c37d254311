"""A view before it is applied: what somebody wants is checked, planned by a worker, and forgotten."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from pdshub.archive.preview import NeedsSurvey, preview
from pdshub.archive.view import view_from_spec
from pdshub.files import read_json
from pdshub.surveyor.desired_view import DesiredView, DesiredViewError, parse
from pdshub.surveyor.store import Entry, Store
from pdshub.surveyor.worker import Worker

Json = dict[str, Any]
Say = Callable[[str], None]
MAX_BODY = 4 << 20
"""Bytes of what somebody wants; an ArchiveView in etcd can not be larger either."""
SECONDS = 600.0
"""A worker that says nothing for so long is killed: it works from memory."""


def wanted(stream: IO[bytes]) -> DesiredView:
    """``{"name": view, "spec": spec of an ArchiveView}`` as JSON. Raises DesiredViewError, which names the field."""
    raw = stream.read(MAX_BODY + 1)
    if len(raw) > MAX_BODY:
        raise DesiredViewError(f"the view has more than {MAX_BODY >> 20} MB")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise DesiredViewError("the view is no JSON") from None
    desired = parse(body)
    if not desired.spec.cataloged:
        raise DesiredViewError(
            "spec.form: the whole view is live: nothing is decided, users see the sources as they are"
        )
    return desired


def same_sources(desired: DesiredView, store: Path) -> None:
    """Raises DesiredViewError where a source of the same name is another export than the one that was surveyed."""
    kept = read_json(store / "spec.json") or {}
    known = parse(kept) if kept else None
    if known is None:
        return
    if known.view != desired.view:
        raise DesiredViewError(f"metadata.name: this is the surveyor of {known.view}")
    before = {s.name: s.model_copy(update={"marker": None}) for s in known.spec.sources}
    for source in desired.spec.sources:
        if source.name in before and source.model_copy(update={"marker": None}) != before[source.name]:
            raise DesiredViewError(
                f"spec.sources: {source.name} is another place than the one that was surveyed: only a survey can tell"
                " what it holds. Apply the view with release: approve, and look at what waits"
            )


def run(
    store: Store, desired: DesiredView, newest: Entry, against: Entry | None, limit: int, memory: int, say: Say
) -> Json:
    """What would differ from ``against`` (None: the sources live), worked out by a worker with a bound of memory.

    Raises WorkerError, OSError.
    """
    with store.workplace() as work:
        other = str(against.directory) if against else ""
        task = {"newest": str(newest.directory), "against": other, "work": str(work),
                "name": desired.view, "spec": desired.wire, "limit": limit}  # fmt: skip
        return dict(asyncio.run(Worker("preview", task, memory=memory, nice=15).run(say, seconds=SECONDS)))


def task(task: Json, say: Say) -> Json:
    """What the worker does for ``run``. Raises NeedsSurvey where only a survey can tell."""
    view = view_from_spec(task["name"], task["spec"])
    against = Path(task["against"]) if task["against"] else None
    try:
        return preview(
            Path(task["newest"]), against, view, Path(task["work"]), int(task["limit"]), say
        )  # fmt: skip
    except NeedsSurvey as missing:
        raise NeedsSurvey(
            f"{missing}: only a survey can tell. Apply the view with release: approve, and look at what waits"
        ) from None
