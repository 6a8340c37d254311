"""An entry that shows nothing is not the whole archive: what lacks, what to do, and that nothing releases itself."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.api.generation import Gap
from pdshub.api.survey import Entry
from pdshub.api.view import ArchiveViewSpec
from pdshub.reconcile.hub import archive_state
from pdshub.reconcile.hub.facts import ArchiveState
from pdshub.reconcile.view import gaps
from tests.unit.reconcile.views import SPEC, A, B, Bench, served

Layers = list[tuple[str, str]]
# layers of one entry as found -> those that lack, whether the entry shows nothing, reason
FOUND: list[tuple[str, Layers, list[str], bool, str]] = [
    ("whole", [("a", "files"), ("b", "files")], [], False, ""),
    ("nothing is there", [("a", "missing")], ["a"], True, "EntryEmpty"),
    ("nothing is in it", [("a", "empty")], ["a"], True, "EntryEmpty"),
    ("all is still being copied", [("a", "settling")], ["a"], True, "EntryEmpty"),
    ("neither of two", [("a", "missing"), ("b", "empty")], ["a", "b"], True, "EntryEmpty"),
    ("one of two is missing", [("a", "missing"), ("b", "files")], ["a"], False, "LayerMissing"),
    ("one of two may not be read", [("a", "files"), ("b", "denied")], ["b"], False, "LayerMissing"),
    ("one of two is empty", [("a", "empty"), ("b", "files")], [], False, ""),
    ("one of two settles", [("a", "settling"), ("b", "files")], [], False, ""),
]


@pytest.mark.parametrize(("layers", "lack", "nothing", "reason"), [c[1:] for c in FOUND], ids=[c[0] for c in FOUND])
def test_what_lacks(layers: Layers, lack: list[str], nothing: bool, reason: str) -> None:
    entry = Entry.model_validate(
        {"path": "pds4", "layers": [{"source": s, "path": "x", "found": found} for s, found in layers]}
    )
    found = gaps.gaps([entry])
    assert [gap.source for gap in found] == lack
    assert all(gap.nothing is nothing for gap in found) and gaps.reason(found) == reason


def gap(found: str = "missing", path: str = "pds44", nothing: bool = True, entry: str = "pds4") -> Gap:
    return Gap(entry=entry, source="main", path=path, found=found, nothing=nothing)


PDS44: dict[str, Any] = {
    **SPEC,
    "tree": [
        {"path": "x", "layers": [{"source": "main"}]},
        {"path": "pds4/", "layers": [{"source": "main"}, {"source": "main", "path": "./pds44"}]},
    ],
}
WORDS: list[tuple[str, Gap, dict[str, Any], list[str]]] = [
    ("missing", gap(), PDS44, ["entry pds4 shows nothing", "layer main:pds44 (10.0.0.1:/pds/pds44) is no directory",
                               "correct spec.tree[1].layers[1].path, or make the directory"]),
    ("one layer", gap(nothing=False), PDS44, ["entry pds4 lacks a layer", "spec.tree[1].layers[1].path"]),
    ("empty", gap("empty"), PDS44, ["holds no file", "spec.tree[1].layers[1].path, or fill the directory"]),
    ("denied", gap("denied"), PDS44, ["may not be read", "runAs"]),
    ("settling", gap("settling"), PDS44, ["still being copied", "the next survey looks again"]),
    ("the export itself", gap(path=".", entry="x"), PDS44, ["layer main:. (10.0.0.1:/pds)", "spec.tree[0].layers[0]"]),
    ("corrected meanwhile", gap(), SPEC, ["spec.tree names it no more: the next generation is without it"]),
]  # fmt: skip


@pytest.mark.parametrize(("lacks", "spec", "says"), [c[1:] for c in WORDS], ids=[c[0] for c in WORDS])
def test_words_name_entry_layer_source_and_remedy(lacks: Gap, spec: dict[str, Any], says: list[str]) -> None:
    text = gaps.describe(ArchiveViewSpec.model_validate(spec), [lacks])
    assert all(part in text for part in says), text


def test_many_gaps_are_counted() -> None:
    text = gaps.describe(ArchiveViewSpec.model_validate(SPEC), [gap(entry=f"e{n}") for n in range(5)])
    assert text.endswith("; and 2 more") and "e2" in text and "e3" not in text


@pytest.mark.parametrize("found", ["missing", "empty"])
def test_a_first_generation_without_an_entry_waits(found: str) -> None:
    bench = Bench()
    bench.surveys.keep(A, files=0, found=found)
    bench.serve()
    assert "generation" not in bench.status, "release: auto releases no empty entry"
    candidate = bench.status["candidate"]
    assert (candidate["name"], candidate["reason"]) == (A, "EntryEmpty")
    assert candidate["gaps"] == [{"entry": "pds4", "source": "main", "path": ".", "found": found, "nothing": True}]
    assert bench.condition("Released")[:2] == ("False", "EntryEmpty")
    assert bench.condition("Ready")[:2] == ("False", "EntryEmpty"), "live it is not whole either"
    assert "spec.tree[0].layers[0].path" in bench.condition("Ready")[2]
    bench.apply({**SPEC, "approved": "a" * 12})
    bench.look()
    assert bench.status["generation"]["name"] == A, "where it is meant, an approval releases it"
    assert bench.condition("Ready")[:2] == ("False", "EntryEmpty"), "and it is still not the whole archive"
    bench.surveys.keep(B, previous=A)
    bench.look()
    assert bench.status["generation"]["name"] == B and bench.condition("Ready")[:2] == ("True", "Complete")
    assert bench.status["generation"]["gaps"] == []


def test_users_keep_what_is_whole() -> None:
    bench = served(None, A)
    bench.surveys.keep(B, previous=A, found="missing")
    bench.look()
    assert bench.status["generation"]["name"] == A and bench.condition("Ready")[0] == "True"
    assert bench.condition("Released")[:2] == ("False", "EntryEmpty")
    bench.surveys.error = "away"
    bench.long_ago(answer=1e9)
    bench.look()
    assert bench.condition("Ready")[0] == "True" and bench.status["candidate"]["reason"] == "EntryEmpty"


def test_what_still_settles_lacks_to_nobody_who_sees_the_sources() -> None:
    bench = Bench()
    bench.surveys.keep(A, found="settling")
    bench.serve()
    assert bench.condition("Released")[:2] == ("False", "EntryEmpty") and bench.condition("Ready")[0] == "True"


@pytest.mark.parametrize(
    ("reason", "says"),
    [("EntryEmpty", "whoever runs this hub"), ("LayerMissing", "whoever runs this hub"), ("NodeSilent", "come back")],
)
def test_the_hubs_pages_do_not_promise_what_does_not_come_back(reason: str, says: str) -> None:
    assert says in archive_state.notice_text(ArchiveState(False, reason, "entry pds4 shows nothing"))
