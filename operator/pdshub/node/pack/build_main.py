"""The child process of build.py: a pack on standard input, an image of it in this directory.

It runs as nobody, and so does the sqfstar that it starts. Every file of the pack is compared with its digest before
that sees it; the image is used only when all of the pack was there and was the one that was expected.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator

from pdshub.archive.content.pack import FOLDER, Pack, PackError, header, object_path, objects, unpacked
from pdshub.node import unprivileged

UID = GID = 65534
"""nobody, nogroup."""
MEMORY = 3 << 30
"""Bytes of address space: of sqfstar with the most files that a pack has, and of its buffers."""
IMAGE, UNSOUND = "pack.squashfs", 3
"""Name of what is made; exit code where the pack is not what it should be."""
OPTIONS = ("-quiet", "-no-progress", "-no-xattrs", "-exit-on-error", "-processors", "1", "-mem", "64M", "-b", "128K")
COMPRESSION = ("-comp", "zstd", "-Xcompression-level", "3")
"""Many labels share a block of 128 KiB. Figures: docs/decisions/0041-content.md."""
_BLOCK = 512


def confine(seconds: int, size: int) -> None:
    """Gives up root for good. ``seconds`` of the processor, ``size``: bytes of the largest file that may be written.

    Raises PermissionError, OSError, ValueError: then nothing is read.
    """
    os.nice(15)
    unprivileged.become(UID, GID)
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, size),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, seconds),
    ):
        resource.setrlimit(limit, (most, most))


def tar(pack: Pack) -> Iterator[bytes]:
    """What sqfstar reads: the pack's files with the directories above them. Raises PackError, OSError."""
    yield header(f"{FOLDER}/", 0, directory=True)
    seen: set[bytes] = set()
    for digest, data in objects(unpacked(sys.stdin.buffer), pack):
        if digest[:1] not in seen:
            seen.add(digest[:1])
            yield header(object_path(digest).rpartition("/")[0] + "/", 0, directory=True)
        yield header(object_path(digest), len(data))
        yield data
        yield bytes(-len(data) % _BLOCK)
    yield bytes(2 * _BLOCK)


def make(pack: Pack, sqfstar: str) -> int:
    """Writes the image; the exit code."""
    with subprocess.Popen(
        [sqfstar, *OPTIONS, *COMPRESSION, IMAGE], stdin=subprocess.PIPE, stdout=sys.stderr
    ) as process:
        assert process.stdin is not None  # noqa: S101 - asked for above
        try:
            with process.stdin as pipe:
                for piece in tar(pack):
                    pipe.write(piece)
        except PackError as error:
            process.kill()
            print(error, file=sys.stderr)
            return UNSOUND
        except BrokenPipeError:
            pass  # it says itself why it ended
        return 1 if process.wait() else 0


def main() -> None:
    """Arguments: digest, size and number of files of the pack, seconds, bytes of the image, sqfstar."""
    digest, size, count, seconds, most, sqfstar = sys.argv[1:]
    confine(int(seconds), int(most))
    code = make(Pack(digest, int(size), int(count)), sqfstar)
    sys.stderr.flush()
    os._exit(code)
