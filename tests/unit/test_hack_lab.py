"""The pure parts of hack/lab: what it asks of apt and QEMU, and what it says when it can't have it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from devcluster import machine as host
from devcluster.run import StepFailed
from labvm import machine, main, packages
from labvm.machine import BOOTS as BOOTS_AT_MOST
from labvm.machine import EMULATED, Machine


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("answer", "code", "installed"),
    [
        ("installed", 0, True),
        ("not-installed", 0, False),  # another package mentions it
        ("half-configured", 0, False),
        ("", 1, False),
    ],
)
def test_package_is_installed(programs: Path, answer: str, code: int, installed: bool) -> None:
    program(programs, "dpkg-query", f"echo {answer}; exit {code}")
    assert host.installed("kmod") is installed


def test_machine_without_qemu_is_told_so(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "install_packages", lambda _: None)
    with pytest.raises(StepFailed, match=r"qemu-system-x86_64 is not on PATH and apt has no package"):
        packages.install()


def test_apt_failure_says_what_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise StepFailed("apt-get ended with 100")

    monkeypatch.setattr(packages, "install_packages", fails)
    with pytest.raises(StepFailed, match=r"virtual machine needs qemu-system-x86, .*: apt-get ended with 100"):
        packages.install()


def test_other_processors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(StepFailed, match="this machine is aarch64"):
        packages.install()


@pytest.mark.parametrize(
    ("words", "selected"),
    [
        ([], ["tests/lab"]),
        (["-k", "sanity", "-x"], ["-k", "sanity", "-x", "tests/lab"]),
        (["test_views.py"], ["tests/lab/test_views.py"]),
        (["tests/lab/test_views.py"], ["tests/lab/test_views.py"]),
        (["test_views.py::test_root_writes_nothing"], ["tests/lab/test_views.py::test_root_writes_nothing"]),
    ],
)
def test_selection(words: list[str], selected: list[str]) -> None:
    assert main.selection(words) == selected


@pytest.mark.parametrize("kvm", [True, False])
def test_virtual_machine_writes_to_one_folder(tmp_path: Path, kvm: bool) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.1").touch()
    words = Machine(tmp_path, tmp_path, EMULATED, kvm).command("true", Path("/shared"))
    assert words[words.index("--rwdir") + 1] == "/shared"
    assert words.count("--rwdir") == 1
    assert "--rw" not in words
    assert ("--disable-kvm" in words) is not kvm


def test_kernels_run_side_by_side_and_one_that_breaks_is_a_result() -> None:
    both = threading.Barrier(2, timeout=20)

    def passed() -> str:
        both.wait()  # only where both run
        return "passed"

    def breaks() -> str:
        both.wait()
        raise StepFailed("the virtual machine broke")

    assert main.side_by_side({"6.1": passed, "6.12": breaks}, 2) == {
        "6.1": "passed",
        "6.12": "failed: the virtual machine broke",
    }


def test_no_more_kernels_at_once_than_asked_for() -> None:
    now, most = [0], [0]

    def work() -> str:
        now[0] += 1
        most[0] = max(most[0], now[0])
        time.sleep(0.01)
        now[0] -= 1
        return "passed"

    assert set(main.side_by_side({str(n): work for n in range(4)}, 1).values()) == {"passed"} and most[0] == 1


@pytest.mark.parametrize(
    ("word", "pieces", "shown"),
    [
        ("", [b"..", b".\n"], "...\n"),
        ("6.1: ", [b"..", b".\nab", b"c\n\nleft"], "6.1: ...\n6.1: abc\n6.1: \n"),
    ],
)
def test_guests_beside_each_other_speak_in_whole_lines(
    word: str, pieces: list[bytes], shown: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    lines = main.Lines(word)
    for piece in pieces:
        lines.show(piece)
    assert capfdbinary.readouterr().out.decode() == shown
    lines.end()
    assert capfdbinary.readouterr().out.decode() == (f"{word}left\n" if word else "")


@pytest.mark.parametrize("number", ["0", "-1", "two", ""])
def test_no_kernel_at_once_is_refused_instead_of_waited_for(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.parser().parse_args([f"--at-once={number}"])
    assert "want 1 or more" in capsys.readouterr().err


PANIC = "echo 'Kernel panic - not syncing: Fatal exception' >&2; exit 1"
BOOTS: dict[str, tuple[list[str], str, int]] = {
    "it comes up": (["echo hello"], "", 1),
    "at the second time": ([PANIC, "echo hello"], "", 2),
    "not at all": ([PANIC] * 5, "Kernel panic", BOOTS_AT_MOST),
    "it breaks at work": (["echo begun; sleep 0.3; " + PANIC, "echo hello"], "Kernel panic", 1),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="a namespace of its own needs root")
@pytest.mark.parametrize(("scripts", "error", "times"), BOOTS.values(), ids=BOOTS)
def test_a_kernel_that_does_not_come_up_is_started_anew(
    tmp_path: Path, scripts: list[str], error: str, times: int
) -> None:
    """An emulator's own fault, a kernel's later one is not."""

    class Fake(Machine):
        def command(self, script: str, shared: Path | None) -> list[str]:
            started.append(script)
            return ["sh", "-c", scripts[len(started) - 1]]

    started, shown, said = list[str](), list[bytes](), list[str]()
    fake = Fake(tmp_path, tmp_path, EMULATED, kvm=False)
    arguments = (fake, "x", tmp_path / "console", 60, shown.append, None, said.append)
    if error:
        with pytest.raises(StepFailed, match=error):
            machine.booted(*arguments)
    else:
        assert machine.booted(*arguments) == 0 and b"".join(shown) == b"hello\n"
    assert len(started) == times and len(said) == times - 1
