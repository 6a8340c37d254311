"""Which generation users see: a pure and total decision, from the view's spec and what its surveyor keeps.

What is released changes only here. A surveyor that is away, a pin that means nothing, an empty store: in doubt users
keep what they have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pdshub.api.generation import (
    Candidate,
    Changes,
    Counts,
    FindingCounts,
    Gap,
    ReleasedGeneration,
    Travelling,
)
from pdshub.api.view import ArchiveViewSpec
from pdshub.archive.guard import lost_percent
from pdshub.generation_id import named, short
from pdshub.reconcile.view import gaps


@dataclass(frozen=True)
class Kept:
    """A generation in the surveyor's store."""

    name: str
    as_of: str = ""
    counts: Counts = field(default_factory=Counts)
    findings: FindingCounts = field(default_factory=FindingCounts)
    accepted: bool = True
    """The surveyor's guard: not fewer files than before, beyond the threshold."""
    previous: str = ""
    """The generation that ``changes`` compares with."""
    changes: Changes = field(default_factory=Changes)
    gaps: tuple[Gap, ...] = ()
    """Layers of the tree that it lacks."""
    content: Travelling | None = None
    """Files that travel with it."""


@dataclass(frozen=True)
class Verdict:
    """What users see from now on, what waits, and the Released condition."""

    released: ReleasedGeneration | None
    candidate: Candidate | None
    settled: bool | None
    """Whether users see the newest; None: not known, or nothing to see yet."""
    reason: str
    message: str


_NO_NOTES: Mapping[str, str] = MappingProxyType({})


def decide(
    spec: ArchiveViewSpec,
    released: ReleasedGeneration | None,
    kept: tuple[Kept, ...] | None,
    before: Candidate | None = None,
    notes: Mapping[str, str] = _NO_NOTES,
) -> Verdict:
    """The verdict. ``kept`` newest first, None while the surveyor is away; ``before`` is the candidate so far.

    ``notes``: what is known of who decided and why, by kind of decision (Pinned, Rejected), for the messages.
    """
    if kept is None:
        return _away(spec, released, before)
    if released is not None:
        released = _refreshed(released, kept)
    if spec.pin:
        return _pinned(spec.pin, released, kept, notes)
    newer = _newer(released, kept)
    while chosen := next((item for item in _open(spec, newer) if _may(spec, released, item)), None):
        # again: what follows an accepted loss is measured by it
        released, newer = _as_released(chosen), newer[: newer.index(chosen)]
    if released is None and not kept:
        return Verdict(None, None, None, "NoGeneration", "no survey has finished yet: users see the sources live")
    if not newer and released is not None:
        return Verdict(released, None, True, "Newest", f"users see {_words(released)}")
    if named(spec.rejected, newer[0].name):
        return _rejected(released, newer[0], notes)
    return _waiting(spec, released, newer[0])


def _open(spec: ArchiveViewSpec, newer: tuple[Kept, ...]) -> list[Kept]:
    """Those that may be released. Whoever rejects one wants what users have, and no older one in its place."""
    found = list[Kept]()
    refused = False
    for item in newer:
        mine = named(spec.rejected, item.name)
        refused = refused or mine
        if not refused or (named(spec.approved, item.name) and not mine):
            found.append(item)
    return found


def _may(spec: ArchiveViewSpec, released: ReleasedGeneration | None, item: Kept) -> bool:
    """Whether a newer generation may be shown."""
    return named(spec.approved, item.name) or (
        spec.release == "auto" and not _shrinks(spec, released, item) and not _lacks(released, item)
    )


def _shrinks(spec: ArchiveViewSpec, released: ReleasedGeneration | None, item: Kept) -> bool:
    """Compared with what users see: the surveyor compares with its last generation, which may be a refused one."""
    if released is None:
        return not item.accepted
    threshold = spec.authority.shrink_threshold_percent
    return lost_percent(released.counts.files, item.counts.files) > threshold


def _lacks(released: ReleasedGeneration | None, item: Kept) -> bool:
    """Whether an entry or a layer is missing that users do not lack already: that is no whole archive."""
    return gaps.new(item.gaps, released.gaps if released else ())


def _newer(released: ReleasedGeneration | None, kept: tuple[Kept, ...]) -> tuple[Kept, ...]:
    names = [item.name for item in kept]
    return kept[: names.index(released.name)] if released is not None and released.name in names else kept


