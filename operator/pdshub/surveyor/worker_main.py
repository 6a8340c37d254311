"""A task in a process of its own: ``python -m pdshub.surveyor.worker_main KIND``. worker.py is its other end.

The task is one JSON object on stdin; lines of JSON come back on stdout.

A survey needs much memory for a short time and may hang on a dead server: its process gives the memory back, can
be killed, and is bounded. It ends by itself when the surveyor's end of stdin is closed.

Lines on stdout: {"progress": text}, at last {"result": …} or {"error": text}.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pdshub.api.generation import LIVE
from pdshub.archive.catalog import CatalogError
from pdshub.archive.diff import diff
from pdshub.archive.explain import explain
from pdshub.archive.live import diff_from_live
from pdshub.archive.look import Look, mounted
from pdshub.archive.plan import PlanError
from pdshub.archive.preview import NeedsSurvey
from pdshub.archive.view import ViewError
from pdshub.archive.walk import SourceError
from pdshub.surveyor import checks, content, copies, copying, previewing
from pdshub.surveyor.making import make

Json = dict[str, Any]
Say = Callable[[str], None]
STACK = 1 << 20  # bytes of each of the threads that walk


def _explain(task: Json, say: Say) -> Json:
    return explain(Path(task["generation"]), task["path"], Look(mounted(Path(task["sources"]))))


def _diff(task: Json, say: Say) -> Json:
    if task["from"] == LIVE:
        return diff_from_live(Path(task["to"]), int(task["limit"]), say)
    return diff(Path(task["from"]), Path(task["to"]), int(task["limit"]), say)


def _survey(task: Json, say: Say) -> Json:
    """A survey that knows which sources are copies: it works below the store."""
    work = Path(task["work"])
    with copies.beside(work, copies.of(work.parent.parent, task["spec"])):
        return make(task, say)


def _copied(task: Json, say: Say) -> Json:
    return copying.check(task, say, make)


KINDS: Mapping[str, Callable[[Json, Say], Json]] = {
    "survey": _survey,
    "copied": _copied,
    "audit": checks.audit,
    "content": content.step,
    "verify": checks.verify,
    "explain": _explain,
    "diff": _diff,
    "preview": previewing.task,
}


def in_words(error: Exception, memory: int) -> str:
    """What went wrong and what to do about it; ``memory``: the bound in bytes."""
    if isinstance(error, MemoryError) or str(error) == "can't start new thread":
        return f"more than {memory >> 20} MiB of memory are needed: give the surveyor more"
    if isinstance(error, OSError) and error.errno in (28, 122):  # ENOSPC, EDQUOT
        return "the store is full: enlarge spec.survey.storage or lower spec.survey.keep"
    if isinstance(error, SourceError | PlanError | CatalogError | ViewError | NeedsSurvey):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or ''}: {error.strerror}"
    return f"{type(error).__name__}: {error}"


def _write(line: Json) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def main() -> int:
    """Does the task of stdin and ends the process."""
    task = json.loads(sys.stdin.readline())
    memory = int(task.get("memory") or 0)
    threading.stack_size(STACK)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    os.nice(int(task.get("nice") or 0))
    said = 0.0

    def say(text: str) -> None:
        nonlocal said
        if time.monotonic() - said > 0.2:
            said = time.monotonic()
            _write({"progress": text})

    try:
        _write({"result": KINDS[sys.argv[1]](task, say)})
    except Exception as error:
        _write({"error": in_words(error, memory)})
    sys.stdout.flush()
    os._exit(0)  # a thread that waits for a dead server must not hold the process


if __name__ == "__main__":
    sys.exit(main())
