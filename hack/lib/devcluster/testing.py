"""hack/test: what it runs, in which order, and what beside what.

First what needs no cluster and the cluster itself, side by side; then the unit tests on every core and after them the
end-to-end tests that disturb nobody, with the lab beside both (with --long one after the other: unit tests, the lab of
all kernels, end-to-end tests); last, in the foreground, those that restart the node's parts, one after the other.
pytest's summary of that last run speaks of all end-to-end tests.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import generate, ground, programs, times
from .console import say
from .parts import ANY_CODE, Ended, Part, run_parts
from .run import StepFailed, log_to, run
from .settings import ROOT, Paths
from .steps import Step, run_steps
from .venv import ansible, docs, supply, venv

LAB = ("test_sanity.py", "test_views.py", "test_root_squash.py", "test_switch.py")
"""What a change breaks first: CSI conformance, what a pod sees, live switch, root_squash."""
UNIT_WORKERS = 4
"""More than the cores of the smallest machine: a third of the unit tests' time is waiting for mounts and processes."""
E2E_WORKERS = 3
"""More would only wait for each other: three groups of tests take most of the time."""
AUDIT, AUDIT_SECONDS = "known holes (a report)", 30
SIDE_BY_SIDE, ALONE = "end-to-end tests, side by side", "end-to-end tests, alone"
NO_TESTS = 5
"""pytest's exit code when a selection is empty: with -k either end-to-end run may have nothing to do."""


@dataclass(frozen=True)
class Options:
    """What was asked for. ``expression``: pytest's -k for the last kind of tests, empty for all of them."""

    unit: bool = False
    long: bool = False
    chart: str = ""
    expression: str = ""

    @property
    def selection(self) -> tuple[str, ...]:
        """-k for pytest, or nothing."""
        return ("-k", self.expression) if self.expression else ()


@dataclass(frozen=True)
class Plan:
    """Stages that follow each other, each of parts side by side; then one command in the foreground."""

    stages: tuple[tuple[Part, ...], ...]
    last: Part


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of hack/test."""
    parser.add_argument("--unit", action="store_true", help="without a cluster and without the lab")
    parser.add_argument("--long", action="store_true", help="what is too long for every change, too; all kernels")
    parser.add_argument("--chart", default="", metavar="PATH", help="end-to-end tests with hubs from this .tgz")
    parser.add_argument("-k", default="", dest="expression", metavar="EXPR", help="only these of the last kind of test")


def plan(options: Options, reports: Path) -> Plan:
    """What to run. ``reports``: directory for the parts' JUnit XML and for what one pytest run tells the next."""
    checks = (
        Part("ruff check", "checks", ("ruff", "check", ".")),
        Part("ruff format", "checks", ("ruff", "format", "--check", ".")),
        Part("mypy --strict", "checks", ("mypy",)),
        Part("import directions", "checks", ("lint-imports",)),
    )
    manual = Part("manual", "manual", _devcluster("manual"))
    aws = Part("template for AWS", "manual", _devcluster("ground"))
    chain = (
        Part("bills of materials", "supply", ("./hack/sbom", "--locks", "--output", str(reports / "sbom"))),
        Part(AUDIT, "supply", ("./hack/audit", "--seconds", str(AUDIT_SECONDS)), fine=ANY_CODE),
    )
    generated = Part("generated files", "first", _devcluster("drift"))
    unit_xml, e2e_xml, told = reports / "unit.xml", reports / "e2e.xml", reports / "e2e-side-by-side.jsonl"
    unit = _pytest(
        *("-n", str(UNIT_WORKERS), "--dist", "worksteal", "--durations=10", f"--junitxml={unit_xml}"),
        *(() if options.long else ("-m", "not long")),
    )
    if options.unit:
        last = Part("unit tests", "last", (*unit, *options.selection, "tests/unit"), report=unit_xml)
        return Plan(((generated,), (*checks, manual, aws, *chain)), last)
    repair = Part("repair", "first", _devcluster("repair"))
    lab = ("--kernel", "all", "--long", "--timeout", "7200") if options.long else LAB
    # the cluster comes before the unit tests: it builds helm, which the charts' tests need
    second = (*checks, manual, aws, *chain, Part("cluster", "cluster", ("./hack/up",)))
    words = (*(("--long",) if options.long else ()), *(("--chart", options.chart) if options.chart else ()))
    e2e = (*_pytest("-p", "tests.e2e.two_runs", "--durations=10", *words, *options.selection), "tests/e2e")
    units = Part("unit tests", "tests", (*unit, "-q", "tests/unit"), report=unit_xml)
    kernels = Part(
        "node plugin on a real kernel (hack/lab)",
        "lab",
        ("./hack/lab", "--junit", str(reports / "lab"), *lab),
        report=reports / "lab",
    )
    beside = (*e2e, "-n", str(E2E_WORKERS), "--dist", "loadfile", "--tell", str(told))
    # in the lane of the unit tests: the lab, which takes one core, goes on beside it. That of all kernels takes both:
    # beside it an API server gets no turn for ten seconds, beside unit tests a NAS does not answer for twenty, and
    # tests fail that are right
    side_by_side = Part(SIDE_BY_SIDE, "tests", beside, fine=(0, NO_TESTS))
    # built before: beside end-to-end tests it would starve them
    controller = Part("ingress controller", "tests", _devcluster("ingress-controller"))
    after = ((units, controller), (kernels,), (side_by_side,)) if options.long else ((units, kernels, side_by_side),)
    last = Part(ALONE, "last", (*e2e, "-m", "alone", "--told", str(told), f"--junitxml={e2e_xml}"), report=e2e_xml)
    return Plan(((repair, generated), second, *after), last)


