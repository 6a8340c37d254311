"""Damage or delivery: the decision for one file, what is said of many, and the proof's verdict with both."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from pdshub import rfc3339
from pdshub.node.health import delivery
from pdshub.node.health.delivery import Found, is_delivery
from pdshub.node.health.integrity import Proof, Prover, judge
from pdshub.node.health.published import Subject
from pdshub.node.health.sample import Known
from pdshub.node.spec import View

S = 10**9
NOON = 1_800_000_000 * S  # a moment of the NAS's clock, at which the survey's generation was as recorded
HOUR = 3600 * S
#: Written at 10, renamed into place at 11; its directory and the one above it changed then, too.
KNOWN = Known(
    "x/data/f", 5, "sha256", "0" * 64, "survey", "main", "data/f", "urn:nasa:pds:x::1.0",
    NOON - 2 * HOUR, NOON - HOUR, ((NOON - HOUR, NOON - HOUR), (NOON - 9 * HOUR, NOON - 9 * HOUR)),
)  # fmt: skip
OF_BEFORE = Known("x/data/f", 5, "sha256", "0" * 64)
WITHOUT_CTIME = replace(KNOWN, ctime=None, above=())
NEVER, WITHIN = 0.0, 3720.0


def file(mtime: int = KNOWN.mtime, ctime: int = NOON - HOUR, size: int = 5) -> Found:
    return Found(mtime, ctime, size)


def folder(mtime: int = NOON - HOUR, ctime: int = NOON - HOUR, level: int = 0) -> Found:
    return Found(mtime, ctime, None, level)


@pytest.mark.parametrize(
    ("case", "known", "now", "seconds", "expected"),
    [
        # somebody wrote: whatever way he took, one of the times is another
        ("overwritten in place", KNOWN, file(NOON + 1, NOON + 1), NEVER, True),
        ("another size, overwritten", KNOWN, file(NOON + 1, NOON + 1, 9), NEVER, True),
        ("rsync -t: modified years ago, changed now", KNOWN, file(NOON - 99999 * HOUR, NOON + 1), NEVER, True),
        ("rsync -t, and a server without a time of change", KNOWN, file(NOON - 99999 * HOUR, NOON - HOUR), NEVER, True),
        ("modified in the future", KNOWN, file(NOON + 99999 * HOUR, NOON - HOUR), NEVER, True),
        ("the older version put back", KNOWN, file(NOON - 3 * HOUR, NOON + 1), NEVER, True),
        ("size and modification as before, changed now", KNOWN, file(ctime=NOON + 1), NEVER, True),
        ("another size, modification as before, changed now", KNOWN, file(ctime=NOON + 1, size=9), NEVER, True),
        # nobody did
        ("other bytes", KNOWN, file(), NEVER, False),
        ("another size, and no time says so", KNOWN, file(size=9), NEVER, False),
        ("the time of change is older", KNOWN, file(ctime=NOON - 2 * HOUR), NEVER, False),
        # the next generation has noted the time of that change and still differs
        ("still so in a newer generation", replace(KNOWN, ctime=NOON + 1), file(ctime=NOON + 1), NEVER, False),
        ("changed once more since", replace(KNOWN, ctime=NOON + 1), file(ctime=NOON + 2), NEVER, True),
        # a survey goes by size and time of modification
        ("waits for its survey, long", KNOWN, file(NOON + 1, NOON + 1), 1e9, True),
        ("no survey will see it: within the time of a survey", KNOWN, file(ctime=NOON + 1), WITHIN, True),
        ("no survey will see it: no longer", KNOWN, file(ctime=NOON + 1), WITHIN + 1, False),
        # gone: what is left of its path tells
        ("removed", KNOWN, folder(NOON + 1, NOON + 1), NEVER, True),
        ("removed, then rsync -t set the directory's time", KNOWN, folder(NOON - HOUR, NOON + 1), NEVER, True),
        ("removed, the directory's time set to another", KNOWN, folder(NOON - 5 * HOUR, NOON - HOUR), NEVER, True),
        ("removed with its directory", KNOWN, folder(NOON + 1, NOON + 1, 1), NEVER, True),
        ("gone, and nobody changed the directory", KNOWN, folder(), NEVER, False),
        ("gone with its directory, unchanged above", KNOWN, folder(NOON - 9 * HOUR, NOON - 9 * HOUR, 1), NEVER, False),
        ("gone, higher than was noted", KNOWN, folder(NOON + 1, NOON + 1, 2), NEVER, False),
        # samples of surveyors of before
        ("no source is known: as ever", OF_BEFORE, None, NEVER, False),
        ("no time of change is known, modified", WITHOUT_CTIME, file(NOON + 1, NOON + 1), NEVER, True),
        ("no time of change is known, not modified", WITHOUT_CTIME, file(), NEVER, False),
        ("no directories are known", WITHOUT_CTIME, folder(NOON + 1, NOON + 1), NEVER, False),
    ],
)
def test_delivery_or_damage(case: str, known: Known, now: Found | None, seconds: float, expected: bool) -> None:
    assert is_delivery(known, now, seconds, WITHIN) is expected, case


OTHER = replace(KNOWN, path="x/data/g", at="data/g")
ELSEWHERE = replace(KNOWN, path="y/h", at="h", dataset="pds3:Y")
SUBJECT = Subject("sbn", "sbn", {"/t1": ("sbn",)}, "sha256:" + "ab" * 32, (KNOWN, OTHER, ELSEWHERE), settle=120)
SAME = {known.path: "same" for known in SUBJECT.sample}
REFUSED = dict.fromkeys(("create", "open"), "EROFS")
NEW = {"size": 5, "mtime": NOON + S, "ctime": NOON + S}
NEWER = {"size": 9, "mtime": NOON + 7 * S, "ctime": NOON + 7 * S}
UNTOUCHED = {"size": 5, "mtime": KNOWN.mtime, "ctime": KNOWN.ctime}
F, G, H = "x/data/f", "x/data/g", "y/h"


def verdict(words: dict[str, str], sources: dict[str, Any], tried: dict[str, str] = REFUSED, after: int = 60) -> Proof:
    rows = [{"target": "/t1", "at": "sbn", "readOnly": True, "actions": tried}]
    answer = {"identity": {}, "tried": rows, "files": {"words": {**SAME, **words}, "bytes": 3, "sources": sources}}
    return judge(SUBJECT, answer, "2027-01-15T08:01:00Z", 1.0, {}, NOON / S + after)


@pytest.mark.parametrize(
    ("words", "sources", "tried", "result", "says"),
    [
        ({F: "bytes"}, {F: NEW}, {}, "changing",
         "changed on the NAS since the survey: urn:nasa:pds:x::1.0 since 2027-01-15T08:00:01Z (1 file, x/data/f; "
         "settles 2027-01-15T08:02:01Z if no more comes); the next generation takes it up"),
        ({F: "size", G: "stale"}, {F: NEWER, G: NEW}, {}, "changing",
         "urn:nasa:pds:x::1.0 since 2027-01-15T08:00:01Z (2 files, x/data/f; settles 2027-01-15T08:02:07Z if"),
        ({F: "size", H: "gone"}, {F: NEWER, H: {"level": 0, "mtime": NOON + S, "ctime": NOON + S}}, {}, "changing",
         "pds3:Y since 2027-01-15T08:00:01Z (1 file, y/h; settles 2027-01-15T08:02:01Z if no more comes), urn:na"),
        ({F: "bytes"}, {F: UNTOUCHED}, {}, "violated",
         "1 file of 3 sampled: x/data/f has other bytes, and the times on the NAS are those of the survey"),
        ({F: "size"}, {}, {}, "violated", "1 file of 3 sampled: x/data/f has another size"),
        # damage is damage, also beside a delivery; both are said
        ({F: "bytes", G: "size"}, {F: UNTOUCHED, G: NEWER}, {}, "violated", "1 file of 3 sampled: x/data/f has other"),
        ({F: "bytes", G: "size"}, {F: UNTOUCHED, G: NEWER}, {}, "violated", "; changed on the NAS since the survey: "),
        # whoever could write was able to, whatever else there is
        ({F: "bytes"}, {F: NEW}, {"open": "succeeded"}, "violated", "a user could write: open succeeded"),
        ({F: "bytes"}, {F: NEW}, {"open": "ENOENT"}, "violated", "should have been refused with EROFS"),
        # not all is known
        ({F: "bytes", G: "EIO"}, {F: NEW, G: UNTOUCHED}, {}, "incomplete", "1 of 3 files were not read (EIO); changed"),
        ({F: "bytes"}, {F: {"error": "ETIMEDOUT"}}, {}, "incomplete", "1 of 3 files were not read (ETIMEDOUT)"),
    ],
)  # fmt: skip
def test_verdict(words: dict[str, str], sources: dict[str, Any], tried: dict[str, str], result: str, says: str) -> None:
    found = verdict(words, sources, {**REFUSED, **tried})
    assert (found.result, found.ok) == (result, False)
    assert says in found.message
    assert found.unwritable is not any(REFUSED[action] != outcome for action, outcome in tried.items())
    assert found.files["changing"] == sum(
        word in delivery.DIFFERENT and sources.get(path, {}).get("ctime", 0) > NOON for path, word in words.items()
    )


def test_what_has_settled_says_so() -> None:
    assert "(1 file, x/data/f; has settled)" in verdict({F: "bytes"}, {F: NEW}, after=122).message


def test_many_datasets_are_counted() -> None:
    sample = tuple(replace(KNOWN, path=f"{n}", dataset=f"d{n}" if n else "") for n in range(5))
    changing = {known.path: Found(NOON, NOON + n * S, 1) for n, known in enumerate(sample)}
    found = delivery.deliveries(sample, changing, 60)
    assert [one.dataset for one in found] == [delivery.NO_DATASET, "d1", "d2", "d3", "d4"]
    text = delivery.told(found, 0)
    assert "d2 since" in text and "d3" not in text and " and 2 datasets more; " in text


def test_impossible_times_are_told() -> None:
    for time in (-(1 << 63) + 1, (1 << 63) - 1):
        assert delivery.told(delivery.deliveries([KNOWN], {F: Found(0, time, 1)}, 0), 0)
    assert rfc3339.for_people(1e30) == "an impossible time"


class Proofs(Prover):
    """Proofs of one file whose source says what it is told to."""

    now: dict[str, Any] = NEW
    word = "bytes"

    async def _ask(self, subject: Subject, targets: Any, sample: Any) -> Any:
        rows = [{"target": "/t1", "at": "sbn", "readOnly": True, "actions": REFUSED}]
        files = {"words": {**SAME, F: self.word}, "bytes": 0, "sources": {} if self.word == "same" else {F: self.now}}
        return {"identity": {}, "tried": rows, "files": files}


def test_what_no_survey_will_see_is_damage_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is the node's own, and begins anew when the file is found in another state."""
    clock, prover = 0.0, Proofs(1, again=0)
    monkeypatch.setattr("pdshub.node.health.integrity.time.monotonic", lambda: clock)
    subject = replace(SUBJECT, survey_within=3720)

    def proven(at: float, ctime: int, word: str = "bytes", reachable: bool = True) -> str:
        nonlocal clock
        clock, prover.word, prover.now = at, word, {**UNTOUCHED, "ctime": ctime}
        return asyncio.run(prover.prove(replace(subject, reachable=reachable))).result

    assert proven(0, NOON + 1) == proven(3720, NOON + 1) == "changing"
    assert proven(3721, NOON + 1) == "violated"
    assert proven(4000, NOON + 2) == proven(7720, NOON + 2) == "changing"
    assert proven(7721, NOON + 2, "same") == "intact"
    assert proven(9000, NOON + 2) == "changing"
    proven(10000, NOON + 2, reachable=False)
    assert proven(12721, NOON + 2) == "violated", "a time without the source is no news of the file"
    prover.forget(set())
    assert proven(12722, NOON + 2) == "changing"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, (120, 3720)),
        ({"authority": {"settleSeconds": 0}}, (0, 3600)),
        ({"authority": {"settleSeconds": 60}, "survey": {"intervalSeconds": 600}}, (60, 660)),
        (None, (120, 3720)),
        ({"authority": {"settleSeconds": "soon"}, "survey": {"intervalSeconds": 10**400}}, (120, 3720)),
        ({"authority": {"settleSeconds": -1}, "survey": []}, (120, 3720)),
        ({"authority": {"settleSeconds": 60, "newer": {"field": 1}}, "survey": None}, (60, 3660)),
    ],
)
def test_the_times_of_surveys_are_the_views(spec: Any, expected: tuple[float, float]) -> None:
    assert View("v", raw={"spec": spec}).survey_seconds == expected
    assert (Subject("v", "v", {}).settle, Subject("v", "v", {}).survey_within) == (120, 3720)
