"""Why a command ended without doing its work: one exception, whose code is the program's exit code."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """Exit codes. 2 is argparse's: the command line is wrong."""

    FAILED = 1
    """Something did not work: a program, a file, the settings."""
    BUSY = 3
    """Another one is at work; nothing was done."""
    NO_ROOM = 4
    """It would leave less free than the settings want, or the pool is too full; nothing was made."""
    REFUSED = 5
    """It could destroy something, and was not told to; nothing was changed."""
    DAMAGED = 6
    """A snapshot is not what was written once."""
    OLD = 7
    """``status``: the newest good one is older than the settings allow, or there is none."""


class Trouble(Exception):
    """``str()`` says what is wrong and what to do."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


def failed(message: str) -> Trouble:
    """Something did not work."""
    return Trouble(Code.FAILED, message)


def refused(message: str) -> Trouble:
    """Nothing was changed, since something could be lost."""
    return Trouble(Code.REFUSED, message)
