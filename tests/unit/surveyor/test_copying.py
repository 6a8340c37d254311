"""A source and its copy, in a real bucket or on another disk: compared, surveyed beside, swapped, and swapped back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive import carried
from pdshub.archive.plan import open_plan
from pdshub.cli import migrate_copy
from pdshub.surveyor import copies, copying
from tests.buckets import BUCKET, KEY, SECRET, Service, service
from tests.programs import system
from tests.unit.archive.archive_support import build, label
from tests.unit.surveyor.support import Bench, names, needs_mkfs

pytestmark = needs_mkfs


class Move:
    """A surveyor whose source ``main`` is copied; ``main-copy`` is the copy."""

    def __init__(self, bench: Bench, kind: dict[str, Any]) -> None:
        self.bench, self.kind = bench, kind
        self.plain = [{"name": n, "local": {"path": f"/srv/{n}"}} for n in ("main", "extra")]
        # what a bucket can not keep
        for number, path in enumerate(sorted((bench.sources / "main/x/data").iterdir())):
            path.chmod(0o640 if number % 2 else 0o600)
            os.utime(path, (1_500_000_000 + number, 1_500_000_000 + number))

    @property
    def both(self) -> list[dict[str, Any]]:
        return [*self.plain, {"name": "main-copy", **self.kind}]

    @property
    def swapped(self) -> list[dict[str, Any]]:
        return [{"name": "main", **self.kind}, self.plain[1]]

    def check(self, *more: str) -> dict[str, Any]:
        """What the command answers."""
        store, sources = self.bench.path, self.bench.sources
        line = [
            *("--source", "main", "--copy", "main-copy", "--generation", self.bench.store.read()[0].name),
            *("--store", str(store), "--sources", str(sources), "--keys", str(sources.parent / "keys"), *more),
        ]
        argv = [sys.executable, "-m", "pdshub.surveyor.copied", *line]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def shown(bench: Bench) -> dict[str, tuple[int, ...]]:
    """Times and attributes of what the newest generation shows, by path."""
    found: dict[str, tuple[int, ...]] = {}
    entry = bench.store.read()[0]
    top = entry.directory
    kept = copies.of(bench.path, json.loads((bench.path / "spec.json").read_text())["spec"])
    with copies.beside(top, kept):
        for d in carried.tree(open_plan(top)):
            found[d["path"]] = (d["mtime"], *d["attr"])
            for g in d.get("groups", ()):
                found |= {f"{d['path']}/{n}": (m, *g["attr"]) for n, m in zip(g["names"], g["mtimes"], strict=True)}
    return found


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "s3").mkdir()
    with service(tmp_path / "s3") as found:
        yield found


@pytest.fixture
def moved(bench: Bench, s3: Service, tmp_path: Path) -> Move:
    """Copied by rclone; what the node would mount is the folder in which the service keeps the bucket."""
    keys = tmp_path / "keys"
    for name in ("main", "main-copy"):
        s3.keys(keys / name)
    asyncio_free(bench)
    bench.surveyor.keys = keys
    made = Move(bench, {"s3": s3.source(prefix="archive")["s3"]})
    (bench.sources / "main-copy").symlink_to(s3.folder / "buckets" / BUCKET / "archive")
    return made


def asyncio_free(bench: Bench) -> None:
    """The surveyor may go by times of now: the bucket's are."""
    bench.clock.now = time.time()


def rclone(s3: Service, folder: Path) -> None:
    from pdshub.node.source.s3_mount import program

    try:
        binary = program()
    except FileNotFoundError:
        pytest.skip("needs rclone")
    target = {"s3": {"endpoint": f"http://127.0.0.1:{s3.port}", "bucket": BUCKET, "prefix": "archive"}}
    words = {**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "RCLONE_CONFIG": "/dev/null"}
    # the plan's own command
    for _, *line in migrate_copy.commands("rclone", {}, target, at=str(folder), into="", exact=False).lines:
        subprocess.run([binary, *line], env=words, check=True, timeout=120)