def _pytest(*words: str) -> tuple[str, ...]:
    return ("python", "-m", "pytest", *words)


def _devcluster(command: str) -> tuple[str, ...]:
    """A command of this package, by the Python that runs it now."""
    start = f"import sys; sys.path.insert(0, {str(ROOT / 'hack/lib')!r}); from devcluster.main import main; "
    return (sys.executable, "-c", f"{start}sys.exit(main([{command!r}]))")


def environment(paths: Paths) -> dict[str, str]:
    """The variables that the parts run with: the project's Python environment and Node.js first on PATH, a mkfs.erofs
    that writes catalogs, the Python of hack/sbom, the hub's proxy. Makes what is missing. Raises StepFailed when there
    is no Python environment."""
    made = venv()
    run_steps([Step("python environment", "python", lambda: made.ensure(paths)[1])], paths.logs)
    python = made.path(paths)
    environ = {**os.environ, "PATH": f"{python / 'bin'}:{programs.node(python) / 'bin'}:{os.environ['PATH']}"}
    environ.pop("PYTHONPATH", None)  # hack/lib, for this process only: the environment has the project itself
    # thousands of processes, and each worker of pytest: half of collecting 11,000 tests is compiling them
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if not {"PDSHUB_MKFS_EROFS", "PDSHUB_SQFSTAR"} <= environ.keys():
        from labvm.newer import programs as newer

        try:
            with log_to(paths.logs / "mkfs.erofs.log"):
                tools = newer().ensure(paths)[0] / "bin"
            environ.setdefault("PDSHUB_SQFSTAR", str(tools / "sqfstar"))
            if not _writes_catalogs():
                environ.setdefault("PDSHUB_MKFS_EROFS", str(tools / "mkfs.erofs"))
        except StepFailed as error:
            say(f"programs of Debian 13 could not be had, tests that write catalogs are skipped: {error}")
    if "PDSHUB_SUPPLY_PYTHON" not in environ:
        try:
            with log_to(paths.logs / "supply-venv.log"):
                environ["PDSHUB_SUPPLY_PYTHON"] = str(supply().ensure(paths)[0] / "bin/python")
        except StepFailed as error:
            say(f"CycloneDX's library could not be had, tests of bills of materials are skipped: {error}")
    if "PDSHUB_CFN_LINT" not in environ:
        try:
            with log_to(paths.logs / "aws-venv.log"):
                environ["PDSHUB_CFN_LINT"] = str(ground.environment().ensure(paths)[0] / "bin/cfn-lint")
        except StepFailed as error:
            say(f"cfn-lint could not be had, tests that need it are skipped: {error}")
    if not shutil.which("ansible-playbook", path=environ["PATH"]):
        try:
            with log_to(paths.logs / "ansible-venv.log"):
                # last on PATH: its Python is for Ansible alone
                environ["PATH"] += f":{ansible().ensure(paths)[0] / 'bin'}"
        except StepFailed as error:
            say(f"Ansible could not be had, tests that need it are skipped: {error}")
    return {**environ, **programs.environment(paths, python)}


