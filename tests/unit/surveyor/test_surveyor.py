"""The surveyor over small real archives: what a turn makes of what it finds, and what is left after a crash."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pdshub.api.generation import digits
from pdshub.archive import catalog, manifest
from pdshub.archive.catalog import Image
from pdshub.files import partial
from pdshub.surveyor import answers
from pdshub.surveyor.jobs import Job, JobError
from pdshub.surveyor.store import Store, StoreError
from pdshub.surveyor.wish import WishError
from tests.unit.archive.archive_support import OLD, build
from tests.unit.surveyor.support import MD5_HELLO, Bench, body, needs_mkfs

pytestmark = needs_mkfs


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def names(state: dict[str, Any]) -> list[str]:
    return [g["name"] for g in state["generations"]]


def add(bench: Bench, number: int = 1) -> None:
    build(bench.sources / "main", {f"x/data/new{number}.dat": "new"})


def test_a_generation_is_whole(bench: Bench) -> None:
    async def run() -> None:
        assert answers.state(bench.surveyor)["survey"]["state"] == "idle"
        bench.put(request="r1")
        state = await bench.turn()
        assert state["survey"]["state"] == "idle" and state["survey"]["request"] == "r1", state["survey"]
        (generation,) = state["generations"]
        assert generation["asOf"].startswith("2030-03-17T") and generation["guard"]["accepted"]
        assert generation["counts"]["files"] == 14 and generation["previous"] is None
        assert generation["changes"]["filesAdded"] == 14 and generation["changes"]["datasetsAdded"] == 3
        entry = bench.surveyor.entries[0]
        document = manifest.read(entry.directory)
        images = [Image(i["name"], i["digest"], i["size"], None, None) for i in document["images"]]
        assert manifest.digest_of(images, document["layering"]) == entry.name == generation["name"]
        for image in document["images"]:
            packed = (bench.path / "images" / f"{digits(image['digest'])}.zst").read_bytes()
            content = zstandard.ZstdDecompressor().decompress(packed)
            assert len(content) == image["size"]
            assert hashlib.sha256(content).hexdigest() == digits(image["digest"])
        proof = (entry.directory / "proof.json").read_bytes()
        assert document["proof"] == {"digest": "sha256:" + hashlib.sha256(proof).hexdigest(), "size": len(proof)}
        files = {f["path"]: f for f in json.loads(proof)["files"]}
        assert len(files) == 14
        assert files["a/x/data/p.dat"]["md5"] == MD5_HELLO and files["a/x/data/p.dat"]["from"] == "label"
        assert files["b/y/readme.txt"]["sha256"] == hashlib.sha256(b"read me").hexdigest()
        assert not list((bench.path / "work").iterdir())

    bench.run(run)


def test_an_unchanged_survey_writes_no_image(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        bench.put()
        first = await bench.turn()
        program = bench.path.parent / "mkfs.erofs"  # says its version and can do nothing else
        told = catalog.tool()
        program.write_text(f"#!/bin/sh\n[ $1 = --version ] || exit 1\necho '{told}'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PDSHUB_MKFS_EROFS", str(program))
        again = await bench.turn(after=3601)
        assert names(again) == names(first) and again["survey"]["state"] == "idle", again["survey"]
        add(bench)
        changed = await bench.turn(after=3601)
        assert changed["survey"]["state"] == "failed" and "mkfs.erofs failed" in changed["survey"]["message"]
        assert names(changed) == names(first)

    bench.run(run)


def _nothing(bench: Bench) -> None:
    pass


def _one_more(bench: Bench) -> None:
    add(bench)


def _most_gone(bench: Bench) -> None:
    shutil.rmtree(bench.sources / "main" / "x" / "data")


def _unmounted(bench: Bench) -> None:
    shutil.rmtree(bench.sources / "main" / "x")


def _no_directory(bench: Bench) -> None:
    shutil.rmtree(bench.sources / "extra")


@pytest.mark.parametrize(
    ("change", "generations", "accepted", "state", "words"),
    [
        (_nothing, 1, True, "idle", ""),
        (_one_more, 2, True, "idle", ""),
        (_most_gone, 2, False, "idle", ""),
        (_unmounted, 1, True, "failed", "nothing is mounted"),
        (_no_directory, 1, True, "failed", "source extra"),
    ],
)
def test_what_a_second_survey_makes(
    bench: Bench, change: Callable[[Bench], None], generations: int, accepted: bool, state: str, words: str
) -> None:
    async def run() -> None:
        bench.put()
        first = names(await bench.turn())
        assert names(await bench.turn()) == first  # the interval has not passed
        change(bench)
        second = await bench.turn(after=3601)
        assert len(second["generations"]) == generations
        assert second["generations"][0]["guard"]["accepted"] is accepted
        assert second["survey"]["state"] == state and words in second["survey"]["message"]
        assert names(second)[-1:] == first
        if generations == 2:
            assert second["generations"][0]["previous"] == first[0]
        await bench.restart()
        assert names(answers.state(bench.surveyor)) == names(second)
        assert answers.state(bench.surveyor)["survey"]["state"] == state

    bench.run(run)


def test_a_listing_that_may_be_older_than_the_change_is_read_again(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        await bench.turn()
        counters = (await bench.turn(after=3601))["survey"]["counters"]
        assert counters["directories_read"] == counters["directories_checked"]  # all of them were made just now

    bench.run(run)


def test_only_what_changed_is_read(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        for folder, _, _ in os.walk(bench.sources):  # young directories are not trusted, however old their times
            os.utime(folder, (OLD, OLD))
        bench.surveyor.stale_seconds = 1
        await asyncio.sleep(2.1)
        await bench.turn()
        add(bench)
        counters = (await bench.turn(after=3601))["survey"]["counters"]
        assert counters["directories_read"] == 1 < counters["directories_checked"]
        assert counters["labels_opened"] == 0
        counters = (await bench.turn(after=168 * 3600))["survey"]["counters"]  # the whole period: everything
        assert counters["directories_read"] == counters["directories_checked"]

    bench.run(run)


def test_a_refused_generation_is_no_measure_until_it_is_approved(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        full = names(await bench.turn())[0]
        _most_gone(bench)
        refused = await bench.turn(after=3601)
        build(bench.sources / "main", {"x/one": "1"})
        again = await bench.turn(after=3601)
        guard = again["generations"][0]["guard"]
        assert not guard["accepted"] and guard["before"] == 14  # against what users have, not against the refused one
        assert full in names(again), "what users have is never dropped"
        bench.put(approved=names(again)[0][7:25])
        build(bench.sources / "main", {"x/two": "2"})
        approved = await bench.turn(after=3601)
        assert approved["generations"][0]["guard"]["accepted"]
        assert approved["generations"][0]["guard"]["before"] == again["generations"][0]["counts"]["files"]
        assert refused["generations"][0]["guard"]["lostPercent"] > 20

    bench.run(run)


def test_an_earlier_state_becomes_the_newest_again(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        first = names(await bench.turn())[0]
        data = bench.sources / "main/x/data"
        was = data.stat().st_mtime_ns
        add(bench)
        second = names(await bench.turn(after=3601))[0]
        (data / "new1.dat").unlink()
        os.utime(data, ns=(was, was))  # a directory's time is part of what users see
        back = await bench.turn(after=3601)
        assert names(back) == [first, second]
        assert back["generations"][0]["asOf"] > back["generations"][1]["asOf"]
        assert back["generations"][0]["guard"]["accepted"]
        await bench.restart()
        assert names(answers.state(bench.surveyor)) == [first, second]

    bench.run(run)


SURVEYED: list[tuple[dict[str, Any], bool]] = [
    ({}, False),
    ({"release": "approve"}, False),
    ({"pin": "a" * 64}, False),
    ({"survey": {"intervalSeconds": 7200}}, False),
    ({"authority": {"shrinkThresholdPercent": 90}}, False),
    ({"authority": {"superseded": "hide"}}, False),  # the default, spelled out
    ({"generation": 7}, False),
    ({"keep": ["sha256:" + "a" * 64]}, False),
    ({"form": "live"}, False),
    ({"request": "now"}, True),
    ({"authority": {"rules": [{"hide": "urn:nasa:pds:y"}]}}, True),
    ({"authority": {"superseded": "sibling"}}, True),
]


def test_what_asks_for_a_survey(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        await bench.turn()
        for change, surveyed in SURVEYED:
            before = bench.surveyor.progress.surveys
            bench.put(**change)
            await bench.turn()
            assert (bench.surveyor.progress.surveys > before) is surveyed, change

    bench.run(run)


def test_the_stamp_file_asks_for_a_survey(bench: Bench) -> None:
    async def run() -> None:
        bench.put(survey={"stampFile": "release.txt"})
        await bench.turn()
        counts = [bench.surveyor.progress.surveys]
        stamp = bench.sources / "main" / "release.txt"
        for text in ("2030-1", None, "2030-02"):
            if text:
                stamp.write_text(text)
            await bench.turn(after=30)
            counts.append(bench.surveyor.progress.surveys)
        assert counts == [1, 2, 2, 3]

    bench.run(run)


def test_a_dataset_that_is_being_copied_waits(bench: Bench) -> None:
    async def run() -> None:
        bench.clock.now = time.time()
        bench.put(authority={"settleSeconds": 60}, keep=["sha256:" + "a" * 64])  # users have a generation already
        state = await bench.turn(after=0)
        assert state["survey"]["state"] == "waiting" and state["survey"]["settling"] == 3
        assert state["generations"][0]["counts"]["files"] == 0
        assert (await bench.turn(after=30))["survey"]["state"] == "waiting"
        state = await bench.turn(after=31)
        assert state["survey"]["state"] == "idle" and state["generations"][0]["counts"]["files"] == 14

    bench.run(run)


def test_the_first_generation_withholds_nothing(bench: Bench) -> None:
    async def run() -> None:
        bench.clock.now = time.time()
        bench.put(authority={"settleSeconds": 60})
        state = await bench.turn(after=0)
        assert state["survey"]["state"] == "waiting" and state["generations"][0]["counts"]["files"] == 14
        add(bench)  # what changes from now on waits
        state = await bench.turn(after=31)
        assert state["generations"][0]["counts"]["files"] == 14
        state = await bench.turn(after=31)
        assert state["survey"]["state"] == "idle" and state["generations"][0]["counts"]["files"] == 15

    bench.run(run)


def test_live_entries_are_not_surveyed_and_have_a_mount_point(bench: Bench) -> None:
    async def run() -> None:
        sent = body()
        sent["spec"]["tree"][1]["live"] = True
        bench.surveyor.put(sent)
        state = await bench.turn()
        assert state["generations"][0]["counts"]["files"] == 12
        plan = (bench.surveyor.entries[0].directory / "plan.json").read_text()
        assert '"path":"b"' in plan and "readme" not in plan

    bench.run(run)


def test_generations_are_dropped_but_never_one_that_is_held(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        made = [names(await bench.turn())[0]]
        bench.put(keep=[made[0]])
        for n in range(4):
            add(bench, n)
            made.append(names(await bench.turn(after=3601))[0])
        assert names(answers.state(bench.surveyor)) == [made[4], made[3], made[0]]
        stored = {p.name for p in (bench.path / "images").iterdir()}
        assert stored == {f"{i}.zst" for e in bench.surveyor.entries for i in e.images}
        bench.put(pin=made[3][7:30])  # the pin holds it without the operator's word
        add(bench, 9)
        add(bench, 10)
        state = await bench.turn(after=3601)
        assert names(state)[1:] == [made[4], made[3]]

    bench.run(run)


@pytest.mark.parametrize(
    ("drift", "drifted", "example"),
    [
        (lambda p: None, 0, None),
        (lambda p: p.write_text("another length"), 1, "main:x/data/f3.dat"),
        (lambda p: p.unlink(), 1, "main:x/data/f3.dat"),
        # the same size and time: only the sample's checksum tells
        (lambda p: (p.write_text("CONTENT 3"), os.utime(p, (OLD, OLD))), 1, "main:x/data/f3.dat"),
    ],
)
def test_a_pinned_generation_is_verified(
    bench: Bench, drift: Callable[[Path], Any], drifted: int, example: str | None
) -> None:
    async def run() -> None:
        bench.put()
        name = names(await bench.turn())[0]
        drift(bench.sources / "main/x/data/f3.dat")
        bench.put(pin=name)
        verify = (await bench.checked())["verify"]
        assert verify["generation"] == name and verify["state"] == "done"
        assert verify["files"] == 14 and verify["drifted"] == drifted
        assert verify["examples"] == ([example] if example else [])

    bench.run(run)


def test_the_audit_opens_every_label_once_a_generation(bench: Bench) -> None:
    async def run() -> None:
        os.unlink(bench.sources / "main/x/data/p.dat")
        bench.put(survey={"auditLabelsPerSecond": 1000})
        await bench.turn()
        assert answers.state(bench.surveyor)["generations"][0]["findings"] == {}
        checked = await bench.checked()
        audit = checked["audit"]
        assert checked["generations"][0]["findings"] == audit["findings"]
        assert audit["state"] == "done" and audit["labels"] == 4 and audit["findings"]["error"] == 1
        await bench.restart()
        assert (await bench.checked())["audit"]["at"] == audit["at"]

    bench.run(run)


def test_a_changed_view_stops_the_survey_of_the_old_one(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        turn = asyncio.create_task(bench.surveyor.turn())
        while not bench.surveyor.surveying:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        bench.put(authority={"rules": [{"hide": "urn:nasa:pds:y"}]})
        await turn
        assert answers.state(bench.surveyor)["generations"] == [] and bench.surveyor.progress.failures == 0
        assert (await bench.turn())["generations"][0]["counts"]["files"] == 12

    bench.run(run)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ([], "an object"),
        ({"name": "sbn"}, "an object"),
        ({**body(), "name": ""}, "name"),
        ({**body(), "request": 7}, "request"),
        ({**body(), "keep": ["sha256:12"]}, "keep"),
        ({**body(), "keep": "all"}, "keep"),
        ({**body(), "spec": {**body()["spec"], "surprise": 1}}, "surprise"),
        ({**body(), "spec": {"sources": []}}, "sources"),
        ({**body(), "name": "another"}, "this is the surveyor of sbn"),
    ],
)
def test_wishes_that_are_refused(bench: Bench, wrong: Any, words: str) -> None:
    bench.put()
    with pytest.raises(WishError, match=words):
        bench.surveyor.put(wrong)
    assert bench.surveyor.wish and bench.surveyor.wish.body() == body()


# --- crashes --------------------------------------------------------------------------------------------------


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
        assert names(answers.state(bench.surveyor)) == before
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
        assert names(answers.state(bench.surveyor)) == []
        assert names(await bench.turn()) == before

    bench.run(run)


def test_one_surveyor_a_store(bench: Bench) -> None:
    with pytest.raises(StoreError, match="another surveyor"):
        Store(bench.path).open()


@pytest.mark.parametrize(
    ("kind", "task", "memory", "words"),
    [
        ("explain", {"generation": "/nowhere", "path": "x"}, 0, "No such file"),
        ("survey", {"name": "v", "spec": {}, "sources": "/", "work": "/", "now": 0}, 0, "sources"),
        ("explain", {"generation": "HUGE", "path": "x"}, 40 << 20, "more than 40 MiB of memory are needed"),
        ("nonsense", {}, 0, "KeyError"),
    ],
)
def test_jobs_fail_in_words(tmp_path: Path, kind: str, task: dict[str, Any], memory: int, words: str) -> None:
    if task.get("generation") == "HUGE":
        task = {**task, "generation": str(tmp_path)}
        (tmp_path / "plan.json").write_text("[" + " " * (200 << 20))
    with pytest.raises(JobError, match=words):
        asyncio.run(Job(kind, task, memory=memory).run())


def test_a_job_that_says_nothing_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "plan.json")  # opened for reading, it waits for ever
    with pytest.raises(JobError, match="nothing was heard"):
        asyncio.run(Job("explain", {"generation": str(tmp_path), "path": "x"}).run(seconds=1))