def test_from_a_walk_to_a_bucket_and_back(moved: Move, s3: Service) -> None:
    bench = moved.bench

    async def story() -> None:
        bench.put(sources=moved.plain)
        (name,) = names(await bench.turn())
        before = shown(bench)
        rclone(s3, bench.sources / "main")
        bench.put(sources=moved.both)
        assert names(await bench.turn()) == [name], "a source that no layer names changes nothing"
        answer = moved.check()
        assert answer["equal"] and answer["rehearsed"] == answer["generation"] == name, answer
        assert (answer["files"], answer["byLabel"], answer["wrong"]) == (12, 1, 0)
        assert answer["byLabel"] + answer["bySample"] + answer["bySource"] == 12
        bench.put(sources=moved.swapped)
        s3.relay.none()
        assert names(await bench.turn()) == [name], "the same generation, of a bucket"
        assert s3.relay.asked["list"] == 1
        assert shown(bench) == before
        mtimes = {m for d in open_plan(bench.store.read()[0].directory).tree() for g in d.get("groups", ())
                  if g["path"].startswith("x") for m in g["mtimes"]}  # fmt: skip
        assert all(m > 1_700_000_000 * 10**9 for m in mtimes), "the plan has the bucket's times"
        # a delivery: it has its own time, and nothing else changes
        s3.put("archive/x/data/new.dat", "delivered")
        state = await bench.turn(after=4000)
        assert len(names(state)) == 2 and names(state)[1] == name
        now = shown(bench)
        changed = {path for path in now if now[path] != before.get(path)}
        assert changed == {"a/x/data", "a/x/data/new.dat"}
        s3.put("archive/x/data/f3.dat", "CONTENT 3")
        await bench.turn(after=4000)
        again = shown(bench)
        assert {path for path in again if again[path] != now[path]} >= {"a/x/data/f3.dat"}
        assert again["a/x/data/f4.dat"] == before["a/x/data/f4.dat"]
        # and back by one step
        bench.put(sources=moved.plain)
        state = await bench.turn()
        assert names(state)[0] == name and shown(bench) == before

    bench.run(story)


def test_a_bucket_that_was_filled_a_moment_ago(moved: Move, s3: Service) -> None:
    """All of it may still be being copied, and keeps its former state: that of the walk, in the bucket."""
    bench, settle = moved.bench, {"settleSeconds": 86_400}

    async def story() -> None:
        bench.put(sources=moved.plain, authority=settle)
        await bench.turn()
        rclone(s3, bench.sources / "main")
        bench.put(sources=moved.both, authority=settle)
        (name, *_) = names(await bench.turn())
        before = shown(bench)
        assert moved.check()["equal"]
        bench.put(sources=moved.swapped, authority=settle)
        state = await bench.turn()
        assert names(state) == [name] and state["survey"]["settling"] and not state["survey"]["message"].startswith("E")
        assert shown(bench) == before
        bench.clock.now += 2 * 86_400
        assert names(await bench.turn()) == [name] and shown(bench) == before

    bench.run(story)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda s3: s3.put("archive/x/data/p.dat", "hellO"), "x/data/p.dat: has other bytes than the source, and than"),
        (lambda s3: s3.put("archive/x/data/f1.dat", "CONTENT 1"), "x/data/f1.dat: has other bytes"),
        (lambda s3: s3.put("archive/x/data/f1.dat", "longer content"), "x/data/f1.dat: has 14 bytes instead of 9"),
        (lambda s3: s3.delete("archive/x/data/f2.dat"), "x/data/f2.dat: is not there"),
        (lambda s3: s3.put("archive/x/data/more.dat", "more"), None),
        (lambda s3: s3.put("archive/x/data/q.xml", label("Observational", "urn:nasa:pds:x:data:q")), None),
    ],
)
def test_a_copy_that_is_none(moved: Move, s3: Service, harm: Any, said: str | None) -> None:
    bench = moved.bench

    async def story() -> None:
        bench.put(sources=moved.plain)
        await bench.turn()
        rclone(s3, bench.sources / "main")
        bench.put(sources=moved.both)
        await bench.turn()
        harm(s3)
        answer = moved.check()
        assert not answer["equal"]
        if said:
            assert said in answer["examples"][0] and answer["rehearsed"] is None
        else:
            assert answer["rehearsed"] != answer["generation"] and not answer["wrong"], "more files: another generation"
        assert not list(copies.folder(bench.path).glob("*/copy.json"))

    bench.run(story)


