"""A program under a clock of its own, which jumps: what libfaketime does, for programs that do not ask libc.

restic is a static Go program and reads the time from the kernel's vDSO, so LD_PRELOAD does not reach it. This puts
another ``clock_gettime`` into the vDSO of the one process, before its first instruction: the same system call, and for
the clock of the calendar some seconds more. The clocks that only go forward stay as they are, as they do when somebody
sets the time. How many seconds is read from a file again and again (replace it whole), so a
clock jumps while its program runs. What the program starts has the right time.

``python clock.py SECONDS-FILE PROGRAM ARGUMENTS...`` becomes the program, with this process's pid.

Source: vdso(7), ptrace(2), proc(5) on /proc/PID/mem; Chaos Mesh's TimeChaos does the same.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
import time
from pathlib import Path
from typing import BinaryIO

SEIZE, DETACH, TRACE_EXEC = 0x4206, 17, 0x10
SET_PTRACER, ANYBODY = 0x59616D61, ctypes.c_ulong(-1)
WALL = 0x40000000
NAME = b"__vdso_clock_gettime"
CODE = (
    b"\xb8\xe4\x00\x00\x00"  # mov eax, clock_gettime
    b"\x0f\x05"  # syscall
    b"\x85\xff"  # test edi, edi: CLOCK_REALTIME is 0
    b"\x75\x0a"  # jne out
    b"\x48\x8b\x0d\x05\x00\x00\x00"  # mov rcx, [rip + 5]
    b"\x48\x01\x0e"  # add [rsi], rcx
    b"\xc3"  # out: ret
)
SECONDS = 24
"""Where the seconds lie, behind the code, in a place that is written in one go."""
EVERY = 0.02
_libc = ctypes.CDLL(None, use_errno=True)


def works() -> bool:
    """Whether this machine can do it."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def _called(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _ptrace(request: int, pid: int, data: int = 0) -> None:
    _called(_libc.ptrace(request, pid, None, ctypes.c_void_p(data)), "ptrace")


def _symbol(image: bytes) -> int:
    """Where the function lies in a vDSO. Source: elf(5), Elf64_Ehdr, Elf64_Shdr, Elf64_Sym."""
    (table,), (size, count) = struct.unpack_from("<Q", image, 0x28), struct.unpack_from("<HH", image, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, table + n * size) for n in range(count)]
    symbols = next(s for s in sections if s[1] == 11)  # SHT_DYNSYM
    names = sections[symbols[6]][4]
    for at in range(symbols[4], symbols[4] + symbols[5], 24):
        name, _, _, _, value, length = struct.unpack_from("<IBBHQQ", image, at)
        if image[names + name :].startswith(NAME + b"\0"):
            assert length >= SECONDS + 16, "the function is too short to be replaced"
            return int(value)
    raise LookupError(NAME)


def _replaced(pid: int) -> tuple[BinaryIO, int]:
    """Replace the function of a process that is stopped; its memory, and where the seconds lie."""
    line = next(one for one in Path(f"/proc/{pid}/maps").read_text().splitlines() if one.endswith("[vdso]"))
    begin, end = (int(part, 16) for part in line.split()[0].split("-"))
    memory = open(f"/proc/{pid}/mem", "r+b", buffering=0)  # noqa: SIM115 it stays open for as long as the process lives
    memory.seek(begin)
    function = begin + _symbol(memory.read(end - begin))
    code = CODE.ljust(SECONDS, b"\x90")
    # the seconds on a boundary of eight bytes: nobody sees half of them
    shift = -function % 8
    code = CODE[:14] + struct.pack("<I", SECONDS + shift - 18) + CODE[18:]
    memory.seek(function)
    memory.write(code)
    return memory, function + SECONDS + shift


def _keep(pid: int, file: Path, ready: int) -> None:
    """Be the clock of a process that is about to become a program."""
    _ptrace(SEIZE, pid, TRACE_EXEC)
    os.write(ready, b"!")
    os.closerange(0, 3)  # nobody waits for the end of a pipe because of this process
    os.waitpid(pid, WALL)
    memory, place = _replaced(pid)
    now: int | None = None
    traced = True
    while True:
        if (wanted := int(file.read_text())) != now:
            memory.seek(place)
            try:
                memory.write(struct.pack("<q", wanted))
            except OSError:  # the program has ended
                return
            now = wanted
        if traced:
            _ptrace(DETACH, pid)
            traced = False
        time.sleep(EVERY)
        if not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][1] in "ZX":
            return


def main() -> None:
    file, *argv = sys.argv[1:]
    reading, writing = os.pipe()
    pid = os.getpid()
    _libc.prctl(SET_PTRACER, ANYBODY, 0, 0, 0)
    if os.fork() == 0:
        try:
            _keep(pid, Path(file), writing)
        finally:
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 1) == b"!", "this machine lets no process be another's clock"
    os.execvp(argv[0], argv)  # noqa: S606 no shell is wanted


if __name__ == "__main__":
    main()
