"""Files of a home as an archive, sent into a pod by kubectl: nothing is kept on the way."""

from __future__ import annotations

import subprocess
import tarfile
import threading
from collections.abc import Sequence
from typing import IO

from pdshub.archive import beneath
from pdshub.cli import import_receiver
from pdshub.cli.import_tree import CHUNK, Entry
from pdshub.cli.kubectl import Kubectl, KubectlError

_ANSWER = 64 << 20


class _Whole:
    """A file of exactly so many bytes: one that became shorter while it is read ends in zeros, and is marked."""

    def __init__(self, opened: IO[bytes], size: int) -> None:
        self.opened, self.left, self.short = opened, size, False

    def read(self, count: int = CHUNK) -> bytes:
        wanted = min(count, self.left)
        try:
            chunk = self.opened.read(wanted) if wanted else b""
        except OSError:  # the header has been sent: what can not be read is zeros, and known to be
            chunk = b""
        if len(chunk) < wanted:
            self.short = True
            chunk += bytes(wanted - len(chunk))
        self.left -= wanted
        return chunk


def write(stream: IO[bytes], root: str, home: str, entries: Sequence[Entry]) -> list[str]:
    """Writes an archive; returns the paths that changed while they were read, or could not be read.

    Owners are not in it: whoever takes it in owns all of it.
    """
    changed = []
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, errors="surrogateescape") as archive:
        for entry in entries:
            made = tarfile.TarInfo(entry.path)
            made.mode, made.mtime = entry.mode, entry.mtime_ns // 10**9
            if entry.kind == "d":
                made.type = tarfile.DIRTYPE
                archive.addfile(made)
            elif entry.kind == "l":
                made.type, made.linkname = tarfile.SYMTYPE, entry.target
                archive.addfile(made)
            elif not _file(archive, made, root, f"{home}/{entry.path}", entry):
                changed.append(entry.path)
    return changed


def _file(archive: tarfile.TarFile, made: tarfile.TarInfo, root: str, path: str, entry: Entry) -> bool:
    """Adds one file; false where it is another one than was listed."""
    try:
        with beneath.open_regular(root, path) as opened:
            whole = _Whole(opened, entry.size)
            made.size = entry.size
            made.pax_headers = {import_receiver.MARK: str(entry.mtime_ns)}
            archive.addfile(made, whole)
            return not whole.short and not opened.read(1)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        return False


def send(
    kubectl: Kubectl,
    where: tuple[str, str, str],
    command: Sequence[str],
    root: str,
    home: str,
    entries: Sequence[Entry],
) -> tuple[str, list[str]]:
    """What a command in a pod prints that takes the archive in, and which paths changed meanwhile. Raises KubectlError.

    ``where``: namespace, pod and container.
    """
    namespace, pod, container = where
    line = ["exec", "-i", "-n", namespace, pod, "-c", container, "--", *command]
    with subprocess.Popen(
        [kubectl.found(), *kubectl.flags, *line], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout and process.stderr  # noqa: S101 - asked for above
        heard: dict[str, bytes] = {}

        def listen(name: str, stream: IO[bytes]) -> None:
            heard[name] = stream.read(_ANSWER)
            while stream.read(CHUNK):
                pass

        listeners = [
            threading.Thread(target=listen, args=(name, stream))
            for name, stream in (("out", process.stdout), ("err", process.stderr))
        ]
        for listener in listeners:
            listener.start()
        changed: list[str] = []
        broken = False
        try:
            changed = write(process.stdin, root, home, entries)
        except BrokenPipeError:
            broken = True
        try:
            process.stdin.close()
        except BrokenPipeError:
            broken = True
        for listener in listeners:
            listener.join()
        code = process.wait()
    if code or broken:
        words = heard.get("err", b"").decode("utf-8", "replace").strip()
        raise KubectlError(words[-2000:] or f"kubectl exec ended with code {code}")
    return heard.get("out", b"").decode("utf-8", "replace"), changed
