"""The virtual machine: started by virtme-ng, bounded in time, gone with this process."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.artefact import Artefact, digest
from devcluster.run import StepFailed, output, run
from devcluster.settings import Paths
from devcluster.venv import interpreter

VIRTME = "1.42"
"""Version of the PyPI package virtme-ng."""
CPUS = 2
MEMORY = "2G"
EMULATED = "Westmere"
"""x86-64-v2, all that Python wheels ask for, and without the wide vectors that are slow to emulate."""
KVM_CPUS = ("host", "host,-arch-capabilities")
"""Tried in this order; some nested hypervisors refuse the second one's register."""
KVM_TRIAL_SECONDS = 30
QEMU_ENDED = 255
"""virtme-run's exit code when the machine ended without the script's own exit code."""
BROKEN = re.compile(rb"KVM internal error|qemu-system-x86_64: (?!warning)|Kernel panic")
BOOTS = 3
"""How often a machine is started that breaks before its script says a word. A kernel changes its own instructions while
it comes up, and an emulator of several processors now and then runs half of an old one (int3 in sched_clock_cpu)."""
KERNEL_OPTIONS = ("mitigations=off", "nokaslr", "loglevel=4", "panic=-1")
_PR_SET_PDEATHSIG = 1


class Broke(StepFailed):
    """The machine broke. ``why``: the line of its console; ``silent``: before its script had said a word."""

    def __init__(self, text: str, why: str, silent: bool) -> None:
        super().__init__(f"{text}\n{why}")
        self.why, self.silent = why, silent


@dataclass(frozen=True)
class Machine:
    """What a boot needs: a kernel's folder (boot/, lib/modules/), virtme-ng's venv, and how to run."""

    kernel: Path
    virtme: Path
    cpu: str
    kvm: bool
    memory: str = MEMORY

    @property
    def image(self) -> Path:
        return next((self.kernel / "boot").glob("vmlinuz-*"))

    def command(self, script: str, shared: Path | None) -> list[str]:
        """virtme-run's command line; ``shared`` is the only folder that the guest can write to."""
        words = [str(self.virtme / "bin/python"), "-I", str(Path(__file__).with_name("run_virtme.py"))]
        words += ["--kimg", str(self.image), "--mods", "auto", "--cpus", str(CPUS), "--memory", self.memory]
        words += ["--force-9p", "--show-boot-console", "--script-sh", script]
        words += ["--rwdir", str(shared)] if shared else []
        words += [] if self.kvm else ["--disable-kvm"]
        for option in KERNEL_OPTIONS:
            words += ["--kopt", option]
        return [*words, "--qemu-opts", "-cpu", self.cpu, "-nodefaults"]


def virtme() -> Artefact:
    """A venv with virtme-ng."""

    def build(work: Path) -> None:
        run(["python3", "-m", "venv", "--clear", work])
        run([work / "bin/python", "-m", "pip", "install", "--disable-pip-version-check", f"virtme-ng=={VIRTME}"])

    return Artefact("lab-virtme", digest([VIRTME, interpreter()]), build, in_place=True)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def started(command: Sequence[str], console: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``command`` in a process namespace of its own: whatever ends this process takes QEMU with it.

    Standard error (the guest's console and QEMU's complaints) goes to ``console``.
    """
    words = ["unshare", "--pid", "--fork", "--kill-child", *command]
    with console.open("wb") as err:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, preexec_fn=_die_with_parent
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def boot(
    machine: Machine,
    script: str,
    console: Path,
    timeout: float,
    show: Callable[[bytes], None],
    shared: Path | None = None,
) -> int:
    """Run ``script`` in the guest and return its exit code; ``show`` gets its output as it comes.

    Raises Broke when the machine breaks, StepFailed when it takes longer than ``timeout`` seconds.
    """
    deadline, silent = time.monotonic() + timeout, True
    with started(machine.command(script, shared), console) as process:
        pipe = process.stdout
        while pipe:
            left = deadline - time.monotonic()
            if left <= 0:
                raise StepFailed(f"the virtual machine was still running after {timeout:.0f} s; console: {console}")
            ready, _, _ = select.select([pipe], [], [], min(left, 1))
            if ready:
                data = os.read(pipe.fileno(), 65536)
                if not data:
                    break
                silent = False
                show(data)
            elif BROKEN.search(console.read_bytes()):
                break
        if BROKEN.search(console.read_bytes()):
            lines = console.read_text(errors="replace").splitlines()
            why = next((line for line in lines if BROKEN.search(line.encode())), "")
            raise Broke("\n".join([f"the virtual machine broke; console: {console}", *lines[:8]]), why, silent)
        return process.wait(timeout=60)


def booted(
    machine: Machine,
    script: str,
    console: Path,
    timeout: float,
    show: Callable[[bytes], None],
    shared: Path | None,
    say: Callable[[str], None],
) -> int:
    """``boot``, again where the kernel did not come up. What breaks later is for people to look at."""
    for _ in range(BOOTS - 1):
        try:
            return boot(machine, script, console, timeout, show, shared)
        except Broke as error:
            if not error.silent:
                raise
            say(f"the kernel did not come up ({error.why}): started once more")
    return boot(machine, script, console, timeout, show, shared)


def choose(paths: Paths, kernel: Path, virtme_dir: Path, say: Callable[[str], None]) -> Machine:
    """KVM where a trial boot succeeds with it, else emulation. The answer is kept for this host.

    A device /dev/kvm that opens proves nothing: some hosts can run only kernels made for them.
    """
    key = digest([Path("/proc/version").read_text(), output(["qemu-system-x86_64", "--version"]), "3"])
    note = paths.cache / "lab" / f"accel-{key}"
    emulated = Machine(kernel, virtme_dir, EMULATED, kvm=False)
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return emulated
    if note.exists():
        cpu = note.read_text().strip()
        return Machine(kernel, virtme_dir, cpu, kvm=True) if cpu else emulated
    for cpu in KVM_CPUS:
        say(f"trying KVM (cpu {cpu})")
        machine = Machine(kernel, virtme_dir, cpu, kvm=True)
        try:
            code = boot(machine, "exit 42", paths.logs / "lab-kvm.log", KVM_TRIAL_SECONDS, lambda _: None)
        except StepFailed:
            continue
        if code == 42:
            note.write_text(cpu)
            return machine
        if code != QEMU_ENDED:
            raise StepFailed(f"virtme-ng ended with {code}; log: {paths.logs / 'lab-kvm.log'}")
    say("KVM can't run this kernel here: emulating")
    note.write_text("")
    return emulated


def quoted(words: Sequence[str | Path]) -> str:
    """``words`` as one line of shell."""
    return " ".join(shlex.quote(str(w)) for w in words)
