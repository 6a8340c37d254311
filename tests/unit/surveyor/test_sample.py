"""The sample of a generation: what it says of each file, and what of it outlives the next survey."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdshub.node.health import sample as on_nodes
from pdshub.surveyor import sample
from tests.unit.archive.archive_support import OLD, build, bundle, collection, run, spec
from tests.unit.surveyor.support import Bench, needs_mkfs

FILES = {
    "x/bundle_x.xml": bundle("x", "1.0", ["urn:nasa:pds:x:data"]),
    "x/data/collection_data.xml": collection("x:data"),
    "x/data/deep/f.dat": "content",
    "loose.txt": "of no dataset",
}
F, PATH = "main/x/data/deep/f.dat", "a/x/data/deep/f.dat"


class Archive:
    """One source at a/, and surveys of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.surveys = folder, 0
        build(folder / "main", FILES)
        build(folder / "other", {"x/data/deep/f.dat": "content"})
        self.file = folder / F

    def take(self, former: Any = None, settled: int | None = None, layers: tuple[str, ...] = ("main",)) -> Any:
        roots = {name: self.folder / name for name in layers}
        self.surveys += 1
        plan, _ = run(self.folder, roots, spec(layers, {"a": layers}), f"g{self.surveys}")
        return sample.take(plan, roots, former, settled)

    def item(self, taken: Any) -> dict[str, Any]:
        found: dict[str, Any] = {item["path"]: item for item in taken["files"]}.get(PATH, {})
        return found


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def test_what_is_said_of_a_file(archive: Archive) -> None:
    taken = archive.take()
    state = archive.file.stat()
    folders = [archive.folder / "main" / path for path in ("x/data/deep", "x/data", "x", ".")]
    assert archive.item(taken) == {
        "path": PATH, "size": 7, "sha256": hashlib.sha256(b"content").hexdigest(), "from": "survey",
        "source": "main", "at": "x/data/deep/f.dat", "dataset": "urn:nasa:pds:x:data::1.0",
        "mtime": OLD * 10**9, "ctime": state.st_ctime_ns,
        "above": [[folder.stat().st_mtime_ns, folder.stat().st_ctime_ns] for folder in folders],
    }  # fmt: skip
    by_path = {item["path"]: item for item in taken["files"]}
    assert len(by_path) == 4 and by_path["a/loose.txt"]["dataset"] == ""
    assert sample.directories(taken) == {"", "x", "x/data", "x/data/deep"}
    assert sample.directories({"files": [{"path": "x/of/before"}]}) == sample.directories(None) == set()


def test_nodes_understand_it(archive: Archive) -> None:
    known = {one.path: one for one in on_nodes.parse(json.loads(json.dumps(archive.take())))}[PATH]
    state, folder = archive.file.stat(), archive.file.parent.stat()
    assert (known.source, known.at, known.dataset) == ("main", "x/data/deep/f.dat", "urn:nasa:pds:x:data::1.0")
    assert (known.mtime, known.ctime) == (state.st_mtime_ns, state.st_ctime_ns)
    assert len(known.above) == 4 and known.above[0] == (folder.st_mtime_ns, folder.st_ctime_ns)


def put_back(path: Path, text: str) -> None:
    """Other bytes of the same size, with the time of modification of before."""
    path.write_text(text)
    os.utime(path, (OLD, OLD))


YOUNG = 0
"""Everything has changed since 1970: all may still be being copied."""


@pytest.mark.parametrize(
    ("case", "happens", "settled", "times", "bytes_of"),
    [
        ("nothing", lambda p: None, None, "same", "content"),
        ("permissions were set", lambda p: p.chmod(0o600), None, "new", "content"),
        ("permissions were set a moment ago", lambda p: p.chmod(0o600), YOUNG, "same", "content"),
        # the older witness stands: nodes shall find that it differs from what the survey saw
        ("rewritten behind its times", lambda p: put_back(p, "CONTENT"), None, "new", "content"),
        # and while it may be being copied they shall find that it was written after the survey
        ("rewritten behind its times a moment ago", lambda p: put_back(p, "CONTENT"), YOUNG, "same", "content"),
        ("rewritten", lambda p: p.write_text("CONTENT"), None, "new", "CONTENT"),
        ("another size", lambda p: p.write_text("longer now"), None, "new", "longer now"),
        ("removed", lambda p: p.unlink(), None, "none", ""),
    ],
)
def test_what_outlives_the_next_survey(
    archive: Archive, case: str, happens: Callable[[Path], Any], settled: int | None, times: str, bytes_of: str
) -> None:
    first = archive.take()
    before = archive.item(first)
    happens(archive.file)
    after = archive.item(archive.take(first, settled))
    assert after.get("sha256", "") == (hashlib.sha256(bytes_of.encode()).hexdigest() if bytes_of else ""), case
    now = archive.file.stat().st_ctime_ns if archive.file.exists() else None
    assert after.get("ctime") == {"same": before["ctime"], "new": now, "none": None}[times], case