def _writes_catalogs() -> bool:
    """Whether the system's mkfs.erofs is 1.8 or newer."""
    if not shutil.which("mkfs.erofs"):
        return False
    told = subprocess.run(["mkfs.erofs", "--help"], capture_output=True, text=True, check=False)
    return "headerball" in told.stdout + told.stderr


def test(paths: Paths, options: Options) -> int:
    """Run everything; returns 0 when nothing failed, else what pytest's last run said, or 1."""
    began, kind = time.monotonic(), times.kind_of_run(paths)
    reports = paths.cache / "tests"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    environ = environment(paths)
    programs.install(paths)
    code, ended = run_plan(plan(options, reports), paths.logs, environ)
    if not code and not options.expression:
        usual = not (options.unit or options.long or options.chart)
        times.record(paths, ended, {kind: time.monotonic() - began} if usual else {}, ROOT)
    return code


def run_plan(what: Plan, logs: Path, environ: Mapping[str, str]) -> tuple[int, list[Ended]]:
    """Run a plan: the exit code, and how each part ended.

    Every part runs whatever came of the others; those that failed are named before the last one, whose output is the
    last.
    """
    ended: list[Ended] = []
    for stage in what.stages:
        ended += run_parts(stage, logs, ROOT, environ)
    if slow := times.slowest([end.part for end in ended], ROOT):
        print("== the ten slowest tests so far")
        print("\n".join(times.lines(slow)), flush=True)
    failed = [end.part.name for end in ended if end.failed]
    if failed:
        print(f"== FAILED before the last run of pytest: {', '.join(failed)}", flush=True)
    last = _foreground(what.last, environ)
    return 1 if failed else last.code, [*ended, last]


def _foreground(part: Part, environ: Mapping[str, str]) -> Ended:
    """Run the last part with this terminal."""
    began = time.monotonic()
    code = subprocess.run(part.command, cwd=ROOT, env=dict(environ), check=False).returncode
    return Ended(part, code, time.monotonic() - began, Path(os.devnull))


def drift(paths: Paths) -> None:
    """Generate what is committed; raises StepFailed when that changed a file."""
    with tempfile.TemporaryDirectory() as kept:
        folders = [ROOT / "crds", ROOT / "charts/pdshub/files/crds", ROOT / "deploy/aws/templates"]
        for number, folder in enumerate(folders):
            shutil.copytree(folder, Path(kept, str(number)))
        generate.stubs(paths, say)
        generate.crds(paths, say)
        ground.template(paths, say)
        for number, folder in enumerate(folders):
            done = subprocess.run(["diff", "-r", Path(kept, str(number)), folder], check=False)
            if done.returncode:
                raise StepFailed("generated files were not current; now they are: commit them")


def manual(paths: Paths) -> None:
    """Build the manual, with every page and link of docs/. Raises StepFailed with what mkdocs says."""
    # not with --quiet: mkdocs counts only the warnings that it prints
    mkdocs = docs().ensure(paths)[0] / "bin/mkdocs"
    with tempfile.TemporaryDirectory() as site:
        run([mkdocs, "build", "--strict", "--site-dir", site], cwd=ROOT, env={"NO_MKDOCS_2_WARNING": "1"})
