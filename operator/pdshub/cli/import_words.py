"""What came of copying homes, for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pdshub.cli import words
from pdshub.cli.import_homes import Outcome
from pdshub.cli.import_sources import Source, claim_size
from pdshub.cli.import_tree import Tree

Json = dict[str, Any]
_SHOWN = 10


def planned(meant: Sequence[Source], trees: Mapping[str, Tree], notes: Sequence[str], size: str) -> Json:
    """What would be copied, for programs."""
    rows = [
        {
            "user": source.user, "old": source.old, "from": f"{source.root}/{source.home}", "claim": source.claim,
            "files": len(trees[source.user].entries), "bytes": trees[source.user].bytes,
            "size": claim_size(trees[source.user].bytes, size), "stubs": list(trees[source.user].stubs),
            "hidden": list(trees[source.user].hidden), "leftOut": list(trees[source.user].left_out),
            "owners": {str(uid): count for uid, count in trees[source.user].owners().items()},
        }
        for source in meant
    ]  # fmt: skip
    return {"homes": rows, "notes": list(notes)}


def plan_text(found: Json) -> str:
    """The plan as a table."""
    lines: list[Sequence[Any]] = [["USER", "FROM", "CLAIM", "SIZE", "FILES", "MIB", "STUBS", "OWNERS"]]
    for row in found["homes"]:
        lines.append(
            [row["user"], row["from"], row["claim"], row["size"], row["files"], row["bytes"] >> 20, len(row["stubs"]),
             _owners(row["owners"])]
        )  # fmt: skip
    return "\n".join([words.table(lines), *(f"note: {note}" for note in found["notes"])])


def outcome_text(outcomes: Sequence[Outcome], said: Sequence[str], final: bool) -> str:
    """What came of each home, and what is not equal."""
    lines: list[Sequence[Any]] = [["USER", "CLAIM", "FILES", "SENT", "MIB", "REMOVED", "STUBS", "OWNERS", "RESULT"]]
    for one in outcomes:
        lines.append(
            [one.user, one.claim, one.files, one.sent, one.sent_bytes >> 20, one.removed, len(one.stubs),
             _owners({str(uid): count for uid, count in one.owners.items()}), _result(one, final)]
        )  # fmt: skip
    more = list(said)
    for one in outcomes:
        for what, paths in (
            ("refused", one.refused),
            ("differs", one.different),
            ("stays as it is at the new hub", one.kept),
            ("was hidden behind another mount, and is copied", one.hidden),
            ("left out, no file or not readable", one.left_out),
        ):
            more += [f"{one.user}: {what}: {path}" for path in paths[:_SHOWN]]
            more += [f"{one.user}: {what}: {len(paths) - _SHOWN} more"] if len(paths) > _SHOWN else []
    return "\n".join([words.table(lines), *(f"note: {line}" for line in more)])


def _result(one: Outcome, final: bool) -> str:
    if one.error:
        return f"failed: {one.error}"
    if one.refused:
        return f"{len(one.refused)} refused"
    if not final:
        return "copied"
    return f"{len(one.different)} differ" if one.different else "every digest equal"


def _owners(found: Mapping[str, int]) -> str:
    """Uids of the old machine: all of it becomes uid 1000's."""
    return ", ".join(f"{uid} ({count})" for uid, count in sorted(found.items(), key=lambda item: -item[1])[:3])
