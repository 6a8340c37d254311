"""Whether root may mount an image: asked of a process without rights (reader_main.py), once for each digest.

Images come from surveyors, which read what anybody may have written on a NAS; the kernel reads them with all rights.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pdshub

READER = 1
"""Of the rules in erofs.py: images that were looked at by others are looked at again. Raise it with stricter rules."""
SECONDS, SECONDS_A_MIB, MOST_SECONDS = 30, 1, 600
"""Of the processor: for any image, for each MiB of it, and at most. A million files are 210 MiB and take 6 s."""
_PATIENCE = 4
"""How many times that may pass on a busy machine."""
_ANSWER = 4096  # bytes; the reader can't write more
_WORDS = 200  # characters of a reason
_WHERE = str(Path(next(iter(pdshub.__path__))).parent)
_CODE = f"import sys; sys.path.insert(0, {_WHERE!r}); from pdshub.node.image.reader_main import main; main()"
_ENDED = (signal.SIGXCPU, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE)
"""What an image does to its reader. SIGKILL is the machine's: it says nothing of the image."""


class ImageRefused(Exception):
    """The image is not one that a surveyor makes: it is never mounted, whoever says so. The text tells why."""


class Inspector:
    """Remembers what was found, by the image's digest: the same bytes need one look. For several threads."""

    def __init__(self) -> None:
        """Nothing has been looked at."""
        self._known: dict[tuple[str, str], str] = {}  # digest and folder -> why it is refused, or empty
        self._one = threading.Lock()  # a look takes a processor

    def trust(self, images: Iterable[tuple[str, str]]) -> None:
        """Images (digest and folder) that were looked at before, by the same rules."""
        self._known.update(dict.fromkeys(images, ""))

    def refusal(self, digest: str, top: str) -> str:
        """Why this image was refused; empty where it was not, or is not known."""
        return self._known.get((digest, top), "")

    def __call__(self, path: Path, digest: str, size: int, top: str) -> None:
        """Look at the image unless its digest is known. `size` in bytes; `top`: a folder that it must have, or "".

        Raises ImageRefused, OSError where it could not be looked at, TimeoutError: then nothing is known of it.
        """
        with self._one:
            if (digest, top) not in self._known:
                self._known[digest, top] = _look(path, size, top)
        if reason := self._known[digest, top]:
            raise ImageRefused(f"{path.name}: {reason}")


def processor_seconds(size: int) -> int:
    """What looking at an image of so many bytes may take."""
    return min(SECONDS + SECONDS_A_MIB * (size >> 20), MOST_SECONDS)


def _look(path: Path, size: int, top: str) -> str:
    """Why the image is refused; empty if it is sound. Raises OSError, TimeoutError."""
    seconds = processor_seconds(size)
    image = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    answer, words = os.memfd_create("answer"), os.memfd_create("words")
    try:
        if os.fstat(image).st_size < size:
            return "shorter than it says"
        command = [sys.executable, "-I", "-S", "-c", _CODE, str(size), str(seconds), top]
        with subprocess.Popen(command, stdin=image, stdout=answer, stderr=words, cwd="/", env={}) as process:
            try:
                code = process.wait(_PATIENCE * seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                late = f"{path.name}: not looked at within {_PATIENCE * seconds} s"
                raise TimeoutError(errno.ETIMEDOUT, late) from None
        out, said = (os.pread(file, _ANSWER, 0) for file in (answer, words))
    finally:
        for file in (image, answer, words):
            os.close(file)
    if code == 0:
        return _read(out)
    if -code in _ENDED:
        return f"its reader was ended by {signal.Signals(-code).name}"
    last = said.decode("utf-8", "replace").strip().rpartition("\n")[2] or f"exit code {code}"
    raise OSError(errno.EIO, f"{path.name}: it could not be looked at: {last[:_WORDS]}")


def _read(answer: bytes) -> str:
    """What the reader found. It may be the image's by now: anything but a plain answer is a refusal."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return "its reader gave no answer"
    if isinstance(found, dict) and isinstance(found.get("ok"), dict):
        return ""
    reason = found.get("unsound") if isinstance(found, dict) else None
    text = "".join(c for c in reason if c.isprintable())[:_WORDS] if isinstance(reason, str) else ""
    return text or "its reader gave no answer"
