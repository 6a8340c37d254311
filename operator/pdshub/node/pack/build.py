"""An image of a pack, made by a process without rights (build_main.py) of the bytes that arrive."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pdshub
from pdshub.archive.content.pack import Pack
from pdshub.node.pack.build_main import GID, IMAGE, UID, UNSOUND

SECONDS, SECONDS_A_MIB = 60, 2
"""Of the processor: for any pack, and for each MiB of its tar."""
_PATIENCE = 4
"""How many times that may pass on a busy machine, while the bytes arrive."""
_WORDS = 300
_WHERE = str(Path(next(iter(pdshub.__path__))).parent)
_CODE = "from pdshub.node.pack.build_main import main; main()"
_PIECE = 1 << 18
BLOCK = 4096
"""Of an image; a loop device shows no part of one."""


class PackRefused(Exception):
    """The pack is not what its digest says; the text tells in what."""


class Stream(Protocol):
    """Bytes that arrive."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes, none at the end. Raises OSError, http.client.HTTPException."""


def sqfstar() -> str:
    """The program: $PDSHUB_SQFSTAR, or sqfstar from PATH; of squashfs-tools >= 4.6."""
    return os.environ.get("PDSHUB_SQFSTAR", "sqfstar")


def room(pack: Pack) -> int:
    """Bytes that making an image takes on the disk at most: the image, a copy of it, and the files while it is made."""
    return 3 * pack.size + (4 << 20)


def build(stream: Stream, pack: Pack, aside: Path, go_on: Callable[[int], None]) -> Path:
    """Makes the image in the directory ``aside``, which is this process' own; answers its path.

    ``go_on`` is told of bytes that arrived and raises to end it. Raises PackRefused; OSError where it could not be
    made; whatever the stream raises.
    """
    place = Path(tempfile.mkdtemp(prefix="pack-", dir=aside))
    try:
        os.chown(place, UID, GID)
        with tempfile.TemporaryFile() as words:
            code = _run(stream, pack, place, words.fileno(), go_on)
            words.seek(0)
            said = words.read(1 << 16).decode("utf-8", "replace").strip().rpartition("\n")[2]
        text = "".join(c for c in said if c.isprintable())[:_WORDS]
        if code == UNSOUND:
            raise PackRefused(text or "it is not what it should be")
        if code:
            how = f"ended by {signal.Signals(-code).name}" if code < 0 else text or f"exit code {code}"
            raise OSError(errno.EIO, f"no image could be made of the pack: {how}")
        return _taken(place / IMAGE, aside / f"{place.name}.squashfs")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _run(stream: Stream, pack: Pack, place: Path, words: int, go_on: Callable[[int], None]) -> int:
    seconds = SECONDS + SECONDS_A_MIB * (pack.size >> 20)
    arguments = (pack.digest, pack.size, pack.objects, seconds, room(pack), sqfstar())
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {_WHERE!r}); {_CODE}", *map(str, arguments)]
    environ = {"TMPDIR": str(place), "PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=words, stderr=words, cwd=place, env=environ, start_new_session=True
    ) as process:
        assert process.stdin is not None  # noqa: S101 - asked for above
        try:
            with suppress(BrokenPipeError), process.stdin as pipe:
                while piece := stream.read(_PIECE):
                    go_on(len(piece))
                    pipe.write(piece)
            return process.wait(_PATIENCE * seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(errno.ETIMEDOUT, f"no image of the pack within {_PATIENCE * seconds} s") from None
        finally:
            # sqfstar as well: it is in the same session
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _taken(made: Path, target: Path) -> Path:
    """A copy of what the child made: whatever it left running, nobody writes what the kernel will read."""
    try:
        descriptor = os.open(made, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise OSError(errno.EIO, f"no image was made of the pack: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EIO, "no image was made of the pack")
        with target.open("xb") as out:
            shutil.copyfileobj(file, out, 1 << 20)
            out.truncate(-(-out.tell() // BLOCK) * BLOCK)
            out.flush()
            os.fsync(out.fileno())
    target.chmod(0o444)
    return target