@pytest.mark.parametrize("happens", [lambda p: p.write_text("CONTENT"), lambda p: p.unlink()])
def test_a_dataset_that_is_held_back_keeps_its_times(archive: Archive, happens: Callable[[Path], Any]) -> None:
    """The plan has the former state, the source another: so it is for a file that changed after the survey, too."""
    first = archive.take()
    roots = {"main": archive.folder / "main"}
    plan, _ = run(archive.folder, roots, spec(["main"], {"a": ["main"]}), "held")
    happens(archive.file)
    assert archive.item(sample.take(plan, roots, first, None)) == archive.item(first)
    assert archive.item(sample.take(plan, roots)) == {}, "what is not as the plan has it can't be a witness"


def test_a_sample_of_before_gets_its_times(archive: Archive) -> None:
    first = archive.take()
    full = archive.item(first)
    old = {key: full[key] for key in ("path", "size", "mtime", "sha256", "from")}
    assert archive.item(archive.take({"files": [old]})) == full
    assert archive.item(archive.take({"files": [{**old, "sha256": "0" * 64}]}))["sha256"] == "0" * 64


def test_another_copy_at_the_path_is_another_file(archive: Archive) -> None:
    first = archive.take()
    wrong = {"files": [{**item, "sha256": "0" * 64} for item in first["files"]]}
    assert archive.item(archive.take(wrong))["sha256"] == "0" * 64
    moved = archive.item(archive.take(wrong, layers=("other",)))
    assert moved["source"] == "other" and moved["sha256"] == hashlib.sha256(b"content").hexdigest()


def test_nodes_accept_the_largest_sample(archive: Archive) -> None:
    """200 files with the longest paths, names that escape to six characters each, and every time."""
    most = sample.MAX_PATHS // 2
    item = {
        "path": "é" * most, "at": "é" * most, "source": "s" * 63, "dataset": "é" * sample.MAX_NAME, "size": 64 << 20,
        "mtime": -(1 << 62), "ctime": -(1 << 62), "above": [[-(1 << 62)] * 2] * sample.LEVELS, "sha256": "0" * 64,
        "from": "survey",
    }  # fmt: skip
    document = {"files": [item] * sample.FILES, "labelsWrong": ["é" * most] * sample.FILES}
    raw = json.dumps(document, sort_keys=True).encode()
    assert len(raw) < on_nodes.SIZE_LIMIT
    assert len(on_nodes.parse(json.loads(raw))) == sample.FILES


@needs_mkfs
@pytest.mark.parametrize(
    ("why", "seen"),
    [({}, False), ({"request": "node-1"}, True), ({"request": "full-1"}, True)],
)
def test_a_survey_that_a_node_asked_for_sees_what_the_node_saw(bench: Bench, why: dict[str, str], seen: bool) -> None:
    """Writing in place leaves the directory's times alone: other surveys read it again within restatHours."""
    file = bench.sources / "main/x/data/f3.dat"

    async def story() -> None:
        # What was read is trusted at once, but where nothing in the source is younger: that is met once more.
        await bench.restart(stale_seconds=0)
        bench.put(survey={"restatHours": 0})
        await bench.turn()
        before = (await bench.turn(after=3601))["generations"]
        file.write_text("longer than before")
        bench.put(survey={"restatHours": 0}, **why)
        after = (await bench.turn(after=3601))["generations"]
        assert (len(after) > len(before)) is seen
        if seen:
            taken = json.loads((bench.surveyor.entries[0].directory / "proof.json").read_text())
            found = {item["path"]: item for item in taken["files"]}["a/x/data/f3.dat"]
            assert found["size"] == 18 and found["ctime"] == file.stat().st_ctime_ns

    bench.run(story)
