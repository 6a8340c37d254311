"""Programs of the system, with an end in time. The one door to them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Sequence

from pdshub.homes.errors import HomesError

SECONDS = 120.0


class ProgramError(HomesError):
    """A program failed; the text has its last words."""


def run(argv: Sequence[str], *, seconds: float = SECONDS, fine: Collection[int] = (0,)) -> str:
    """What a program prints. It gets no standard input, and its words are those of the C locale.

    Raises ProgramError when it can't be started, ends with a code that is not ``fine``, or takes longer than
    ``seconds``: then it is killed.
    """
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            # without a udev daemon of its own namespace nobody would answer device-mapper's question for it
            env={**os.environ, "LC_ALL": "C.UTF-8", "DM_DISABLE_UDEV": "1", "LVM_SUPPRESS_FD_WARNINGS": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"{argv[0]} took longer than {seconds:g} s") from error
    except OSError as error:
        raise ProgramError(f"{argv[0]}: {error.strerror}") from error
    if done.returncode not in fine:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).split())[-500:]
        raise ProgramError(f"{argv[0]} ended with {done.returncode}: {said}")
    return done.stdout
