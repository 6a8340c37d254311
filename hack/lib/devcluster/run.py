"""Running programs: output to a log, the tail of it shown when something fails."""

from __future__ import annotations

import contextlib
import contextvars
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_log: contextvars.ContextVar[Path | None] = contextvars.ContextVar("log", default=None)


class StepFailed(Exception):
    """A step can't be done; the message says what to do about it."""


@contextlib.contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Everything that :func:`run` prints inside goes to ``path``, which starts empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    token = _log.set(path)
    try:
        yield
    finally:
        _log.reset(token)


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> None:
    """Run ``argv`` to its end; ``env`` adds to the environment.

    Raises StepFailed with the last lines of its output when it fails or takes longer than ``timeout``
    seconds.
    """
    log = _log.get()
    merged = {**os.environ, **(env or {})}
    words = [str(a) for a in argv]
    with log.open("a+b") if log else open(os.devnull, "r+b") as out:  # noqa: PTH123
        out.seek(0, os.SEEK_END)
        start = out.tell() if log else 0
        out.write(f"+ {' '.join(words)}\n".encode())
        out.flush()
        try:
            done = subprocess.run(
                words,
                env=merged,
                cwd=cwd,
                input=stdin.encode() if stdin is not None else None,
                stdin=subprocess.DEVNULL if stdin is None else None,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StepFailed(f"{words[0]} took longer than {timeout} s; log: {log}") from None
        except FileNotFoundError:
            raise StepFailed(f"{words[0]} is not installed") from None
        if done.returncode:
            tail = ""
            if log:
                out.seek(start)
                tail = "\n".join(out.read().decode(errors="replace").splitlines()[-15:])
            raise StepFailed(f"{words[0]} ended with {done.returncode}; log: {log}\n{tail}")


def output(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> str:
    """Standard output of ``argv``, stripped. Raises StepFailed when it fails."""
    words = [str(a) for a in argv]
    try:
        done = subprocess.run(
            words,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as e:
        raise StepFailed(f"{words[0]}: {e}") from None
    if done.returncode:
        raise StepFailed(f"{' '.join(words[:4])} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()


def succeeds(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, timeout: float = 60) -> bool:
    """Whether ``argv`` ends with 0 within ``timeout`` seconds; its output is dropped."""
    try:
        output(argv, env=env, timeout=timeout)
    except StepFailed:
        return False
    return True
