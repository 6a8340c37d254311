"""The log on its volume: chained, rotated, forgotten from its oldest end, mended after a kill, whole on a full disk."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdshub.audit_log import entry, log_files, verify
from pdshub.audit_log.log import AuditLog

BIG = 1 << 30


def opened(folder: Path, retain: int = BIG, file_bytes: int = 8 << 20) -> AuditLog:
    made = AuditLog(folder, retain, file_bytes)
    made.open()
    return made


def lines(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(raw)
        for number in log_files.numbers(folder)
        for raw in log_files.lines(log_files.path(folder, number))
    ]


def codes(folder: Path, at: tuple[int, str] | None = None) -> list[str]:
    return [problem["code"] for problem in verify.verify(folder, at).problems]


def sign_in(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"event": "sign-in", "user": f"u{number}@example.org", **more}


def test_entries_are_numbered_and_chained(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append([sign_in(1), sign_in(2)])
    log.append([sign_in(3)])
    log.close()
    found = lines(tmp_path)
    assert [each["event"] for each in found] == ["log-opened", "sign-in", "sign-in", "sign-in"]
    assert [each["n"] for each in found] == [1, 2, 3, 4]
    raw = log_files.path(tmp_path, 1).read_bytes().splitlines(keepends=True)
    assert [each["prev"] for each in found] == ["", *(entry.digest(line) for line in raw[:-1])]
    verdict = verify.verify(tmp_path)
    assert (verdict.wire()["unchanged"], verdict.entries, verdict.last) == (True, 4, 4)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    log = opened(tmp_path)
    # record locks are a process's own: another process asks
    code = (
        "import sys; from pathlib import Path; from pdshub.audit_log.log import AuditLog, LockedError\n"
        "try: AuditLog(Path(sys.argv[1]), 1 << 30).open()\n"
        "except LockedError: sys.exit(7)"
    )
    for code_of_end in (7, 0):
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
        assert done.returncode == code_of_end
        log.close()


def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    for round_ in range(3):
        log = opened(tmp_path)
        log.append([sign_in(round_, hub="ns/a", run="r", seq=round_), sign_in(9, hub="ns/b", run="q", seq=10 + round_)])
        log.close()
    log = opened(tmp_path)
    assert log.memory.positions == {"ns/a": ("r", 2), "ns/b": ("q", 12)}
    assert codes(tmp_path) == []


def test_positions_and_lists_survive_rotation(tmp_path: Path) -> None:
    log = opened(tmp_path, file_bytes=2000)
    log.append([{"event": entry.LIST_CHANGE, "hub": "ns/a", "digest": "d1"}, sign_in(1, hub="ns/b", run="r", seq=7)])
    for number in range(40):
        log.append([sign_in(number, hub="ns/a", run="q", seq=number)])
    log.close()
    assert len(log_files.numbers(tmp_path)) > 3
    again = opened(tmp_path)
    assert again.memory.positions == {"ns/b": ("r", 7), "ns/a": ("q", 39)}
    assert again.memory.lists == {"ns/a": "d1"}
    assert codes(tmp_path) == []


def test_no_more_bytes_than_retained_and_what_went_is_told(tmp_path: Path) -> None:
    log = opened(tmp_path, retain=20_000, file_bytes=2000)
    for number in range(400):
        log.append([sign_in(number)])
        assert sum(file.stat().st_size for file in tmp_path.glob("audit-*")) <= 20_000
    kept = log_files.numbers(tmp_path)
    gone = [each for each in lines(tmp_path) if each["event"] == entry.PRUNED]
    assert kept[0] > 1 and gone[-1]["file"] == kept[0] - 1
    assert lines(tmp_path)[0]["n"] == gone[-1]["through"] + 1
    assert codes(tmp_path) == []
    # without the program the oldest may not go
    log_files.path(tmp_path, kept[0]).unlink()
    assert codes(tmp_path) == [verify.GONE]


TORN = [
    b'{"event":"sign-in","n":99,"pr',
    b"\0" * 700,
    b"\xff" * 5000,
    b"{",
]


@pytest.mark.parametrize("tail", TORN)
def test_a_torn_line_is_cut_off_and_told(tmp_path: Path, tail: bytes) -> None:
    log = opened(tmp_path)
    log.append([sign_in(1)])
    log.close()
    with log_files.path(tmp_path, 1).open("ab") as file:
        file.write(tail)
    assert codes(tmp_path) == []  # a line without an end may be one that is being written
    log = opened(tmp_path)
    log.append([sign_in(2)])
    found = lines(tmp_path)
    assert [each["event"] for each in found] == ["log-opened", "sign-in", "log-mended", "sign-in"]
    assert found[2]["bytes"] == len(tail)
    assert codes(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b'{"event":"log-op'])
def test_a_file_that_never_began_is_none(tmp_path: Path, content: bytes) -> None:
    log = opened(tmp_path)
    log.append([sign_in(1)])
    log.close()
    log_files.path(tmp_path, 2).write_bytes(content)
    log = opened(tmp_path)
    log.append([sign_in(2)])
    assert log_files.numbers(tmp_path) == [1] and codes(tmp_path) == []


def _raw(folder: Path) -> list[bytes]:
    return log_files.path(folder, 1).read_bytes().splitlines(keepends=True)


def _write(folder: Path, raw: list[bytes]) -> None:
    log_files.path(folder, 1).write_bytes(b"".join(raw))


def _without(folder: Path) -> None:
    _write(folder, [line for number, line in enumerate(_raw(folder)) if number != 3])


def _edited(folder: Path) -> None:
    _write(folder, [line.replace(b"u2@", b"u7@") for line in _raw(folder)])


def _swapped(folder: Path) -> None:
    raw = _raw(folder)
    _write(folder, [*raw[:2], raw[3], raw[2], *raw[4:]])


def _added(folder: Path) -> None:
    raw = _raw(folder)
    _write(folder, [*raw[:3], entry.line(4, "2026-01-01T00:00:00Z", sign_in(8), entry.digest(raw[2])), *raw[3:]])


def _nonsense(folder: Path) -> None:
    raw = _raw(folder)
    _write(folder, [*raw[:3], b"[1]\n", *raw[3:]])


def _beheaded(folder: Path) -> None:
    _write(folder, _raw(folder)[1:])


TAMPERED: list[tuple[Callable[[Path], None], str]] = [
    (_without, verify.CHANGED),
    (_edited, verify.CHANGED),
    (_swapped, verify.CHANGED),
    (_added, verify.CHANGED),
    (_nonsense, verify.BROKEN),
    (_beheaded, verify.CHANGED),
]


@pytest.mark.parametrize(("change", "code"), TAMPERED)
def test_what_was_changed_is_found(tmp_path: Path, change: Callable[[Path], None], code: str) -> None:
    log = opened(tmp_path)
    log.append([sign_in(number) for number in range(6)])
    log.close()
    assert codes(tmp_path) == []
    change(tmp_path)
    assert code in codes(tmp_path)


def test_an_anchor_shows_what_a_chain_alone_can_not(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append([sign_in(number) for number in range(6)])
    log.close()
    noted = verify.anchor(verify.verify(tmp_path).wire()["anchor"])
    whole = log_files.path(tmp_path, 1).read_bytes()
    _write(tmp_path, _raw(tmp_path)[:-2])  # the newest two are gone: what is left is a whole chain
    assert codes(tmp_path) == [] and codes(tmp_path, noted) == [verify.ANCHOR]
    log_files.path(tmp_path, 1).unlink()
    log = opened(tmp_path)  # all of it made anew
    log.append([sign_in(9) for _ in range(9)])
    log.close()
    assert codes(tmp_path) == [] and codes(tmp_path, noted) == [verify.ANCHOR]
    log_files.path(tmp_path, 1).write_bytes(whole)
    log = opened(tmp_path)
    log.append([sign_in(7)])  # it went on
    assert codes(tmp_path, noted) == []


def test_a_missing_file_is_found(tmp_path: Path) -> None:
    log = opened(tmp_path, file_bytes=1000)
    for number in range(40):
        log.append([sign_in(number)])
    log_files.path(tmp_path, 2).unlink()
    assert verify.MISSING in codes(tmp_path)


KILLED = """
import sys
from pathlib import Path
from pdshub.audit_log.log import AuditLog
log = AuditLog(Path(sys.argv[1]), 1 << 30, 3000)
log.open()
number = int(sys.argv[2])
while True:
    number += 1
    log.append([{"event": "sign-in", "user": f"u{number}@example.org", "hub": "ns/a", "run": "r", "seq": number}])
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_killed_in_the_middle_nothing_that_was_told_is_lost_or_twice(tmp_path: Path) -> None:
    chosen, told = random.Random(7), 0
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(told)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(chosen.randrange(1, 60)):
            told = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        log = opened(tmp_path, file_bytes=3000)
        last = log.memory.positions["ns/a"][1]
        log.close()
        assert last >= max([told, *map(int, rest)])
        told = last
    assert codes(tmp_path) == []
    seen = [each["seq"] for each in lines(tmp_path) if each["event"] == "sign-in"]
    assert seen == list(range(1, told + 1))


