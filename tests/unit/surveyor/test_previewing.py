"""``pdshub-surveyor plan``: what somebody wants comes in on stdin; the store is as it was before."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pdshub.surveyor.main import main
from tests.unit.archive.archive_support import build
from tests.unit.surveyor.support import Bench, needs_mkfs, view

pytestmark = needs_mkfs


class Stdin:
    def __init__(self, raw: bytes) -> None:
        self.buffer = io.BytesIO(raw)


@pytest.fixture
def store(bench: Bench) -> Path:
    """Of a surveyor that has surveyed twice and is gone."""

    async def story() -> None:
        bench.put()
        await bench.turn()
        build(bench.sources / "main", {"x/data/added.dat": "added"})
        bench.put(request="again")
        await bench.turn()

    bench.run(story)
    return bench.path


def run(store: Path, monkeypatch: pytest.MonkeyPatch, sent: Any, *more: str) -> int:
    raw = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    monkeypatch.setattr(sys, "stdin", Stdin(raw))
    return main(["plan", "--store", str(store), *more])


def files(store: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in store.rglob("*") if p.is_file()}


def test_a_rule_is_tried(store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(store)
    wanted = {"name": "sbn", "spec": view(authority={"rules": [{"hide": "b/y"}]})}
    assert run(store, monkeypatch, wanted) == 0
    assert capsys.readouterr().out == (
        "removed urn:nasa:pds:y::1.0\n2 files removed\n  b/y/bundle_y.xml\n  b/y/readme.txt\n"
        "users would see 13 files, 5 directories, 994 bytes\n"
    )
    assert run(store, monkeypatch, wanted, "--output", "json", "--limit", "1") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["against"] == answer["generation"] and answer["files"]["removed"]["paths"] == ["b/y/bundle_y.xml"]
    assert files(store) == before and list((store / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"{", "the view is no JSON"),
        (b"[" * 100_000, "the view is no JSON"),
        (b" " * (5 << 20), "more than 4 MB"),
        ({"name": "sbn", "spec": {**view(), "surprise": 1}}, "spec.surprise: "),
        ({"name": "other", "spec": view()}, "this is the surveyor of sbn"),
        ({"name": "sbn", "spec": view(form="live")}, "the whole view is live"),
        (
            {"name": "sbn", "spec": {**view(), "sources": [
                {"name": "main", "local": {"path": "/elsewhere"}}, view()["sources"][1]]}},
            "main is another place than the one that was surveyed: only a survey can tell",
        ),
        (
            {"name": "sbn", "spec": {**view(), "sources": [*view()["sources"], {"name": "c", "local": {"path": "/c"}}],
                                     "tree": [{"path": "c", "layers": [{"source": "c"}]}]}},
            "c:. was not read by the last survey: only a survey can tell",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sent: Any, words: str
) -> None:
    before = files(store)
    assert run(store, monkeypatch, sent) == 1
    assert words in capsys.readouterr().err
    assert files(store) == before


def test_before_the_first_survey(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, monkeypatch, {"name": "sbn", "spec": view()}) == 1
    assert "none yet" in capsys.readouterr().err