def test_a_comparison_goes_on_where_it_was(moved: Move, s3: Service) -> None:
    bench = moved.bench

    async def story() -> None:
        bench.put(sources=moved.plain)
        await bench.turn()
        rclone(s3, bench.sources / "main")
        bench.put(sources=moved.both)
        await bench.turn()
        s3.put("archive/x/data/more.dat", "more")
        assert not moved.check()["equal"]
        s3.delete("archive/x/data/more.dat")
        # compared already: that it can not be read now is not met, and a file that is replaced is
        journal = next(copies.folder(bench.path).glob("*.compared.jsonl"))
        lines = journal.read_text().splitlines()
        assert {json.loads(line)["at"] for line in lines[1:]} == {"x", "x/data"}
        with journal.open("a") as more:
            more.write('{"at": "x/da')  # killed while it was written
        s3.put("archive/x/bundle_x.xml", (bench.sources / "main/x/bundle_x.xml").read_text())
        answer = moved.check()
        assert answer["equal"] and answer["files"] == 12
        assert not list(copies.folder(bench.path).glob("*.compared.jsonl"))

    bench.run(story)


def test_quick_says_what_it_left_out(moved: Move, s3: Service) -> None:
    bench = moved.bench

    async def story() -> None:
        bench.put(sources=moved.plain)
        await bench.turn()
        rclone(s3, bench.sources / "main")
        bench.put(sources=moved.both)
        await bench.turn()
        answer = moved.check("--quick")
        assert answer["equal"] and answer["bySample"] + answer["bySize"] == answer["files"] and not answer["byLabel"]

    bench.run(story)


def copied(rsync: str, source: Path, target: Path) -> None:
    line = [rsync, "--recursive", "--times", "--chmod=D755,F444", f"{source}/", f"{target}/"]
    subprocess.run(line, check=True, timeout=60)


def test_to_another_disk_with_rsync(bench: Bench) -> None:
    """Times are kept; owners and permissions need not be."""
    rsync = os.environ.get("PDSHUB_RSYNC") or system("rsync")
    if not rsync:
        pytest.skip("needs rsync")
    move = Move(bench, {"local": {"path": "/srv/second"}})

    async def story() -> None:
        bench.put(sources=move.plain)
        (name,) = names(await bench.turn())
        before = shown(bench)
        target = bench.sources / "main-copy"
        copied(rsync, bench.sources / "main", target)
        bench.put(sources=move.both)
        await bench.turn()
        answer = move.check()
        assert answer["equal"] and answer["rehearsed"] == name, answer
        (bench.sources / "main").rename(bench.sources / "former")
        target.rename(bench.sources / "main")
        bench.put(sources=move.swapped)
        assert names(await bench.turn()) == [name] and shown(bench) == before
        # a file that is replaced later has what it has
        build(bench.sources / "main", {"x/data/f1.dat": "CONTENT 1"}, 1_400_000_000)
        await bench.turn(after=4000)
        now = shown(bench)
        assert (
            now["a/x/data/f1.dat"][0] == 1_400_000_000 * 10**9 and now["a/x/data/f2.dat"] == before["a/x/data/f2.dat"]
        )

    bench.run(story)


def test_swapped_sources() -> None:
    both = [{"name": "main", "nfs": 1}, {"name": "extra", "nfs": 2}, {"name": "main-copy", "s3": 3}]
    assert copying.swapped(both, "main", both[2]) == [{"name": "main", "s3": 3}, {"name": "extra", "nfs": 2}]


def test_another_place_is_no_copy(tmp_path: Path) -> None:
    kept = tmp_path / "copies/main"
    kept.mkdir(parents=True)
    (kept / "copy.json").write_text(json.dumps({"until": 1, "place": {"s3": {"bucket": "b"}}}))
    for source, found in (({"s3": {"bucket": "b"}}, ["main"]), ({"s3": {"bucket": "c"}}, []), ({"nfs": {}}, [])):
        assert list(copies.of(tmp_path, {"sources": [{"name": "main", **source}]})) == found
