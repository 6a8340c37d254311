"""What a move of a home does next: a decision from what is found. Pure.

Copied is while the home is the former volume; then the two volumes change places. Each step can be done again, and a
kill between two of them costs nothing: the home's claim is gone at most for moments in which its owner is kept out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pdshub.cli.archive import CliError
from pdshub.cli.home_record import Record

Json = dict[str, Any]
Step = Literal["retain", "copy", "drop-copy", "drop-kept", "drop-home", "make-home", "make-kept", "release", "done"]


class MoveError(CliError):
    """What is found fits no move; the text says what to do."""


@dataclass(frozen=True)
class Seen:
    """What is there. ``claims`` and ``volumes``: by name, those of the move that exist."""

    record: Record
    claims: Mapping[str, Json] = field(default_factory=dict)
    volumes: Mapping[str, Json] = field(default_factory=dict)

    def held(self, claim: str) -> str:
        """The volume that a claim names; "" where there is no such claim, or it has none yet."""
        return str(((self.claims.get(claim) or {}).get("spec") or {}).get("volumeName") or "")

    def policy(self, volume: str) -> str:
        """What becomes of a volume without its claim."""
        return str(((self.volumes.get(volume) or {}).get("spec") or {}).get("persistentVolumeReclaimPolicy") or "")


def belongs(volume: Json, claim: Json) -> bool:
    """Whether a volume is the claim's: whoever makes a claim may write any volume's name into it."""
    ref, meta = (volume.get("spec") or {}).get("claimRef") or {}, claim["metadata"]
    return all(ref.get(part) == meta.get(part) for part in ("namespace", "name", "uid"))


def ours(volume: Json, record: Record) -> bool:
    """Whether a volume was last bound to a claim of this move, bound or not: no other one is given to anybody."""
    ref = (volume.get("spec") or {}).get("claimRef") or {}
    return ref.get("namespace") == record.namespace and ref.get("name") in (record.claim, record.copy, record.kept)


def begun(seen: Seen) -> bool:
    """Whether the volumes have begun to change places: before that all can be taken back."""
    return bool(seen.record.next) and not (
        seen.held(seen.record.claim) == seen.record.former and seen.record.copy in seen.claims
    )


def decide(seen: Seen) -> Step:
    """The next step. Raises MoveError."""
    record = seen.record
    if record.done:
        return "done"
    if not record.next:
        if seen.held(record.claim) != record.former:
            raise MoveError(
                f"claim {record.claim} is not the home that was to be copied: look at volume {record.former}"
            )
        return "copy"
    for volume in (record.former, record.next):
        if volume not in seen.volumes:
            raise MoveError(f"volume {volume} is gone: nothing more is done")
        if not ours(seen.volumes[volume], record):
            raise MoveError(f"volume {volume} belongs to somebody else by now: nothing more is done")
        if seen.policy(volume) != "Retain":
            return "retain"
    home, kept = record.home_volume, record.kept_volume
    if record.claim in seen.claims and seen.held(record.claim) not in (home, kept):
        raise MoveError(
            f"claim {record.claim} is another one, made meanwhile: if it holds nothing, delete it; the same command "
            "goes on"
        )
    # the home first: while it is the former volume there is the claim of the copy, and all can be taken back
    if record.claim in seen.claims and seen.held(record.claim) == kept:
        return "drop-home"
    if record.copy in seen.claims:
        return "drop-copy"
    if record.kept in seen.claims and seen.held(record.kept) != kept:
        return "drop-kept"
    if record.claim not in seen.claims or not _bound(seen, record.claim, home):
        return "make-home"
    if record.kept not in seen.claims or not _bound(seen, record.kept, kept):
        return "make-kept"
    return "release"


def _bound(seen: Seen, claim: str, volume: str) -> bool:
    found = seen.claims[claim]
    return (found.get("status") or {}).get("phase") == "Bound" and belongs(seen.volumes[volume], found)
