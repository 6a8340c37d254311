"""Labels that travel: read behind a generation's back, step by step, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive.content import document
from pdshub.surveyor import answers, content_runner
from pdshub.surveyor.content_runner import due
from pdshub.surveyor.store import Entry
from tests.unit.archive.archive_support import OLD, build
from tests.unit.surveyor.support import Bench, names, needs_mkfs

pytestmark = needs_mkfs
LABELS = 4


def put(bench: Bench, content: dict[str, Any] | None = None, **more: Any) -> None:
    """A view whose labels travel."""
    bench.put(survey={"content": {} if content is None else content}, **more)


async def read(bench: Bench) -> dict[str, Any]:
    """The state when nothing is left to be read."""
    await bench.surveyor.turn()
    while bench.surveyor.content_runner.busy_with():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return answers.state(bench.surveyor).body()


def packs(bench: Bench) -> set[str]:
    folder = bench.path / "packs"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_labels_of_the_newest_generation_are_read(bench: Bench) -> None:
    async def run() -> None:
        put(bench)
        first = await bench.turn()
        assert "travels" not in first["generations"][0]
        state = await read(bench)
        travels = state["generations"][0]["travels"]
        assert {k: travels[k] for k in ("complete", "files", "wantedFiles", "packs")} == {
            "complete": True, "files": LABELS, "wantedFiles": LABELS, "packs": 1,
        }  # fmt: skip
        assert {k: state["reading"][k] for k in ("state", "files", "changed", "overBudget")} == {
            "state": "done", "files": LABELS, "changed": 0, "overBudget": False,
        }  # fmt: skip
        entry = bench.surveyor.entries[0]
        assert entry.name == names(first)[0], "the name is that of the generation alone"
        assert all(bench.store.image(digest) for digest in entry.further_images)
        assert bench.store.pack(entry.content.packs[0].digest.removeprefix("sha256:"))  # type: ignore[union-attr]
        before = (bench.path / "content.db").stat().st_mtime_ns
        await read(bench)
        assert (bench.path / "content.db").stat().st_mtime_ns == before, "nothing is done twice"

    bench.run(run)


def test_nothing_travels_where_the_view_says_nothing(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        await bench.turn()
        state = await read(bench)
        assert "reading" not in state and not packs(bench) and not (bench.path / "content.db").exists()

    bench.run(run)


def test_the_next_generation_reads_what_is_new(bench: Bench) -> None:
    async def run() -> None:
        put(bench)
        await bench.turn()
        await read(bench)
        build(bench.sources / "main", {"x/data/new.xml": "<new/>"}, OLD + 5)
        put(bench, request="again")
        await bench.turn()
        state = await read(bench)
        assert state["generations"][0]["travels"]["files"] == LABELS + 1
        assert len(packs(bench)) == 2
        newest, former = (entry.content for entry in bench.surveyor.entries)
        assert newest and former and set(former.packs) < set(newest.packs), "packs are shared"

    bench.run(run)


def test_what_users_have_is_read_before_what_they_may_get(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        (first,) = names(await bench.turn())
        build(bench.sources / "main", {"x/data/new.xml": "<new/>"}, OLD + 5)
        bench.put(request="again", keep=[first])
        await bench.turn()
        put(bench, request="again", keep=[first])
        await bench.surveyor.turn()
        assert bench.surveyor.content_runner.busy_with() == [first]
        state = await read(bench)
        assert [one["travels"]["files"] for one in state["generations"]] == [LABELS + 1, LABELS]

    bench.run(run)


def test_rules_that_change_are_taken_up(bench: Bench) -> None:
    async def run() -> None:
        put(bench, {"exclude": ["b/**"]})
        await bench.turn()
        assert (await read(bench))["generations"][0]["travels"]["files"] == LABELS - 1
        put(bench, {"maxFileSize": "100"})
        state = await read(bench)
        assert state["generations"][0]["travels"]["complete"] and state["reading"]["files"] == 14
        put(bench, {"labels": False})
        state = await read(bench)
        assert state["generations"][0]["travels"]["files"] == 0, "and taken back"

    bench.run(run)


@pytest.mark.parametrize("when", ["when all is read", "in a step"])
def test_what_is_taken_back_leaves_nothing(bench: Bench, when: str) -> None:
    async def run() -> None:
        put(bench)
        await bench.turn()
        if when == "in a step":
            await bench.surveyor.turn()
            assert bench.surveyor.content_runner.busy_with()
        else:
            await read(bench)
        bench.put()
        state = await read(bench)
        state = await read(bench)
        assert "reading" not in state and "travels" not in state["generations"][0]
        assert not packs(bench) and not list(bench.path.glob("content.db*"))
        assert {path.name for path in (bench.path / "images").iterdir()} == {
            f"{image}.zst" for entry in bench.surveyor.entries for image in entry.images
        }
        put(bench)
        assert (await read(bench))["generations"][0]["travels"]["files"] == LABELS, "and it can be had again"

    bench.run(run)


def test_beyond_the_budget_is_said(bench: Bench) -> None:
    async def run() -> None:
        put(bench, {"budget": "0"})
        await bench.turn()
        state = await read(bench)
        assert state["reading"]["overBudget"] and "travels" not in state["generations"][0]

    bench.run(run)


def test_what_goes_away_is_counted_and_the_next_has_it(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        await bench.turn()
        (bench.sources / "main/x/data/p.xml").write_text("changed since")
        (bench.sources / "extra/y/bundle_y.xml").unlink()
        put(bench)
        state = await read(bench)
        assert {k: state["reading"][k] for k in ("changed", "unreadable", "files")} == {
            "changed": 1, "unreadable": 1, "files": LABELS - 2,
        }  # fmt: skip
        assert not state["generations"][0]["travels"]["complete"]

    bench.run(run)


def test_a_generation_that_is_dropped_takes_its_packs_along(bench: Bench) -> None:
    async def run() -> None:
        put(bench)
        await bench.turn()
        await read(bench)
        former = packs(bench)
        for number in range(3):
            for path in (bench.sources / "main/x").rglob("*.xml"):
                path.write_text(path.read_text() + f"<!-- {number} -->")
                os.utime(path, (OLD + number, OLD + number))
            put(bench, request=f"again {number}")
            await bench.turn()
            await read(bench)
        assert len(bench.surveyor.entries) == 2
        assert not former & packs(bench) and packs(bench)
        kept = {one.digest for entry in bench.surveyor.entries if entry.content for one in entry.content.packs}
        assert {path.removesuffix(".tar.zst") for path in packs(bench)} >= {d.removeprefix("sha256:") for d in kept}
        images = {path.name.removesuffix(".zst") for path in (bench.path / "images").iterdir()}
        assert images == {one for entry in bench.surveyor.entries for one in (*entry.images, *entry.further_images)}

    bench.run(run)


KILLED: dict[str, Callable[[Bench], Any]] = {
    "in a step": lambda b: None,
    "and the memory was lost": lambda b: (b.path / "content.db").unlink(missing_ok=True),
    "and the packs were lost": lambda b: [path.unlink() for path in (b.path / "packs").glob("*")],
    "and the document was cut": lambda b: [os.truncate(p, 9) for p in b.path.glob("generations/*/content.json")],
}


@pytest.mark.parametrize("lost", KILLED.values(), ids=KILLED)
def test_the_next_life_goes_on(bench: Bench, lost: Callable[[Bench], Any]) -> None:
    async def run() -> None:
        put(bench)
        await bench.turn()
        await bench.surveyor.turn()
        await bench.restart()  # in mid-step
        await read(bench)
        await bench.close()
        lost(bench)
        bench.start()
        build(bench.sources / "main", {"x/data/new.xml": "<new/>"}, OLD + 5)
        put(bench, request="again")
        await bench.turn()
        state = await read(bench)
        assert state["generations"][0]["travels"]["files"] == LABELS + 1
        assert state["generations"][0]["travels"]["complete"]

    bench.run(run)


def test_a_step_that_fails_is_said_and_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        put(bench)
        await bench.turn()
        (bench.path / "packs").write_text("in the way")
        state = await read(bench)
        assert state["reading"]["state"] == "failed" and state["reading"]["failures"] == 1
        assert "packs" in state["reading"]["message"]
        (bench.path / "packs").unlink()
        assert (await read(bench))["reading"]["state"] == "failed", "not at once"
        await bench.turn(after=content_runner.RETRY_SECONDS)  # which is time for a survey, too
        assert (await read(bench))["reading"]["state"] == "done"

    bench.run(run)


def _entry(word: str) -> Entry:
    return Entry(word, Path(), {}, {"sequence": 1}, {})


DUE: dict[str, tuple[str, list[str], dict[str, str], str]] = {
    "nothing is kept": ("", [], {}, ""),
    "the newest": ("ab", [], {}, "a"),
    "it is done": ("ab", [], {"a": "rules"}, ""),
    "done by other rules": ("ab", [], {"a": "others"}, "a"),
    "what is shown first": ("abc", ["c"], {}, "c"),
    "then the newest": ("abc", ["c"], {"c": "rules"}, "a"),
    "never one that nobody has or gets": ("abc", ["c"], {"c": "rules", "a": "rules"}, ""),
}


@pytest.mark.parametrize(("entries", "keep", "done", "expected"), DUE.values(), ids=DUE)
def test_whose_turn_it_is(entries: str, keep: list[str], done: dict[str, str], expected: str) -> None:
    found = due([_entry(word) for word in entries], keep, done, "rules")
    assert (found.name if found else "") == expected


def test_a_document_of_another_digest_counts_as_none(bench: Bench) -> None:
    async def run() -> None:
        put(bench)
        await bench.turn()
        await read(bench)
        path = bench.surveyor.entries[0].directory / document.FILE
        path.write_text(json.dumps({**json.loads(path.read_text()), "digest": "sha256:" + "0" * 64}))
        bench.surveyor.look_again()
        assert bench.surveyor.entries[0].content is None

    bench.run(run)
