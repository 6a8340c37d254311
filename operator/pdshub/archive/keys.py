"""Keys of objects as paths: what is a name for S3 need not be one for a file system. Pure.

A key becomes the path of its letters, or none at all: none is changed so that it fits, since two could then be one, and
what reads the file would have to change it back.
"""

from __future__ import annotations

MAX_NAME = 255
"""Bytes of a name on every file system of Linux (limits.h, NAME_MAX)."""
_QUOTING = frozenset("‛／") | {chr(number) for number in range(0x2400, 0x2422)}
"""Signs by which rclone writes what is no name, and the one before them where they stand for themselves. What has one
is shown by it under another name. Source: rclone.org/overview, Restricted filenames, Invalid UTF-8 and quoting."""
EMPTY, DOTS, CONTROL, LONG, NO_TEXT = "empty part", "dots", "control character", "long name", "no UTF-8"
QUOTED = "quoting sign"
CLASH, MARKER, ARCHIVED = "file and directory", "marker with content", "archived"
WORDS = {
    EMPTY: "keys begin with a slash or have two in a row: a part of a path is not empty",
    DOTS: "keys have a part . or .., which would lead elsewhere",
    CONTROL: "keys have control characters, as NUL and ends of lines are",
    LONG: "keys have a part of more than 255 bytes, which is no name of a file",
    NO_TEXT: "keys are no UTF-8",
    QUOTED: "keys have a sign by which rclone writes others (‛, ／, ␀ to ␡, ． and ．． alone), and would be renamed",
    CLASH: "keys are files, and directories of other keys at the same time: the file is left out",
    MARKER: "keys end in a slash, as directories do, and have content: the content is left out",
    ARCHIVED: "objects are in a storage class that nobody reads before it is thawed",
}
"""What is said of each reason that a key is not shown."""
COLD = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects are restored first. Source: Amazon S3 User Guide, Working with archived objects."""


class Odd(ValueError):
    """The key is no path; the argument is the reason."""


def path(key: bytes, top: str) -> tuple[str, bool]:
    """A key below ``top`` (which ends in a slash, or is empty) as a path, and whether it stands for a directory.

    Raises Odd.
    """
    try:
        text = key.decode("utf-8")[len(top) :]
    except UnicodeDecodeError:
        raise Odd(NO_TEXT) from None
    directory = text.endswith("/") or not text
    text = text[:-1] if text.endswith("/") else text
    if not text and not top:
        raise Odd(EMPTY)
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise Odd(CONTROL)
    for part in text.split("/") if text else ():
        if not part:
            raise Odd(EMPTY)
        if part in (".", ".."):
            raise Odd(DOTS)
        if part in ("．", "．．") or not _QUOTING.isdisjoint(part):
            raise Odd(QUOTED)
        if len(part.encode()) > MAX_NAME:
            raise Odd(LONG)
    return text, directory
