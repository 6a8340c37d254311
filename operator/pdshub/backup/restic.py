"""restic as a process: its lines as they come, its last words, its end.

restic is started in a process group of its own, reads nothing, and writes JSON. Whatever it prints is bounded: a line,
the number of last words that are kept; what the caller does with records is the caller's.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from pdshub.backup.access import Access
from pdshub.backup.ending import Ending
from pdshub.backup.verdict import INTERRUPTED, Failed, failed, judge, patience
from pdshub.backup.words import Words

LONGEST = 4 << 20
"""Bytes of a line; what is longer is read in parts, of which none is a record."""
KEPT = 40
"""Last words that are kept."""
LOCK_WAIT = "2m"
"""How long restic waits for somebody else's lock: another hub's prune, as a rule."""
LOGGED = 4096
"""Bytes of ssh's words that are read."""
CANCELED = "context canceled"
"""What restic says, at times with exit code 1, when it was interrupted while it began."""
CLEARED = "\x1b[2K"
"""What it writes before a line of its own."""
Record = dict[str, Any]


class Done(NamedTuple):
    """How a call of restic ended."""

    code: int
    text: str
    """What it said on stderr, the last lines."""


@dataclass
class Stream:
    """A restic that runs, and what it writes."""

    out: IO[bytes]
    words: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    code: int | None = None
    """Its exit code, once it has ended; negative for a signal."""
    short: bool = False
    """The caller's own time for it was over, and it was ended."""
    stop: Callable[[], None] = lambda: None
    """Ends it, since nobody wants the rest."""


def record(line: bytes) -> Record | None:
    """A line as the JSON object that it is; None for anything else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def error_text(found: Record) -> str:
    """The words of a record that says what went wrong; '' for another one."""
    if found.get("message_type") == "exit_error":
        return str(found.get("message", ""))
    if found.get("message_type") == "error":
        error = found.get("error")
        return str(error.get("message", "") if isinstance(error, dict) else error or found.get("message", ""))
    return ""


class Restic:
    """Starts restic for one repository."""

    def __init__(self, program: str, access: Access, ending: Ending, words: Words) -> None:
        self._program, self._access, self._ending, self._words = program, access, ending, words
        self.options: list[str] = ["--retry-lock", LOCK_WAIT]
        """Before every command. For a repository that cannot be written to: --no-lock."""

    @contextmanager
    def stream(
        self,
        *arguments: str,
        cwd: Path | None = None,
        seconds: float | None = None,
        on_error: Callable[[Record], None] | None = None,
    ) -> Iterator[Stream]:
        """restic while it writes. Afterwards it was waited for, and ``code`` is there; when the block is left by an
        exception it is ended first. ``seconds``: a time of its own, shorter than the Job's. Raises Failed."""
        self._ending.check()
        if self._access.log:
            self._access.log.write_bytes(b"")
        try:
            process = subprocess.Popen(
                [self._program, "--json", *self.options, *self._access.options, *arguments],
                env=self._access.environment,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise Failed("BadRequest", f"restic cannot be started: {error}") from None
        assert process.stdout is not None and process.stderr is not None  # noqa: S101 pipes, as asked for above
        stream = Stream(process.stdout, stop=partial(self._ending.interrupt, process))
        reader = threading.Thread(target=self._listen, args=(process, stream, on_error), daemon=True)
        reader.start()
        whole = False
        with self._ending.bounds(process, seconds) as short:
            try:
                yield stream
                whole = True
            finally:
                if not whole:
                    self._ending.interrupt(process)
                while process.stdout.read(1 << 16):  # unread output would keep it from removing its lock
                    pass
                stream.code = process.wait()
                stream.short = short()
                reader.join(5)  # what restic left behind, as an ssh, may hold the pipe open for longer
                process.stdout.close()

    def wait(self, seconds: float) -> None:
        """Do nothing for a while, as long as the Job has time. Raises Failed(Deadline)."""
        self._ending.wait(seconds)

    def _listen(
        self, process: subprocess.Popen[bytes], stream: Stream, on_error: Callable[[Record], None] | None
    ) -> None:
        assert process.stderr is not None  # noqa: S101 a pipe
        tried, began = 0, 0.0
        with process.stderr as pipe:
            while line := pipe.readline(LONGEST):
                found = record(line)
                text = error_text(found) if found else line.decode("utf-8", "replace").replace(CLEARED, "").strip()
                if text:
                    stream.words.append(self._words.clean(text))
                if found and found.get("message_type") == "error" and on_error:
                    on_error(found)
                if limit := patience(text):
                    tried, began = tried + 1, began or time.monotonic()
                    over = tried >= limit.tries and time.monotonic() - began >= limit.seconds
                    if over and process.poll() is None:
                        self._ending.interrupt(process)

    def run(
        self,
        *arguments: str,
        cwd: Path | None = None,
        seconds: float | None = None,
        on_line: Callable[[bytes], None] | None = None,
        on_error: Callable[[Record], None] | None = None,
        good: Sequence[int] = (0,),
        contact: bool = False,
    ) -> Done:
        """Run restic to its end. ``on_line`` gets every line of stdout. Raises Failed for a code that is not ``good``,
        by the code and restic's words; Deadline where the Job's end ended it."""
        with self.stream(*arguments, cwd=cwd, seconds=seconds, on_error=on_error) as stream:
            while line := stream.out.readline(LONGEST):
                if on_line:
                    on_line(line)
        return self.judged(stream, good=good, contact=contact)

    def _logged(self) -> list[str]:
        """The last lines of ssh, where there is one."""
        try:
            data = self._access.log.read_bytes() if self._access.log else b""
        except OSError:
            return []
        lines = data[-LOGGED:].decode("utf-8", "replace").splitlines()
        return [self._words.clean(line) for line in lines[-KEPT:] if line.strip()]

    def settled(self, stream: Stream, failure: Failed | None) -> None:
        """How a stream ended, its reader failed or not: what restic says comes first, if it ended by itself. Raises."""
        if failure is None or stream.code not in (0, INTERRUPTED):
            self.judged(stream)
        if failure is not None:
            self._ending.check()
            raise failure

    def judged(self, stream: Stream, *, good: Sequence[int] = (0,), contact: bool = False) -> Done:
        """How a stream ended that was read to its end. Raises as run does."""
        code = stream.code if stream.code is not None else 1
        text = "; ".join(dict.fromkeys([*stream.words, *self._logged()]))
        if code in good:
            return Done(code, text)
        if stream.short:
            said = [w for w in stream.words if "signal interrupt" not in w and "context canceled" not in w]
            last = [word for word in (judge(1, said[-1], contact=True)[1], said[-1]) if word] if said else []
            raise Failed("Unreachable", ": ".join(["the repository did not answer in time", *last]))
        if code == INTERRUPTED or code < 0 or CANCELED in text:
            self._ending.check()
        if code < 0:
            raise Failed("Failed", f"restic was killed by signal {-code}; for want of memory, if nobody did it. {text}")
        raise failed(code, text, contact=contact)
