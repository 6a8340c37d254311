"""What a move of an archive's source remembers, in an annotation of its ArchiveView, and what is done next. Pure.

Whoever is killed at any step goes on from what is found in the view and from this: nothing is kept on a desk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pdshub.cli.archive import CliError
from pdshub.wellknown import GROUP

Json = dict[str, Any]
MOVING = f"{GROUP}/moving"
"""Annotation of an ArchiveView: the record of a move of one of its sources."""
COPY = "-copy"
"""Behind a source's name: the copy, while it is compared. No layer names it, and users see nothing of it."""
LARGEST = 64_000
KINDS = ("nfs", "s3", "local")
Step = Literal["copy", "add", "reach", "verify", "hold", "swap", "follow", "survey", "drop", "release", "done"]


class MigrateError(CliError):
    """What is found fits no move; the text says what to do."""


@dataclass(frozen=True)
class Record:
    """A move of one source. ``former`` and ``next``: the source, as the view writes it, without its name."""

    source: str
    generation: str
    former: Json
    next: Json
    copied: bool = False
    verified: bool = False
    """The copy was compared, and gave the generation."""
    held: bool = False
    """Whether the move holds the view at the generation, and so lets it go again."""
    asked: str = ""
    """The request of the survey that has to give the generation."""
    surveyed: bool = False
    back: bool = False
    why: str = ""
    """Why it is taken back, where nobody asked for that."""
    done: bool = False

    @property
    def copy(self) -> str:
        """The name of the copy while it is compared."""
        return f"{self.source}{COPY}"

    @property
    def wanted(self) -> Json:
        """What the source shall be in the end."""
        return self.former if self.back else self.next

    def text(self) -> str:
        """As it is written down."""
        return json.dumps({"version": 1, **asdict(self)}, sort_keys=True)


def read(view: Mapping[str, Any]) -> Record | None:
    """The record that a view carries; None where it carries none. Raises MigrateError where it is not understood."""
    text = ((view.get("metadata") or {}).get("annotations") or {}).get(MOVING)
    if text is None:
        return None
    try:
        found = json.loads(text if isinstance(text, str) and len(text) <= LARGEST else "")
        version = found.pop("version")
        record = Record(**found)
        texts = (record.source, record.generation, record.asked, record.why)
        flags = (record.copied, record.verified, record.held, record.surveyed, record.back, record.done)
        good = all(isinstance(t, str) for t in texts) and all(isinstance(f, bool) for f in flags)
        if version != 1 or not good or not (place(record.former) and place(record.next)):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        words = f"annotation {MOVING} of the view is no record of a move: look at it, and take it away"
        raise MigrateError(words) from None
    return record


def place(source: Mapping[str, Any]) -> Json:
    """Where a source is."""
    return {kind: source[kind] for kind in KINDS if isinstance(source.get(kind), dict)}


def within(said: Any, kept: Any) -> bool:
    """Whether what somebody wrote is what is kept, to which the API server may have added what it adds by itself."""
    if isinstance(said, Mapping) and isinstance(kept, Mapping):
        return all(key in kept and within(value, kept[key]) for key, value in said.items())
    return bool(said == kept)


def plain(source: Mapping[str, Any]) -> Json:
    """A source without its name."""
    return {key: value for key, value in source.items() if key != "name"}


def named(sources: Sequence[Mapping[str, Any]], name: str) -> Json | None:
    """The source of that name."""
    return next((dict(each) for each in sources if each.get("name") == name), None)


@dataclass(frozen=True)
class Seen:
    """What is there. ``written``: the sources where people write them, which is the hub of an inline archive."""

    record: Record
    view: Json
    written: Sequence[Json]

    @property
    def spec(self) -> Json:
        """The view's spec."""
        return dict(self.view.get("spec") or {})

    @property
    def status(self) -> Json:
        """The view's status."""
        return dict(self.view.get("status") or {})

    def reached(self, name: str) -> bool:
        """Whether every node reaches a source of the view as it is now."""
        current = self.status.get("observedGeneration") == (self.view.get("metadata") or {}).get("generation")
        of: Json = next((s for s in self.status.get("sources") or [] if s.get("name") == name), {})
        return current and of.get("ready") is True

    def followed(self) -> bool:
        """Whether the view has what is written, and every node reaches it."""
        record, sources = self.record, self.spec.get("sources") or []
        now = named(sources, record.source)
        return (
            now is not None
            and place(now) == place(record.wanted)
            and named(sources, record.copy) is None
            and self.reached(record.source)
            and self.taken_up()
        )

    def taken_up(self) -> bool:
        """Whether every node on which somebody has the view shows it as it is now: what a node says of a source may be
        of the place that it was."""
        return all(node.get("ready") for node in self.status.get("nodes") or [] if node.get("targets"))


def decide(seen: Seen) -> Step:
    """The next step. Raises MigrateError."""
    record = seen.record
    if record.done:
        return "done"
    written = named(seen.written, record.source)
    if written is None:
        raise MigrateError(f"the view has no source {record.source} any more: nothing is done")
    at = place(written)
    if at not in (place(record.former), place(record.next)):
        raise MigrateError(f"somebody made source {record.source} another place meanwhile: nothing is done")
    if at != place(record.wanted):
        if not record.back and not record.verified:
            return _before(seen)
        pin = seen.spec.get("pin")
        if pin and pin != record.generation:
            raise MigrateError(
                f"somebody holds the view at {str(pin)[:24]}: unpin it first, and the same command goes on"
            )
        return "swap" if pin else "hold"
    if named(seen.written, record.copy) is not None:
        return "drop"
    if not seen.followed():
        return "follow"
    if record.verified and not record.surveyed:
        return "survey"
    return "release"


def _before(seen: Seen) -> Step:
    record = seen.record
    if not record.copied:
        return "copy"
    beside = named(seen.written, record.copy)
    if beside is None:
        return "add"
    if place(beside) != place(record.next):
        raise MigrateError(f"source {record.copy} is another place than the copy: take it out of the view first")
    inside = named(seen.spec.get("sources") or [], record.copy)
    return "verify" if inside is not None and seen.reached(record.copy) else "reach"


def swapped(sources: Sequence[Json], record: Record) -> list[Json]:
    """The sources with the wanted place under the source's name, and without the copy."""
    kept = [each for each in sources if each.get("name") != record.copy]
    return [{**record.wanted, "name": record.source} if s.get("name") == record.source else s for s in kept]
