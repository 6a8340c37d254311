"""The answer of a Job in the bytes that a termination message has.

Lists are cut until it fits, and what was cut is counted. Source: Kubernetes, Determine the Reason for Pod Failure: 4096
bytes at most.
"""

from __future__ import annotations

import json
from pathlib import Path

from pdshub.api.backup_job import LONGEST_ANSWER, JobAnswer
from pdshub.backup.words import Words

SHORT = 256
"""Characters that a sentence keeps while a list can be cut instead."""


def _bytes(answer: JobAnswer) -> bytes:
    dumped = answer.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps(dumped, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _shorter(answer: JobAnswer, sentence: int) -> JobAnswer | None:
    """The same with a little less; None when nothing is left to be cut."""
    item = answer.item
    if any(s.digest for s in answer.snapshots[1:]):
        return answer.model_copy(update={"snapshots": [s.model_copy(update={"digest": ""}) for s in answer.snapshots]})
    for name in ("entries", "snapshots"):
        listed = getattr(answer, name)
        if len(listed) > 1:
            cut = max(1, len(listed) // 16)
            return answer.model_copy(update={name: listed[:-cut], "more": answer.more + cut})
    if item and len(item.message) > sentence:
        shorter = item.message[: max(sentence, len(item.message) // 2)]
        return answer.model_copy(update={"item": item.model_copy(update={"message": shorter})})
    if len(answer.message) > sentence:
        return answer.model_copy(update={"message": answer.message[: max(sentence, len(answer.message) // 2)]})
    if item and item.unread:
        return answer.model_copy(update={"item": item.model_copy(update={"unread": item.unread[:-1]})})
    return _shorter(answer, SHORT // 4) if sentence == SHORT else None


def fitted(answer: JobAnswer, most: int = LONGEST_ANSWER) -> bytes:
    """The answer as JSON of at most so many bytes. ``more`` counts snapshots and entries that did not fit; how many
    unread paths there were is in ``unreadCount`` all the same."""
    data = _bytes(answer)
    while len(data) > most:
        less = _shorter(answer, SHORT)
        if less is None:
            return _bytes(JobAnswer(ok=answer.ok, reason=answer.reason, message=answer.message[: SHORT // 4]))
        answer, data = less, _bytes(less)
    return data


def write(path: Path, answer: JobAnswer) -> None:
    """Write the termination message. The file is the kubelet's mount: it cannot be replaced, only written.

    Raises OSError.
    """
    path.write_bytes(fitted(answer))


def told(path: Path, answer: JobAnswer, words: Words) -> int:
    """Write it; the program's exit code."""
    try:
        write(path, answer)
    except OSError as error:
        words.say(f"the answer cannot be written: {error.strerror}")
        return 1
    return 0 if answer.ok else 1
