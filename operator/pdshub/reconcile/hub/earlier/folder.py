"""What a Job says that looked into a folder of a snapshot, read as what it is: names that users chose. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from pdshub.api.backup_job import LONGEST_ANSWER, JobAnswer
from pdshub.kube import Object
from pdshub.reconcile.hub.backup.answer import plain
from pdshub.reconcile.hub.backup.outcome import pods_of
from pdshub.render.backup_job import CONTAINER

MOST = 200
_NAME, _MOMENT = 255, 20


def last_words(job: Object, pods: Sequence[Object]) -> str:
    """The termination message of a Job's pod; empty without one."""
    for pod in pods_of(job, pods):
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            ended = (status.get("state") or {}).get("terminated") or {}
            if status.get("name") == CONTAINER and ended.get("message"):
                return str(ended["message"])
    return ""


def read(text: str) -> dict[str, Any] | None:
    """``{"taken", "entries", "more"}`` of an answer that went well; None for any other text."""
    if len(text.encode(errors="replace")) > LONGEST_ANSWER:
        return None
    try:
        found = JobAnswer.model_validate_json(text)
    except (ValidationError, RecursionError):
        return None
    if not found.ok:
        return None
    entries = [
        {"name": name, "kind": one.kind, "sizeBytes": max(0, one.size_bytes), "modified": plain(one.modified, _MOMENT)}
        for one in found.entries[:MOST]
        if (name := plain(one.name, _NAME)) not in ("", ".", "..") and "/" not in name
    ]
    left = len(found.entries) - len(entries)
    taken = found.snapshots[0].time if found.snapshots else ""
    return {"taken": plain(taken, _MOMENT), "entries": entries, "more": max(0, found.more) + left}
