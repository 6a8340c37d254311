"""Which generation users see: a pure and total decision, from the view's spec and what its surveyor keeps.

What is released changes only here. A surveyor that is away, a pin that means nothing, an empty store: in doubt users
keep what they have.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pdshub.api.generation import SHORT, Candidate, Changes, Counts, FindingCounts, ReleasedGeneration, digits, named
from pdshub.api.view import ArchiveViewSpec


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


@dataclass(frozen=True)
class Verdict:
    """What users see from now on, what waits, and the Released condition."""

    released: ReleasedGeneration | None
    candidate: Candidate | None
    settled: bool | None
    """Whether users see the newest; None: not known, or nothing to see yet."""
    reason: str
    message: str


def short(name: str) -> str:
    """A generation as people say it."""
    return digits(name)[:SHORT]


def lost_percent(before: int, after: int) -> float:
    """The share of files that disappear."""
    return max(0.0, (before - after) * 100 / before) if before > 0 else 0.0


def decide(
    spec: ArchiveViewSpec,
    released: ReleasedGeneration | None,
    kept: tuple[Kept, ...] | None,
    before: Candidate | None = None,
) -> Verdict:
    """The verdict. ``kept`` newest first, None while the surveyor is away; ``before`` is the candidate so far."""
    if kept is None:
        return _away(spec, released, before)
    if released is not None:
        released = _refreshed(released, kept)
    if spec.pin:
        return _pinned(spec.pin, released, kept)
    newer = _newer(released, kept)
    while chosen := next((item for item in newer if _may(spec, released, item)), None):
        # again: what follows an accepted loss is measured by it
        released, newer = _as_released(chosen), newer[: newer.index(chosen)]
    if released is None:
        if not kept:
            return Verdict(None, None, None, "NoGeneration", "no survey has finished yet: users see the sources live")
        return _waiting(spec, None, kept[0])
    if not newer:
        return Verdict(released, None, True, "Newest", f"users see {_words(released)}")
    return _waiting(spec, released, newer[0])


def _may(spec: ArchiveViewSpec, released: ReleasedGeneration | None, item: Kept) -> bool:
    """Whether a newer generation may be shown."""
    return named(spec.approved, item.name) or (spec.release == "auto" and not _shrinks(spec, released, item))


def _shrinks(spec: ArchiveViewSpec, released: ReleasedGeneration | None, item: Kept) -> bool:
    """Compared with what users see: the surveyor compares with its last generation, which may be a refused one."""
    if released is None:
        return not item.accepted
    threshold = spec.authority.shrink_threshold_percent
    return lost_percent(released.counts.files, item.counts.files) > threshold


def _newer(released: ReleasedGeneration | None, kept: tuple[Kept, ...]) -> tuple[Kept, ...]:
    names = [item.name for item in kept]
    return kept[: names.index(released.name)] if released is not None and released.name in names else kept


def _as_released(item: Kept) -> ReleasedGeneration:
    return ReleasedGeneration(
        name=item.name, short=short(item.name), as_of=item.as_of, counts=item.counts, findings=item.findings
    )


def _refreshed(released: ReleasedGeneration, kept: tuple[Kept, ...]) -> ReleasedGeneration:
    """The audit adds findings to a generation long after its release."""
    return next((_as_released(item) for item in kept if item.name == released.name), released)


def _words(released: ReleasedGeneration) -> str:
    as_of = f" as of {released.as_of}" if released.as_of else ""
    return f"generation {short(released.name)}{as_of}, {released.counts.files} files"


def _waiting(spec: ArchiveViewSpec, released: ReleasedGeneration | None, item: Kept) -> Verdict:
    """The newest one is not shown: somebody has to decide."""
    seen = _words(released) if released else "the sources live"
    how = f"to release it set spec.approved to {short(item.name)} (kubectl pdshub archive approve)"
    if _shrinks(spec, released, item):
        reason, condition = "Shrink", "Shrunk"
        lost = lost_percent(released.counts.files, item.counts.files) if released else 0.0
        share = f"{lost:.1f} % of the files that users see" if released else "many files that an earlier one had"
        what = f"generation {short(item.name)} lacks {share}: look whether a source is empty or not mounted"
    else:
        reason, condition = "Approve", "WaitsForApproval"
        what = f"generation {short(item.name)} waits for approval"
    candidate = Candidate(
        name=item.name,
        as_of=item.as_of,
        reason=reason,
        message=f"{what}; {how}",
        counts=item.counts,
        changes=item.changes,
    )
    return Verdict(released, candidate, False, condition, f"{what}; {how}. Users see {seen}")


def _pinned(pin: str, released: ReleasedGeneration | None, kept: tuple[Kept, ...]) -> Verdict:
    found = [item for item in kept if named(pin, item.name)]
    seen = f"users see {_words(released)}" if released else "users see the sources live"
    if len(found) == 1:
        shown = _as_released(found[0])
        newer = [item.name for item in kept].index(shown.name)
        more = f"; {newer} newer {'is' if newer == 1 else 'are'} kept" if newer else ""
        message = f"the view is pinned at {_words(shown)}{more}. Take spec.pin away to follow releases again"
        return Verdict(shown, None, not newer, "Pinned", message)
    if not found and released is not None and named(pin, released.name):
        # the store was lost: nodes still have it
        message = f"the view is pinned at {_words(released)}, which the surveyor no longer keeps"
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
