"""The command: prepare what is missing, boot each kernel, run tests/lab in it, say how it went."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from devcluster import generate, golang
from devcluster.artefact import Artefact, lock
from devcluster.console import complain, say
from devcluster.run import StepFailed, log_to, run
from devcluster.settings import ROOT, Paths
from devcluster.venv import ansible, venv

from . import machine, newer, packages

DEFAULT_TIMEOUT = 3600
"""Seconds for one kernel. No test's bound: it only ends a machine that hangs. What takes ten minutes on a quiet machine
took more than twenty where six threads wanted two busy cores."""
GUEST = Path(__file__).with_name("guest.sh")


def at_least_one(text: str) -> int:
    """A number of kernels. Raises argparse.ArgumentTypeError: with none nothing would ever begin."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text}: want 1 or more")
    return int(text)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="hack/lab",
        description="Run tests/lab in a virtual machine with a Debian kernel, kernel nfsd and kernel NFS client.",
        epilog="Everything else goes to pytest, for example: ./hack/lab --kernel all -k sanity -x",
    )
    p.add_argument("--kernel", choices=[*packages.KERNELS, "all"], default="6.12", help="default: 6.12")
    p.add_argument("--delay", type=float, default=0, metavar="MS", help="round-trip time of the NFS server")
    p.add_argument("--long", action="store_true", help="the tests marked long, too")
    p.add_argument("--timeout", type=float, default=DEFAULT_TIMEOUT, metavar="S", help="seconds for one kernel")
    p.add_argument(
        "--at-once", type=at_least_one, default=os.cpu_count() or 1, metavar="N", help="kernels side by side"
    )
    p.add_argument("--junit", type=Path, metavar="DIR", help="keep pytest's XML reports here, one a kernel")
    p.add_argument("--script", metavar="SHELL", help="run this in the prepared machine instead of pytest")
    p.add_argument("--results", type=Path, metavar="DIR", help="keep what a --script leaves in $LAB_RESULTS here")
    p.add_argument("--also", action="append", default=[], metavar="DIR", help="of the project, for a --script")
    p.add_argument("--memory", default=machine.MEMORY, help=f"of the machine, default {machine.MEMORY}")
    return p


def main(argv: list[str]) -> int:
    """Run the command; 0 when every test passed on every kernel asked for."""
    args, rest = parser().parse_known_args(argv)
    paths = Paths.from_environment()
    try:
        (paths.cache / "lab").mkdir(parents=True, exist_ok=True)
        with log_to(paths.logs / "lab.log"):
            if os.geteuid():
                raise StepFailed("run this as root: the guest sees this machine's files as its own")
            if (args.results or args.junit) and paths.cache.resolve().is_relative_to("/tmp"):  # noqa: S108
                raise StepFailed(f"the cache is {paths.cache}: the guest's /tmp is memory, results there are lost")
            with lock(paths.locks / "lab", lambda: say("another hack/lab is at work: waiting for it")):
                for left in (paths.cache / "lab").glob("*-*"):  # by a run that was killed
                    if left.is_dir():
                        shutil.rmtree(left, ignore_errors=True)
                return lab(paths, args, rest)
    except StepFailed as e:
        complain(f"\nFAILED: {e}")
        return 1
    except KeyboardInterrupt:
        complain("\ninterrupted")
        return 130


def ensure(paths: Paths, artefact: Artefact, what: str) -> Path:
    """The artefact's folder; says so when it has to be made."""
    if not artefact.exists(paths):
        say(what)
    return artefact.ensure(paths)[0]


def lab(paths: Paths, args: argparse.Namespace, rest: list[str]) -> int:
    packages.install()
    environment = ensure(paths, venv(), "Python environment of the project")
    generate.stubs(paths, lambda _: None)
    tools = ensure(paths, packages.tools(), "NFS server, unpacked beside the system")
    newest = ensure(paths, newer.programs(), "mkfs.erofs and more of Debian 13, unpacked beside the system")
    virtme = ensure(paths, machine.virtme(), f"virtme-ng {machine.VIRTME}")
    ansible_made = ensure(paths, ansible(), "Ansible")
    sanity = ensure(paths, golang.tool(paths, "csi-sanity"), "csi-sanity")
    s3 = ensure(paths, golang.tool(paths, "versitygw"), "versitygw, an S3 service")
    with tempfile.TemporaryDirectory(prefix="project-", dir=paths.cache / "lab") as project:
        snapshot(Path(project), environment, args.also)
        folders = {
            "venv": environment,
            "tools": tools,
            "sanity": sanity,
            "s3": s3,
            "newer": newest,
            "ansible": ansible_made,
            "project": Path(project),
        }
        machines = {}
        for series in packages.KERNELS if args.kernel == "all" else [args.kernel]:
            kernel = ensure(paths, packages.kernel(series), f"Debian's kernel {series}")
            machines[series] = dataclasses.replace(machine.choose(paths, kernel, virtme, say), memory=args.memory)
        lines = {series: Lines(f"{series}: " if len(machines) > 1 else "") for series in machines}
        work = {
            series: functools.partial(one, paths, vm, series, args, rest, folders, lines[series].show)
            for series, vm in machines.items()
        }
        results = side_by_side(work, args.at_once)
        for left in lines.values():
            left.end()
    for series, result in results.items():
        say(f"kernel {series}: {result}")
    return 0 if set(results.values()) == {"passed"} else 1


