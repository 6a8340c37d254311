"""Which generation users see: the whole decision as a table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdshub.api.generation import Candidate, Counts, FindingCounts, Gap, ReleasedGeneration
from pdshub.api.view import ArchiveViewSpec
from pdshub.archive.guard import lost_percent
from pdshub.generation_id import named, short
from pdshub.reconcile.view.gaps import new
from pdshub.reconcile.view.generations import Kept, decide


def name(letter: str) -> str:
    return "sha256:" + letter * 64


def kept(letter: str, files: int = 100, accepted: bool = True, gaps: tuple[Gap, ...] = ()) -> Kept:
    as_of = f"2026-01-0{letters.index(letter) + 1}"
    return Kept(name(letter), as_of, Counts(files=files), accepted=accepted, gaps=gaps)


letters = "abcde"


def shown(letter: str, files: int = 100, gaps: tuple[Gap, ...] = ()) -> ReleasedGeneration:
    return ReleasedGeneration(name=name(letter), counts=Counts(files=files), gaps=list(gaps))


def gap(entry: str = "pds4", found: str = "missing", nothing: bool = True, path: str = "pds44") -> Gap:
    return Gap(entry=entry, source="main", path=path, found=found, nothing=nothing)


def spec(**fields: Any) -> ArchiveViewSpec:
    return ArchiveViewSpec.model_validate(
        {
            "sources": [{"name": "main", "nfs": {"server": "nas", "export": "/pds"}}],
            "tree": [{"path": "pds4", "layers": [{"source": "main"}]}],
            **fields,
        }
    )


AUTO: dict[str, Any] = {}
APPROVE: dict[str, Any] = {"release": "approve"}
A, B, C, D = (short(name(letter)) for letter in "abcd")
OTHER = "f" * 12
NONE, PART = (gap(),), (gap(nothing=False),)
# spec, what users see, what is kept (newest first) -> what users see, candidate and its reason, condition
CASES: list[tuple[str, dict[str, Any], Any, Any, str, tuple[str, str] | None, tuple[bool | None, str]]] = [
    ("nothing yet", AUTO, None, (), "", None, (None, "NoGeneration")),
    ("the first one", AUTO, None, (kept("a"),), "a", None, (True, "Newest")),
    ("the newest of several", AUTO, None, (kept("c"), kept("b"), kept("a")), "c", None, (True, "Newest")),
    ("nothing new", AUTO, shown("a"), (kept("a"),), "a", None, (True, "Newest")),
    ("a new one", AUTO, shown("a"), (kept("b"), kept("a")), "b", None, (True, "Newest")),
    ("older ones are history", AUTO, shown("b"), (kept("b"), kept("a")), "b", None, (True, "Newest")),
    ("within the threshold", AUTO, shown("a"), (kept("b", 80), kept("a")), "b", None, (True, "Newest")),
    ("shrunk", AUTO, shown("a"), (kept("b", 79), kept("a")), "a", ("b", "Shrunk"), (False, "Shrunk")),
    ("empty export", AUTO, shown("a"), (kept("b", 0), kept("a")), "a", ("b", "Shrunk"), (False, "Shrunk")),
    ("shrunk and accepted", {"approved": B}, shown("a"), (kept("b", 1), kept("a")), "b", None, (True, "Newest")),
    (
        "what follows an accepted loss",
        {"approved": B},
        shown("a"),
        (kept("c", 1), kept("b", 1), kept("a")),
        "c",
        None,
        (True, "Newest"),
    ),
    (
        "by and by",
        AUTO,
        shown("a"),
        (kept("c", 70), kept("b", 75, accepted=False), kept("a")),
        "a",
        ("c", "Shrunk"),
        (False, "Shrunk"),
    ),
    (
        "the one before the shrunk one",
        AUTO,
        shown("a"),
        (kept("c", 5), kept("b", 101), kept("a")),
        "b",
        ("c", "Shrunk"),
        (False, "Shrunk"),
    ),
    (
        "it came back",
        AUTO,
        shown("a"),
        (kept("c", 100), kept("b", 5, accepted=False), kept("a")),
        "c",
        None,
        (True, "Newest"),
    ),
    (
        "grown threshold accepts",
        {"authority": {"shrinkThresholdPercent": 50}},
        shown("a"),
        (kept("b", 60, accepted=False), kept("a")),
        "b",
        None,
        (True, "Newest"),
    ),
    (
        "no release yet, the guard's word",
        AUTO,
        None,
        (kept("b", 5, accepted=False),),
        "",
        ("b", "Shrunk"),
        (False, "Shrunk"),
    ),
    ("the store was lost", AUTO, shown("a"), (), "a", None, (True, "Newest")),
    ("the store was made anew", AUTO, shown("a"), (kept("b"),), "b", None, (True, "Newest")),
    ("waits", APPROVE, shown("a"), (kept("b"), kept("a")), "a", ("b", "WaitsForApproval"), (False, "WaitsForApproval")),
    ("the first waits too", APPROVE, None, (kept("a"),), "", ("a", "WaitsForApproval"), (False, "WaitsForApproval")),
    (
        "shrunk is said first",
        APPROVE,
        shown("a"),
        (kept("b", 1), kept("a")),
        "a",
        ("b", "Shrunk"),
        (False, "Shrunk"),
    ),
    ("approved", {**APPROVE, "approved": B}, shown("a"), (kept("b"), kept("a")), "b", None, (True, "Newest")),
    (
        "approved by its whole name",
        {**APPROVE, "approved": name("b")},
        shown("a"),
        (kept("b"), kept("a")),
        "b",
        None,
        (True, "Newest"),
    ),
    (
        "approved, and a newer one",
        {**APPROVE, "approved": B},
        shown("a"),
        (kept("c"), kept("b"), kept("a")),
        "b",
        ("c", "WaitsForApproval"),
        (False, "WaitsForApproval"),
    ),
    (
        "approval never leads back",
        {**APPROVE, "approved": A},
        shown("b"),
        (kept("b"), kept("a")),
        "b",
        None,
        (True, "Newest"),
    ),
    (
        "approval of something unknown",
        {**APPROVE, "approved": OTHER},
        shown("a"),
        (kept("b"), kept("a")),
        "a",
        ("b", "WaitsForApproval"),
        (False, "WaitsForApproval"),
    ),
    ("rolled back", {"pin": A}, shown("b"), (kept("b"), kept("a")), "a", None, (False, "Pinned")),
    ("pinned at the newest", {"pin": B}, shown("b"), (kept("b"), kept("a")), "b", None, (True, "Pinned")),
    ("held", {"pin": A}, shown("a"), (kept("c"), kept("b"), kept("a")), "a", None, (False, "Pinned")),
    ("pinned at a shrunk one", {"pin": B}, shown("a"), (kept("b", 1), kept("a")), "b", None, (True, "Pinned")),
    (
        "a pin needs no approval",
        {**APPROVE, "pin": B},
        shown("a"),
        (kept("b"), kept("a")),
        "b",
        None,
        (True, "Pinned"),
    ),
    ("pin and nothing shown", {"pin": A}, None, (kept("a"),), "a", None, (True, "Pinned")),
    ("pin to unknown", {"pin": OTHER}, shown("a"), (kept("b"), kept("a")), "a", None, (False, "PinUnknown")),
    ("pin to unknown, nothing shown", {"pin": OTHER}, None, (kept("b"),), "", None, (False, "PinUnknown")),
    ("pin outlives its store", {"pin": A}, shown("a"), (kept("b"),), "a", None, (False, "Pinned")),
    ("unpinned", AUTO, shown("a"), (kept("c"), kept("b"), kept("a")), "c", None, (True, "Newest")),
    (
        "unpinned, with approval",
        {**APPROVE, "approved": B},
        shown("a"),
        (kept("c"), kept("b"), kept("a")),
        "b",
        ("c", "WaitsForApproval"),
        (False, "WaitsForApproval"),
    ),
    (
        "an entry that shows nothing",
        AUTO,
        None,
        (kept("a", gaps=NONE),),
        "",
        ("a", "EntryEmpty"),
        (False, "EntryEmpty"),
    ),
    ("a layer is missing", AUTO, None, (kept("a", gaps=PART),), "", ("a", "LayerMissing"), (False, "LayerMissing")),
    (
        "an entry that shows nothing any more",
        AUTO,
        shown("a"),
        (kept("b", gaps=NONE), kept("a")),
        "a",
        ("b", "EntryEmpty"),
        (False, "EntryEmpty"),
    ),
    (
        "emptiness is said before approval",
        APPROVE,
        shown("a"),
        (kept("b", gaps=NONE), kept("a")),
        "a",
        ("b", "EntryEmpty"),
        (False, "EntryEmpty"),
    ),
    ("empty and meant", {"approved": A}, None, (kept("a", gaps=NONE),), "a", None, (True, "Newest")),
    (
        "what lacks no more follows by itself",
        AUTO,
        shown("a", gaps=NONE),
        (kept("b", gaps=NONE), kept("a", gaps=NONE)),
        "b",
        None,
        (True, "Newest"),
    ),
    (
        "a layer less shows nothing now",
        AUTO,
        shown("a", gaps=PART),
        (kept("b", gaps=NONE), kept("a", gaps=PART)),
        "a",
        ("b", "EntryEmpty"),
        (False, "EntryEmpty"),
    ),
    ("mended", AUTO, None, (kept("b"), kept("a", gaps=NONE)), "b", None, (True, "Newest")),
    (
        "what is whole, and then one that is not",
        AUTO,
        shown("a"),
        (kept("c", gaps=NONE), kept("b"), kept("a")),
        "b",
        ("c", "EntryEmpty"),
        (False, "EntryEmpty"),
    ),
    (
        "shrunk and empty",
        AUTO,
        shown("a"),
        (kept("b", 1, gaps=NONE), kept("a")),
        "a",
        ("b", "Shrunk"),
        (False, "Shrunk"),
    ),
    ("rejected", {"rejected": B}, shown("a"), (kept("b"), kept("a")), "a", None, (False, "Rejected")),
    (
        "rejected, by its whole name",
        {"rejected": name("b")},
        shown("a"),
        (kept("b"), kept("a")),
        "a",
        None,
        (False, "Rejected"),
    ),
    ("the first is rejected", {**APPROVE, "rejected": A}, None, (kept("a"),), "", None, (False, "Rejected")),
    (
        "the successor follows",
        {"rejected": B},
        shown("a"),
        (kept("c"), kept("b"), kept("a")),
        "c",
        None,
        (True, "Newest"),
    ),
    (
        "the successor waits",
        {**APPROVE, "rejected": B},
        shown("a"),
        (kept("c"), kept("b"), kept("a")),
        "a",
        ("c", "WaitsForApproval"),
        (False, "WaitsForApproval"),
    ),
    (
        "nothing older comes in its place",
        {"rejected": C},
        shown("a"),
        (kept("c"), kept("b"), kept("a")),
        "a",
        None,
        (False, "Rejected"),
    ),
    (
        "an older one that is approved does",
        {"rejected": C, "approved": B},
        shown("a"),
        (kept("c"), kept("b"), kept("a")),
        "b",
        None,
        (False, "Rejected"),
    ),
    (
        "rejected and approved in other words",
        {"rejected": B, "approved": name("b")},
        shown("a"),
        (kept("b"), kept("a")),
        "a",
        None,
        (False, "Rejected"),
    ),
    ("rejected too late", {"rejected": B}, shown("b"), (kept("b"), kept("a")), "b", None, (True, "Newest")),
    (
        "rejection of something unknown",
        {"rejected": OTHER},
        shown("a"),
        (kept("b"), kept("a")),
        "b",
        None,
        (True, "Newest"),
    ),
    ("a pin wins", {"rejected": B, "pin": B}, shown("a"), (kept("b"), kept("a")), "b", None, (True, "Pinned")),
    ("away, nothing shown", AUTO, None, None, "", None, (None, "SurveyorAway")),
    ("away", AUTO, shown("a"), None, "a", None, (None, "SurveyorAway")),
    ("away and pinned", {"pin": A}, shown("a"), None, "a", None, (None, "SurveyorAway")),
    ("away and pinned elsewhere", {"pin": B}, shown("a"), None, "a", None, (False, "PinWaits")),
]


@pytest.mark.parametrize(
    ("fields", "seen", "store", "then", "candidate", "condition"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_decide(
    fields: dict[str, Any],
    seen: ReleasedGeneration | None,
    store: tuple[Kept, ...] | None,
    then: str,
    candidate: tuple[str, str] | None,
    condition: tuple[bool | None, str],
) -> None:
    found = decide(spec(**fields), seen, store)
    assert (found.released.name if found.released else "") == (name(then) if then else "")
    waits = found.candidate
    assert (waits and (waits.name, waits.reason)) == (candidate and (name(candidate[0]), candidate[1]))
    assert (found.settled, found.reason) == condition
    assert found.message
    if waits:
        assert short(waits.name) in waits.message and "spec.approved" in waits.message


def test_a_surveyor_that_is_away_leaves_the_candidate() -> None:
    waits = Candidate(name=name("b"), reason="WaitsForApproval")
    assert decide(spec(), shown("a"), None, waits).candidate == waits


def test_the_released_one_takes_up_what_the_audit_finds() -> None:
    audited = Kept(name("a"), counts=Counts(files=100), findings=FindingCounts(warning=3))
    found = decide(spec(), shown("a"), (audited,))
    assert found.released and found.released.findings.warning == 3 and found.released.short == A


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [(0, 0, 0.0), (0, 5, 0.0), (100, 100, 0.0), (100, 50, 50.0), (4, 0, 100.0), (5, 9, 0.0)],
)
def test_lost_percent(before: int, after: int, percent: float) -> None:
    assert lost_percent(before, after) == percent


stores = st.lists(
    st.builds(kept, st.sampled_from(letters), st.integers(0, 200), st.booleans(), st.sampled_from([(), NONE, PART])),
    max_size=5,
    unique_by=lambda k: k.name,
)


@settings(max_examples=300, deadline=None)
@given(
    store=stores,
    seen=st.none() | st.builds(shown, st.sampled_from(letters), st.integers(0, 200)),
    mode=st.sampled_from(["auto", "approve"]),
    pin=st.none() | st.sampled_from([A, B, OTHER]),
    approved=st.none() | st.sampled_from([A, B, OTHER]),
    rejected=st.none() | st.sampled_from([C, D, name("a")]),
)
def test_total_stable_and_never_blank(
    store: list[Kept],
    seen: ReleasedGeneration | None,
    mode: str,
    pin: str | None,
    approved: str | None,
    rejected: str | None,
) -> None:
    """Any input has a verdict; it stands when asked again; users never lose the generation that they have."""
    # a name stands for its content: the same one never has other counts
    known = {item.name: item for item in store}
    if seen and seen.name in known:
        same = known[seen.name]
        seen = seen.model_copy(update={"counts": same.counts, "gaps": list(same.gaps)})
    wanted = spec(release=mode, pin=pin, approved=approved, rejected=rejected)
    first = decide(wanted, seen, tuple(store))
    again = decide(wanted, first.released, tuple(store))
    assert again == first
    assert first.released is not None or seen is None
    changed = first.released is not None and (seen is None or first.released.name != seen.name)
    if changed:
        assert first.released and first.released.name in [k.name for k in store]
        assert pin or approved or (mode == "auto" and first.released.name in reached(seen, store))
        assert pin or not named(rejected, first.released.name)
        had = list(seen.gaps) if seen else []
        assert pin or approved or not new(first.released.gaps, had)


def reached(seen: ReleasedGeneration | None, store: list[Kept]) -> set[str]:
    """Generations to which releases lead that lose no more than a fifth each."""
    found, counts = set[str](), [seen.counts.files] if seen else [item.counts.files for item in store if item.accepted]
    if seen is None:
        found = {item.name for item in store if item.accepted}
    while counts:
        before = counts.pop()
        for item in store:
            if item.name not in found and lost_percent(before, item.counts.files) <= 20:
                found.add(item.name)
                counts.append(item.counts.files)
    return found
