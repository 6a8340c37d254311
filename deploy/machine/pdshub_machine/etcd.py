"""etcd's own programs: a snapshot taken, a snapshot looked at, an etcd asked whether it is well."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .config import Etcd
from .programs import Programs
from .trouble import Code, Trouble, failed

DIGEST = hashlib.sha256().digest_size
_SECTOR = 512
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Facts:
    """What is known of a snapshot: ``sha256`` of the whole file, and what etcdutl says of its content."""

    size: int
    sha256: str
    hash: int
    revision: int
    keys: int
    version: str

    def wire(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def read(cls, wire: Any) -> Facts:
        """From JSON. Raises ValueError when a field is missing or of another type."""
        try:
            made = cls(**{name: wire[name] for name in cls.__annotations__})
        except (KeyError, TypeError) as error:
            raise ValueError(f"no facts of a snapshot: {error}") from None
        numbers = (made.size, made.hash, made.revision, made.keys)
        if not all(type(n) is int and n >= 0 for n in numbers) or not isinstance(made.sha256, str):
            raise ValueError("no facts of a snapshot: a field is of another type")
        return made


def digest(file: Path) -> str:
    """SHA-256 of a snapshot file, once the one that etcd wrote behind its content was found right.

    etcdutl's status does not look at that one: it finds a changed byte only where it breaks the structure, and crashes
    on a file that was cut off. Only a restore does (etcdutl, snapshot/v3_snapshot.go, hasChecksum). Raises Trouble
    (DAMAGED).
    """
    size = file.stat().st_size
    if size % _SECTOR != DIGEST:
        raise Trouble(Code.DAMAGED, f"{file}: {size} bytes are no whole snapshot")
    inner, left = hashlib.sha256(), size - DIGEST
    try:
        with file.open("rb") as opened:
            while left and (block := opened.read(min(_BLOCK, left))):
                inner.update(block)
                left -= len(block)
            written = opened.read(DIGEST)
    except OSError as error:
        if error.errno == errno.EIO:
            raise Trouble(Code.DAMAGED, f"{file}: the disk does not give it back") from None
        raise
    whole = inner.copy()
    whole.update(written)
    if left or written != inner.digest():
        raise Trouble(Code.DAMAGED, f"{file}: its content is not what etcd wrote: the digest at its end differs")
    return whole.hexdigest()


def look(programs: Programs, file: Path, timeout: float) -> Facts:
    """What a snapshot file holds, read whole. Raises Trouble: DAMAGED when it is not what etcd wrote."""
    return content(programs, file, digest(file), timeout)


def content(programs: Programs, file: Path, sha256: str, timeout: float) -> Facts:
    """What etcdutl says of a snapshot, or of a database that no etcd uses. Raises Trouble."""
    said = programs.run("etcdutl", "snapshot", "status", file, "--write-out=json", timeout=timeout)
    try:
        wire = json.loads(said)
        found = {"hash": wire["hash"], "revision": wire["revision"], "keys": wire["totalKey"]}
        version = str(wire.get("version", ""))
        return Facts.read({**found, "size": file.stat().st_size, "sha256": sha256, "version": version})
    except (ValueError, KeyError, TypeError):
        raise failed(f"etcdutl says of {file} what is not understood: {said[:200]!r}") from None


def save(programs: Programs, settings: Etcd, file: Path, max_file: int) -> None:
    """A snapshot of the running etcd, written to ``file`` and on the disk. Raises Trouble."""
    programs.run(*_client(settings), "snapshot", "save", file, timeout=settings.timeout_seconds, max_file=max_file)
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def members(programs: Programs, settings: Etcd) -> int:
    """How many members the etcd has. Raises Trouble."""
    said = programs.run(*_client(settings), "member", "list", "--write-out=json", timeout=60)
    try:
        return len(json.loads(said)["members"])
    except (ValueError, KeyError, TypeError):
        raise failed(f"etcdctl says of its members what is not understood: {said[:200]!r}") from None


def is_well(programs: Programs, settings: Etcd) -> bool:
    """Whether the etcd agrees on a write."""
    try:
        programs.run(*_client(settings), "endpoint", "health", timeout=60)
    except Trouble:
        return False
    return True


def _client(settings: Etcd) -> list[str]:
    words = ["etcdctl", f"--endpoints={settings.endpoint}"]
    if settings.endpoint.startswith("https:"):
        words += [f"--cacert={settings.cacert}", f"--cert={settings.cert}", f"--key={settings.key}"]
    return words


def database(data_dir: Path) -> Path:
    """The file that etcd keeps its content in."""
    return data_dir / "member" / "snap" / "db"


def runs(settings: Etcd) -> bool:
    """Whether an etcd has the database open, in whatever container, or listens at the endpoint.

    etcd's database is locked while it is open (bbolt: flock). One whose files were removed under it still listens.
    """
    return _locked(database(settings.data_dir)) or _listens(settings.endpoint)


def _locked(file: Path) -> bool:
    try:
        handle = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _listens(endpoint: str) -> bool:
    address = urlsplit(endpoint)
    try:
        with socket.create_connection((address.hostname or "127.0.0.1", address.port or 2379), 5):
            return True
    except OSError:
        return False
