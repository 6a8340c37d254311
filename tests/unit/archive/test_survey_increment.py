"""A second survey reads what changed, says the same, and holds back what is still being copied."""

from __future__ import annotations

from pathlib import Path

from pdshub.archive import record
from pdshub.archive.diff import diff
from pdshub.archive.explain import explain
from tests.unit.archive.archive_support import OLD, build, bundle, kinds, run, spec, visible


def archive(root: Path) -> Path:
    files = {f"n/{i:02d}/f{j}": "" for i in range(20) for j in range(5)}
    return build(root, {**files, "x/bundle.xml": bundle("x"), "x/f": "1"})


def trusted(generation: Path) -> None:
    """As if the survey had come long after the last change (a fresh directory may change within one tick)."""
    scans, labels = record.read_record(generation / record.FILE)
    for scan in scans.values():
        for directory in scan.dirs.values():
            directory.trusted = True
    record.write_record(generation / record.FILE, scans, labels)


def test_same_input_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    a = archive(tmp_path / "a")
    for out, workers in (("g1", 1), ("g2", 7)):
        run(tmp_path, {"a": a}, spec(["a"]), out, workers=workers)
    assert (tmp_path / "g1" / "plan.json").read_bytes() == (tmp_path / "g2" / "plan.json").read_bytes()


def test_only_changed_directories_are_read(tmp_path: Path) -> None:
    a = archive(tmp_path / "a")
    run(tmp_path, {"a": a}, spec(["a"]), "g1")
    trusted(tmp_path / "g1")
    (a / "n" / "07" / "new").touch()
    plan, result = run(tmp_path, {"a": a}, spec(["a"]), "g2", tmp_path / "g1")
    counters = result.counters
    assert (counters.directories_checked, counters.directories_read) == (23, 1)
    assert (counters.labels_opened, counters.labels_reused) == (0, 1)
    assert "n/07/new" in visible(plan)
    fresh, _ = run(tmp_path, {"a": a}, spec(["a"]), "g3")
    assert list(fresh.tree()) == list(plan.tree())


def test_writes_in_place_are_found_by_the_rolling_slice(tmp_path: Path) -> None:
    a = archive(tmp_path / "a")
    run(tmp_path, {"a": a}, spec(["a"]), "g1")
    trusted(tmp_path / "g1")
    (a / "n" / "03" / "f1").write_text("longer")
    _, result = run(tmp_path, {"a": a}, spec(["a"]), "g2", tmp_path / "g1", restat=lambda path: path == "n/03")
    assert result.counters.directories_read == 1
    assert diff(tmp_path / "g1", tmp_path / "g2")["files"]["replaced"]["paths"] == ["n/03/f1"]


def test_a_damaged_record_costs_a_full_walk_only(tmp_path: Path) -> None:
    a = archive(tmp_path / "a")
    run(tmp_path, {"a": a}, spec(["a"]), "g1")
    (tmp_path / "g1" / record.FILE).write_bytes(b"\x1f\x8b nonsense")
    plan, result = run(tmp_path, {"a": a}, spec(["a"]), "g2", tmp_path / "g1")
    assert result.counters.directories_read == 23
    assert "record-unreadable" in kinds(plan)


def test_a_dataset_being_copied_keeps_its_former_state(tmp_path: Path) -> None:
    a = archive(tmp_path / "a")
    later = max(p.stat().st_ctime_ns for p in [a, *a.rglob("*")])
    settled = {"now_ns": later + 3600 * 10**9, "settle_seconds": 60}
    run(tmp_path, {"a": a}, spec(["a"]), "g1", **settled)
    build(a, {"x/half": "", "y/bundle.xml": bundle("y"), "y/half": ""})
    now = max(p.stat().st_ctime_ns for p in a.rglob("*"))
    for path in [a, *a.rglob("*")]:  # what is there from before is older than the settle time
        assert path.stat().st_ctime_ns <= now
    young, result = run(tmp_path, {"a": a}, spec(["a"]), "g2", tmp_path / "g1", now_ns=now, settle_seconds=10**4)
    seen = visible(young)
    assert "x/half" not in seen and "x/f" in seen and "y/half" not in seen and "y/bundle.xml" not in seen
    assert result.held_back == 2 and "settling" in kinds(young)
    done, _ = run(tmp_path, {"a": a}, spec(["a"]), "g3", tmp_path / "g2", now_ns=now + 10**14, settle_seconds=10**4)
    assert {"x/half", "y/half"} <= visible(done).keys()


def test_diff_names_datasets_and_files(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {"x/bundle.xml": bundle("x"), "x/f": "", "gone": ""})
    run(tmp_path, {"a": a}, spec(["a"]), "g1")
    (a / "gone").unlink()
    (a / "x").rename(a / "moved")
    build(a, {"moved/bundle.xml": bundle("x", "1.1"), "n/bundle.xml": bundle("n")}, OLD + 9)
    run(tmp_path, {"a": a}, spec(["a"]), "g2")
    answer = diff(tmp_path / "g1", tmp_path / "g2")
    datasets = {kind: [d["dataset"] for d in found] for kind, found in answer["datasets"].items()}
    assert datasets == {
        "added": ["urn:nasa:pds:n::1.0"],
        "removed": [],
        "replaced": ["urn:nasa:pds:x::1.1"],
        "rehomed": ["urn:nasa:pds:x::1.1"],
    }
    assert answer["files"]["removed"]["paths"] == ["gone", "x/bundle.xml", "x/f"]


def test_explain_names_winner_losers_and_reason(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {"x/bundle.xml": bundle("x", "1.0"), "x/f": "old"})
    b = build(tmp_path / "b", {"x/bundle.xml": bundle("x", "2.0"), "x/f": "newer"})
    run(tmp_path, {"a": a, "b": b}, spec(["a", "b"]))
    answer = explain(tmp_path / "gen", "/x/f")
    assert answer["from"] == [{"source": "b", "path": "x/f"}]
    assert [(o["source"], o["reason"]) for o in answer["others"]] == [("a", "urn:nasa:pds:x::2.0 is newer")]
    assert not explain(tmp_path / "gen", "x/none")["visible"]