def _as_released(item: Kept) -> ReleasedGeneration:
    return ReleasedGeneration(
        name=item.name,
        short=short(item.name),
        as_of=item.as_of,
        counts=item.counts,
        findings=item.findings,
        gaps=list(item.gaps),
        content=item.content,
    )


def _refreshed(released: ReleasedGeneration, kept: tuple[Kept, ...]) -> ReleasedGeneration:
    """The audit adds findings to a generation long after its release, and its content follows it."""
    return next((_as_released(item) for item in kept if item.name == released.name), released)


def _words(released: ReleasedGeneration) -> str:
    as_of = f" as of {released.as_of}" if released.as_of else ""
    return f"generation {short(released.name)}{as_of}, {released.counts.files} files"


def _waiting(spec: ArchiveViewSpec, released: ReleasedGeneration | None, item: Kept) -> Verdict:
    """The newest one is not shown: somebody has to decide."""
    seen = _seen(released)
    lacks = gaps.describe(spec, item.gaps)
    how = f"to release it set spec.approved to {short(item.name)} (kubectl pdshub archive approve)"
    if _shrinks(spec, released, item):
        reason = "Shrunk"
        lost = lost_percent(released.counts.files, item.counts.files) if released else 0.0
        share = f"{lost:.1f} % of the files that users see" if released else "many files that an earlier one had"
        what = f"generation {short(item.name)} lacks {share}: look whether a source is empty or not mounted"
    elif _lacks(released, item):
        reason = gaps.reason(item.gaps)
        what = f"generation {short(item.name)} is not the whole archive"
        how = f"where that is meant, set spec.approved to {short(item.name)} (kubectl pdshub archive approve)"
    else:
        reason = "WaitsForApproval"
        what = f"generation {short(item.name)} waits for approval"
    if lacks:
        what = f"{what}: {lacks}"
    candidate = Candidate(
        name=item.name,
        as_of=item.as_of,
        reason=reason,
        message=f"{what}; {how}",
        counts=item.counts,
        against=item.previous,
        changes=item.changes,
        gaps=list(item.gaps),
    )
    return Verdict(released, candidate, False, reason, f"{what}; {how}. Users see {seen}")


def _seen(released: ReleasedGeneration | None) -> str:
    return _words(released) if released else "the sources live"


def _rejected(released: ReleasedGeneration | None, item: Kept, notes: Mapping[str, str]) -> Verdict:
    """The newest one is not wanted: nothing waits until there is another."""
    said = notes.get("Rejected", "")
    what = f"generation {short(item.name)} is rejected{said}: it waits for no decision, what follows it will"
    return Verdict(released, None, False, "Rejected", f"{what}. Users see {_seen(released)}")


def _pinned(pin: str, released: ReleasedGeneration | None, kept: tuple[Kept, ...], notes: Mapping[str, str]) -> Verdict:
    found = [item for item in kept if named(pin, item.name)]
    seen, by = f"users see {_seen(released)}", notes.get("Pinned", "")
    if len(found) == 1:
        shown = _as_released(found[0])
        newer = [item.name for item in kept].index(shown.name)
        more = f"; {newer} newer {'is' if newer == 1 else 'are'} kept" if newer else ""
        message = f"the view is pinned at {_words(shown)}{by}{more}. Take spec.pin away to follow releases again"
        return Verdict(shown, None, not newer, "Pinned", message)
    if not found and released is not None and named(pin, released.name):
        # the store was lost: nodes still have it
        message = f"the view is pinned at {_words(released)}{by}, which the surveyor no longer keeps"
        return Verdict(released, None, False, "Pinned", message)
    known = ", ".join(short(item.name) for item in kept[:10]) or "none"
    what = f"spec.pin {short(pin)} is no generation that is kept" if not found else f"spec.pin {pin} means several"
    return Verdict(released, None, False, "PinUnknown", f"{what} (kept: {known}): correct it. Meanwhile {seen}")


def _away(spec: ArchiveViewSpec, released: ReleasedGeneration | None, before: Candidate | None) -> Verdict:
    """Nothing is released and nothing is taken back."""
    if released is None:
        return Verdict(None, before, None, "SurveyorAway", "users see the sources live until a surveyor answers")
    if spec.pin and not named(spec.pin, released.name):
        message = f"spec.pin takes effect when the surveyor answers again. Meanwhile users see {_words(released)}"
        return Verdict(released, before, False, "PinWaits", message)
    return Verdict(released, before, None, "SurveyorAway", f"users see {_words(released)}")