class Lines:
    """Shows what a guest prints; beside other guests whole lines with a word before them."""

    _mine = threading.Lock()

    def __init__(self, word: str) -> None:
        self._word, self._rest = word.encode(), b""

    def show(self, data: bytes) -> None:
        """Print it, or keep what is no line yet."""
        if self._word:
            *lines, self._rest = (self._rest + data).split(b"\n")
            data = b"".join(self._word + line + b"\n" for line in lines)
        with self._mine:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def end(self) -> None:
        """Print what never became a line."""
        if self._rest:
            self.show(b"\n")


def side_by_side(work: Mapping[str, Callable[[], str]], at_once: int) -> dict[str, str]:
    """Do all of it, so many at once: what came of each. One that breaks is a result too, and keeps no other from its
    end. Threads are daemons: who interrupts waits for none of them, and takes their machines along."""
    results: dict[str, str] = {}
    slots = threading.Semaphore(at_once)

    def do(name: str) -> None:
        with slots:
            try:
                results[name] = work[name]()
            except StepFailed as error:
                results[name] = f"failed: {error}"

    threads = [threading.Thread(target=do, args=(name,), daemon=True) for name in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: results.get(name, "failed: it ended without a word") for name in work}


def selection(words: list[str]) -> list[str]:
    """pytest's arguments: files may be named without tests/lab/, and none means all of them."""
    found = [f"tests/lab/{w}" if (ROOT / "tests/lab" / w.partition("::")[0]).is_file() else w for w in words]
    return found if any((ROOT / w.partition("::")[0]).exists() for w in found) else [*found, "tests/lab"]


def snapshot(project: Path, environment: Path, also: list[str]) -> None:
    """Copy what the guest runs: it caches files, and must not meet one that changes during a run.

    With byte code, which the guest can't write and would take long to make under emulation.
    """
    # of the unit tests scenarios with real mounts: test_s3.py
    scenarios = ("tests/unit/node", "tests/unit/backup", "tests/unit/archive")
    for name in ("operator/pdshub", "deploy/machine", "ansible", "tests/lab", *scenarios, *also):
        shutil.copytree(ROOT / name, project / name)
    for module in (*(ROOT / "tests").glob("*.py"), ROOT / "tests/unit/__init__.py"):
        shutil.copy(module, project / module.relative_to(ROOT))
    shutil.copy(ROOT / "pyproject.toml", project)
    (project / "docs").mkdir(exist_ok=True)
    shutil.copy(ROOT / "docs/recover-machine.md", project / "docs")  # whose commands are given
    run([environment / "bin/python", "-m", "compileall", "-q", project])


def one(
    paths: Paths,
    vm: machine.Machine,
    series: str,
    args: argparse.Namespace,
    rest: list[str],
    folders: dict[str, Path],
    show: Callable[[bytes], None],
) -> str:
    """Run on one kernel: ``passed``, or what went wrong. ``show`` gets what it prints. Raises StepFailed."""
    begun = time.monotonic()
    console = paths.logs / f"lab-{series}.log"
    say(f"kernel {vm.image.name.removeprefix('vmlinuz-')}, {'KVM' if vm.kvm else 'emulated'}; console: {console}")
    with tempfile.TemporaryDirectory(prefix="run-", dir=paths.cache / "lab") as shared:
        results = Path(shared) / "results"
        results.mkdir()
        marks = [] if args.long else ["-m", "not long"]
        color = "yes" if sys.stdout.isatty() else "no"  # the guest's own answer is always yes
        pytest = ["-p", "no:cacheprovider", "--tb=short", f"--color={color}", "--durations=8", *marks]
        pytest += [f"--junitxml={shared}/junit.xml", *selection(rest)]
        script = machine.quoted(
            [
                "env",
                f"LAB_ROOT={folders['project']}",
                f"LAB_VENV={folders['venv']}",
                f"LAB_TOOLS={folders['tools']}",
                f"LAB_SANITY={folders['sanity']}/csi-sanity",
                f"PDSHUB_VERSITYGW={folders['s3']}/versitygw",
                f"LAB_NEWER={folders['newer']}",
                f"LAB_ANSIBLE={folders['ansible']}",
                f"LAB_RESULTS={results}",
                f"LAB_MACHINE={'KVM' if vm.kvm else 'emulated'}",
                f"LAB_DELAY_MS={args.delay:g}",
                f"LAB_SCRIPT={args.script or ''}",
                "bash",
                GUEST,
                *pytest,
            ]
        )
        # a kernel's command line is short: the script goes through the shared folder
        entry = Path(shared) / "run"
        entry.write_text(script + "\n")

        code = machine.booted(vm, f"sh {entry}", console, args.timeout, show, Path(shared), say)
        report = Path(shared) / "junit.xml"
        if args.junit and report.exists():
            args.junit.mkdir(parents=True, exist_ok=True)
            shutil.copy(report, args.junit / f"lab-{series}.xml")
        if args.results:
            shutil.copytree(results, args.results, dirs_exist_ok=True)
    say(f"kernel {series}: {time.monotonic() - begun:.0f} s, exit code {code}")
    return "passed" if code == 0 else f"failed (exit code {code})"
