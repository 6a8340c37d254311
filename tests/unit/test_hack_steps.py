"""What hack/ builds once and finds again, the order of its steps, and their figures."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from devcluster import (
    artefact,
    engine,
    figures,
    settings,
    steps,
    up,
    world,
)
from devcluster.run import StepFailed


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    return settings.Paths(tmp_path, "test")


def test_digest_frames_its_parts() -> None:
    assert artefact.digest(["ab", "c"]) != artefact.digest(["a", "bc"])
    assert artefact.digest(["a", b"b"]) == artefact.digest([b"a", "b"])


def test_files_digest_sees_names_contents_modes_and_no_caches(tmp_path: Path) -> None:
    file = tmp_path / "d" / "f"
    file.parent.mkdir()
    file.write_text("1")

    def now() -> str:
        return artefact.files_digest([tmp_path / "d"], tmp_path)

    first = now()
    (tmp_path / "d" / "__pycache__").mkdir()
    (tmp_path / "d" / "__pycache__" / "x.pyc").write_text("x")
    assert now() == first
    file.chmod(0o755)
    executable = now()
    file.write_text("2")
    assert len({first, executable, now()}) == 3


def test_artefact_is_built_once_and_found_again(paths: settings.Paths) -> None:
    built = []

    def build(work: Path) -> None:
        built.append(work)
        (work / "f").write_text("x")

    one = artefact.Artefact("a", "k", build)
    assert one.ensure(paths) == (paths.artefacts / "a" / "k", True)
    assert one.ensure(paths)[1] is False
    assert len(built) == 1


@pytest.mark.parametrize("in_place", [False, True])
def test_half_built_artefact_is_built_again(paths: settings.Paths, in_place: bool) -> None:
    def dies(work: Path) -> None:
        (work / "half").write_text("x")
        raise StepFailed("killed")

    with pytest.raises(StepFailed):
        artefact.Artefact("a", "k", dies, in_place).ensure(paths)
    whole = artefact.Artefact("a", "k", lambda work: (work / "whole").touch(), in_place)
    assert not whole.exists(paths)
    path, built = whole.ensure(paths)
    assert built and {p.name for p in path.iterdir()} - {".complete"} == {"whole"}


def test_two_builders_build_once(paths: settings.Paths) -> None:
    built = []
    go = threading.Event()

    def build(work: Path) -> None:
        go.wait(5)
        built.append(work)

    one = artefact.Artefact("a", "k", build)
    threads = [threading.Thread(target=one.ensure, args=(paths,)) for _ in range(2)]
    for t in threads:
        t.start()
    go.set()
    for t in threads:
        t.join()
    assert len(built) == 1


def test_steps_run_after_what_they_need_and_stop_after_a_failure(tmp_path: Path) -> None:
    done: list[str] = []

    def fails() -> bool:
        raise StepFailed("no")

    plan = [
        steps.Step("a", "x", lambda: bool(done.append("a"))),
        steps.Step("b", "y", lambda: bool(done.append("b")), ("a",)),
        steps.Step("bad", "x", fails, ("b",)),
        steps.Step("c", "y", lambda: bool(done.append("c")), ("bad",)),
    ]
    with pytest.raises(StepFailed, match="bad: no"):
        steps.run_steps(plan, tmp_path)
    assert done == ["a", "b"]


@pytest.mark.parametrize("names", [[("a", ("b",)), ("b", ())], [("a", ()), ("a", ())], [("a", ("a",))]])
def test_steps_out_of_order_are_refused(names: list[tuple[str, tuple[str, ...]]]) -> None:
    with pytest.raises(ValueError, match="declared twice, or before"):
        steps.check_order([steps.Step(n, "x", lambda: None, needs) for n, needs in names])


def test_record_keeps_cold_beside_warm(tmp_path: Path) -> None:
    def ran(built: bool | None, seconds: float) -> steps.Step:
        step = steps.Step("a", "x", lambda: built, built=built, seconds=seconds)
        step.done.set()
        return step

    file = tmp_path / "figures.json"
    steps.record([ran(True, 12.34)], file)
    assert steps.record([ran(False, 0.5)], file) == {"a": {"cold": 12.3, "warm": 0.5}}
    assert "12.3 s" in steps.table([ran(False, 0.5)], json.loads(file.read_text()))
    file.write_text("{half")
    assert steps.record([ran(None, 2)], file) == {"a": {"run": 2}}


def test_figures_are_read_from_logs_and_proc_and_say_only_what_was_measured() -> None:
    log = "x published demo at /var/a in 12 ms\nx published demo at /var/b in 9 ms\nx unpublished"
    assert (figures.publish_ms(log), figures.publish_ms("nothing")) == (9, None)
    assert figures.resident_mb("Name:\tx\nVmRSS:\t   80000 kB\nName:\ty\nVmRSS:\t 900 kB\n") == 81.9
    assert figures.resident_mb("") is None
    told = figures.lines(figures.Figures(apply_to_ready_seconds=12.5))
    assert len(told) == 1 and told[0].startswith("kubectl apply to Ready") and told[0].endswith("12.5 s")


@pytest.mark.parametrize(
    ("built", "kind"),
    [
        ({"image hub": True, "go": None, "go kubernetes": False, "cluster": True, "load images": False}, "cold"),
        ({"image hub": False, "go": None, "cluster": True, "nas": True, "operator": True}, "warm"),
        ({"image hub": True, "go helm": False, "cluster": True}, ""),
        ({"image hub": False, "cluster": False}, ""),
    ],
    ids=["cold", "warm", "half", "nothing made"],
)
def test_what_kind_of_run_it_was(built: dict[str, bool | None], kind: str, tmp_path: Path) -> None:
    done = [steps.Step(name, "x", lambda: None, built=how) for name, how in built.items()]
    assert up.kind_of_run(done) == kind
    found = steps.record(done, tmp_path / "figures.json", {up.kind_of_run(done): 61.26})
    assert found.get(steps.WHOLE) == ({kind: 61.3} if kind else None)


def test_no_image_waits_for_the_long_build_of_kubernetes(paths: settings.Paths) -> None:
    """The images of one lane come one after the other: the operator's needs helm, which is built first of all."""
    plan = up.prepare(world.World(paths, engine.Engine("podman"), registry=False))
    steps.check_order(plan)
    assert [step.name for step in plan if step.lane == "go"][:3] == ["go", "go helm", "kind and kubectl"]
