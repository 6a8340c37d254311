"""What the surveyor says before anything is released: each entry's layers, and a comparison with the live view."""

from __future__ import annotations

import argparse
from typing import Any

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from pdshub.api.generation import LIVE
from pdshub.api.survey import Diff, State
from pdshub.archive import record
from pdshub.reconcile.view import gaps
from pdshub.surveyor import local
from pdshub.surveyor.server import Handlers
from tests.unit.archive.archive_support import build, bundle
from tests.unit.surveyor.support import Bench, body, names, needs_mkfs, view

pytestmark = needs_mkfs


def put(bench: Bench, **layers: list[str]) -> None:
    """A view with an entry for each name; layers as source:path."""
    tree = [
        {"path": path, "layers": [{"source": la.partition(":")[0], "path": la.partition(":")[2] or "."} for la in ls]}
        for path, ls in layers.items()
    ]
    bench.surveyor.put({**body(), "spec": {**view(), "tree": tree}})


def lacking(state: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Gaps of the newest generation, as the operator reads them."""
    newest = State.model_validate(state).generations[0]
    return [(gap.entry, f"{gap.source}:{gap.path}", gap.found, gap.nothing) for gap in gaps.gaps(newest.entries)]


def test_the_operator_reads_what_every_entry_lacks(bench: Bench) -> None:
    async def story() -> None:
        put(bench, a=["main:xx"], b=["extra:y", "extra:none"])
        first = await bench.turn()
        assert lacking(first) == [("a", "main:xx", "missing", True), ("b", "extra:none", "missing", False)]
        (bench.sources / "extra" / "none").mkdir()
        second = await bench.turn(after=3601)
        assert names(second) == names(first), "users see the same: it is the same generation"
        assert lacking(second) == [("a", "main:xx", "missing", True)], "and what is known of the layers is renewed"
        (bench.sources / "main" / "xx").mkdir()
        assert lacking(await bench.turn(after=3601)) == [("a", "main:xx", "empty", True)]
        put(bench, a=["main:x"], b=["extra:y"])
        assert lacking(await bench.turn()) == []

    bench.run(story)


async def asked(handlers: Handlers, path: str) -> tuple[int, Any]:
    """The answer as the operator would get it."""
    answer = await handlers.get_diff(make_mocked_request("GET", path))
    assert isinstance(answer, web.Response) and answer.text is not None
    return answer.status, Diff.model_validate_json(answer.text)


def told(bench: Bench, *line: str) -> tuple[dict[str, Any], str]:
    """The command inside the container."""
    parser = argparse.ArgumentParser()
    local.add_commands(parser.add_subparsers())
    args = parser.parse_args([line[0], "--store", str(bench.path), *line[1:]])
    answer: tuple[dict[str, Any], str] = args.local(args)
    return answer


def test_a_first_generation_is_compared_with_what_users_see_live(bench: Bench) -> None:
    """The older bundle stands first, and is what users read live; the generation shows the newer one, and hides it."""

    async def story() -> None:
        build(bench.sources / "main", {"x/dropped.dat": "of 1.0 only", "x/.nfs0000000000000001": "held open"})
        build(bench.sources / "extra", {"x/bundle_x.xml": bundle("x", "2.0") + " ", "x/more.dat": "of 2.0"})
        put(bench, data=["main", "extra"])
        state = await bench.turn()
        newest = state["generations"][0]
        assert newest["changes"]["datasetsAdded"] == newest["counts"]["datasets"] > 0
        handlers = Handlers(bench.surveyor)
        status, found = await asked(handlers, f"/diff?from={LIVE}&to={newest['name']}&wait=60")
        changes = found.counted()
        assert (status, changes.files_added, changes.datasets_added) == (200, 0, 0)
        assert changes.files_replaced == 1, "the label of the bundle"
        assert changes.datasets_removed == 2 and changes.files_removed == 13
        answer, text = told(bench, "diff", LIVE)
        assert (answer["from"], answer["to"], answer["asOf"]) == (LIVE, newest["name"], newest["asOf"])
        assert Diff.model_validate(answer) == found or Diff.model_validate(answer).counted() == changes
        assert "removed urn:nasa:pds:x::1.0" in text and "  data/x/dropped.dat" in text
        await handlers.close()

    bench.run(story)


def test_the_live_side_is_of_the_last_survey(bench: Bench) -> None:
    """A file more that the generation hides makes no other generation, but another answer."""

    async def story() -> None:
        build(bench.sources / "extra", {"x/bundle_x.xml": bundle("x", "2.0")})
        put(bench, data=["main", "extra"])
        first = await bench.turn()
        handlers = Handlers(bench.surveyor)
        path = f"/diff?from={LIVE}&to={names(first)[0]}&wait=60"
        before = (await asked(handlers, path))[1].counted().files_removed
        build(bench.sources / "main", {"x/data/one_more.dat": "hidden, too"})
        second = await bench.turn(after=3601)
        assert names(second) == names(first)
        assert (await asked(handlers, path))[1].counted().files_removed == before + 1
        await handlers.close()

    bench.run(story)


def test_what_is_not_known_any_more_is_said(bench: Bench) -> None:
    async def story() -> None:
        bench.put()
        await bench.turn()
        entry = bench.surveyor.entries[0]
        (entry.directory / record.HELD).unlink()  # a generation of an earlier version
        answer, _ = told(bench, "diff", LIVE)
        assert Diff.model_validate(answer).counted().files_removed == 0
        (entry.directory / record.FILE).unlink()
        handlers = Handlers(bench.surveyor)
        try:
            await asked(handlers, f"/diff?from={LIVE}&to={entry.name}")
        except web.HTTPNotFound as error:
            assert "is not kept" in str(error.text)
        else:
            raise AssertionError("it has an answer")
        await handlers.close()

    bench.run(story)
