"""What the store keeps and drops, and what is left after a crash."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pdshub.files import partial
from pdshub.surveyor import answers
from pdshub.surveyor.store import Store, StoreError
from tests.unit.surveyor.support import Bench, add, names, needs_mkfs

pytestmark = needs_mkfs


def test_generations_are_dropped_but_never_one_that_is_held(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        made = [names(await bench.turn())[0]]
        bench.put(keep=[made[0]])
        for n in range(4):
            add(bench, n)
            made.append(names(await bench.turn(after=3601))[0])
        assert names(answers.state(bench.surveyor).body()) == [made[4], made[3], made[0]]
        stored = {p.name for p in (bench.path / "images").iterdir()}
        assert stored == {f"{i}.zst" for e in bench.surveyor.entries for i in e.images}
        bench.put(pin=made[3][7:30])  # the pin holds it without the operator's word
        add(bench, 9)
        add(bench, 10)
        state = await bench.turn(after=3601)
        assert names(state)[1:] == [made[4], made[3]]

    bench.run(run)


def _half_generation(path: Path, whole: Path) -> None:
    shutil.copytree(whole, path / "generations" / ("b" * 64))
    (path / "generations" / ("b" * 64) / "facts.json").unlink()


def _wrong_name(path: Path, whole: Path) -> None:
    shutil.copytree(whole, path / "generations" / ("c" * 64))


def _half_file(path: Path, whole: Path) -> None:
    partial(whole / "facts.json").write_text("{")


def _left_work(path: Path, whole: Path) -> None:
    (path / "work" / "survey-x" / "images").mkdir(parents=True)
    (path / "work" / "survey-x" / "images" / "x.zst").write_text("x")


def _lonely_image(path: Path, whole: Path) -> None:
    (path / "images" / f"{'d' * 64}.zst").write_text("x")


def _broken_state(path: Path, whole: Path) -> None:
    (path / "state.json").write_text('{"finished": ')


def _strange_state(path: Path, whole: Path) -> None:
    (path / "state.json").write_text('{"finished": "yesterday", "approved": 3, "failures": null}')


@pytest.mark.parametrize(
    "damage",
    [_half_generation, _wrong_name, _half_file, _left_work, _lonely_image, _broken_state, _strange_state],
)
def test_what_a_crash_leaves_is_removed(bench: Bench, damage: Callable[[Path, Path], None]) -> None:
    async def run() -> None:
        bench.put()
        before = names(await bench.turn())
        files = {p for p in bench.path.rglob("*") if "state" not in p.name}
        damage(bench.path, bench.surveyor.entries[0].directory)
        await bench.restart()
        assert names(answers.state(bench.surveyor).body()) == before
        assert {p for p in bench.path.rglob("*") if "state" not in p.name} == files
        add(bench)
        assert len((await bench.turn(after=3601))["generations"]) == 2

    bench.run(run)


def test_a_missing_image_makes_the_generation_anew(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        before = names(await bench.turn())
        for image in (bench.path / "images").iterdir():
            image.unlink()
        await bench.restart()
        assert names(answers.state(bench.surveyor).body()) == []
        assert names(await bench.turn()) == before

    bench.run(run)


def test_one_surveyor_a_store(bench: Bench) -> None:
    with pytest.raises(StoreError, match="another surveyor"):
        Store(bench.path).open()
