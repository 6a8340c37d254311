"""The surveyor over small real archives: what a survey makes of what it finds."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import Callable

import pytest
import zstandard

from pdshub.archive import catalog, manifest
from pdshub.archive.image import Image
from pdshub.generation_id import digits
from pdshub.surveyor import answers
from tests.unit.archive.archive_support import OLD, build
from tests.unit.surveyor.support import MD5_HELLO, Bench, add, body, names, needs_mkfs

pytestmark = needs_mkfs


def test_a_generation_is_whole(bench: Bench) -> None:
    async def run() -> None:
        assert answers.state(bench.surveyor).body()["survey"]["state"] == "idle"
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
        assert names(answers.state(bench.surveyor).body()) == names(second)
        assert answers.state(bench.surveyor).body()["survey"]["state"] == state

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
        await asyncio.sleep(2.1)  # a server's tick: labels of the newest one are read again
        for folder, _, _ in os.walk(bench.sources):
            os.utime(folder, (OLD, OLD))
        await bench.restart(stale_seconds=1)
        await asyncio.sleep(2.1)
        for source in bench.sources.iterdir():  # else no label is older than its source's clock, and none is proven
            os.utime(source, (OLD, OLD))
        await bench.turn()
        await asyncio.sleep(1.1)  # nothing here is older than all the rest: it is met once more before it is trusted
        await bench.turn(after=3601)
        add(bench)
        counters = (await bench.turn(after=3601))["survey"]["counters"]
        assert counters["directories_read"] == 1 < counters["directories_checked"]
        bench.put(request="full-1")
        counters = (await bench.turn(after=3601))["survey"]["counters"]
        assert counters["directories_read"] == counters["directories_checked"], "a person may ask for all of them"
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
        assert names(answers.state(bench.surveyor).body()) == [first, second]

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