FULL = """
import resource, signal, sys
from pathlib import Path
from pdshub.audit_log import verify
from pdshub.audit_log.log import AuditLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
log = AuditLog(folder, 1 << 30)
log.open()
made = [{"event": "sign-in", "user": "u"}]
log.append(made * 10)
size = (folder / "audit-00000001.jsonl").stat().st_size
# a file that may grow by a line and a half: the second line is written in part
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 200, size + 100_000))
failed = 0
for _ in range(5):
    try:
        log.append(made * 3)
    except OSError:
        failed += 1
assert failed == 5, failed
assert verify.verify(folder).last == 11
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, size + 100_000))
log.append(made)
verdict = verify.verify(folder)
assert (verdict.problems, verdict.last) == ([], 12), verdict
"""


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_disk_that_forces_nothing_counts_as_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path)
    fsync = os.fsync

    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        log.append([sign_in(1)])
    monkeypatch.setattr(os, "fsync", fsync)
    log.append([sign_in(2)])
    assert [each.get("user") for each in lines(tmp_path)] == [None, "u2@example.org"]
    assert codes(tmp_path) == []


def test_a_file_that_can_not_begin_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path, file_bytes=1000)
    log.append([sign_in(number) for number in range(20)])

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            log.append([sign_in(99)])
    monkeypatch.undo()
    assert log_files.numbers(tmp_path) == [1]
    log.append([sign_in(100)])
    assert log_files.numbers(tmp_path) == [1, 2] and codes(tmp_path) == []


HOSTILE: list[Any] = [
    "a\x1b]0;x\x07b\n{}", "x" * 10**6, 10**400, -(10**30), float("nan"), float("inf"), None, True, b"bytes",
    ["y" * 10**5] * 5000, {"a": {"b": 1}}, [[[]]], "\u202egnp.exe", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_is_written_is_one_line_of_ascii_within_bounds(tmp_path: Path, value: Any) -> None:
    log = opened(tmp_path)
    log.append([{"event": "sign-in", "user": value, "prev": value, "n": value, **{f"k{n}": value for n in range(99)}}])
    raw = log_files.path(tmp_path, 1).read_bytes()
    assert raw.isascii() and raw.count(b"\n") == 2
    assert all(len(line) <= entry.LINE for line in raw.splitlines())
    assert codes(tmp_path) == []
