"""Files on this machine: an export's, the secrets beside it, the list that the hub reads."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from pdshub import files
from pdshub.compose import people
from pdshub.compose.text import ExportError
from pdshub.compose.units import NOBODY

UID = 1000
"""Who hub, proxy and door are in their containers."""
SOCKET = "/var/run/docker.sock"
_EDITED = re.compile(r"people/[a-z]+\.txt")
_SECRET = re.compile(r"[a-z][a-z-]{0,40}")
_LARGEST = 4 << 20


def write(folder: Path, made: Mapping[str, tuple[str, int]]) -> list[str]:
    """Writes files; lists of people that somebody has edited stay, new ones are put beside. What was done.

    Raises ExportError.
    """
    said = []
    try:
        kept = _kept(folder, made)
        for name, (text, mode) in made.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name in kept:
                files.write_text(path.with_name(f"{path.name}.new"), text, durable=False, mode=mode)
                said.append(f"{path} is as somebody changed it; what the PDSHub says is {path.name}.new")
                continue
            if name == people.LIST and kept:
                text = _list(folder)
            files.write_text(path, text, durable=False, mode=mode)
            said.append(str(path))
    except OSError as error:
        raise ExportError(f"{error.filename or folder}: {error.strerror}") from None
    return said


def _kept(folder: Path, made: Mapping[str, tuple[str, int]]) -> set[str]:
    """Lists that are there and say something else."""
    return {
        name
        for name, (text, _) in made.items()
        if _EDITED.fullmatch(name) and (folder / name).is_file() and (folder / name).read_text("utf-8") != text
    }


def _list(folder: Path) -> str:
    texts = {}
    for role in people.ROLES:
        path = folder / "people" / f"{role}.txt"
        if path.exists():
            if path.stat().st_size > _LARGEST:
                raise ExportError(f"{path} is larger than a list of people")
            texts[role] = path.read_text(encoding="utf-8", errors="strict")
    return people.document(people.read(texts))


def update_list(folder: Path) -> str:
    """Makes the hub's list of the files in ``people``; it is in effect a second later. Says what it holds.

    Raises ExportError, and leaves the list as it was.
    """
    try:
        text = _list(folder)
        path = folder / people.LIST
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, text, durable=True, mode=0o644)
    except (OSError, UnicodeError) as error:
        raise ExportError(f"{getattr(error, 'filename', None) or folder}: {error}") from None
    found = json.loads(text)
    allowed, admins, out = (len(found[role]) for role in ("allowed", "admins", "suspended"))
    return f"{allowed} may sign in, {admins} of them admins; {out} are out"


def prepare(folder: Path, socket: str = SOCKET) -> tuple[list[str], list[str]]:
    """Makes what Compose needs beside the export: secrets, folders, ``.env``. What was done, and what is missing.

    Raises ExportError.
    """
    done, missing = [], []
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        wanted = {str(name): str(how) for name, how in report["secrets"].items() if _SECRET.fullmatch(str(name))}
        front, certificates = report["front"], report["certificates"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExportError(f"{folder} holds no export: {error}") from None
    try:
        held = _folder(folder / "secrets", 0, 0o700)
        for name, how in wanted.items():
            path = held / name
            if not path.exists() and how.startswith("made"):
                _write_secret(path, secrets.token_hex(32))
                done.append(f"{path} is new")
            if path.is_file() and path.read_text(encoding="utf-8", errors="replace").strip():
                _give(path, UID, 0o400)
            else:
                missing.append(f"{path}: put it there, and nothing else into it")
        if front == "caddy":
            _folder(folder / "door-data", UID, 0o700)
            if "tls.crt" in certificates:
                _folder(folder / "tls", UID, 0o700)
                missing += [
                    f"{folder}/tls/{name}" for name in ("tls.crt", "tls.key") if not (folder / "tls" / name).is_file()
                ]
        if (folder / "archive").is_dir():
            _folder(folder / "archive" / "generations", NOBODY, 0o755)
        group = Path(socket).stat().st_gid
        files.write_text(folder / ".env", f"DOCKER_GID={group}\nDOCKER_SOCKET={socket}\n", durable=False, mode=0o644)
    except OSError as error:
        raise ExportError(f"{error.filename or folder}: {error.strerror}") from None
    return done, missing


def _write_secret(path: Path, text: str) -> None:
    """A new file that nobody else could read at any time."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{text}\n")


def _folder(path: Path, owner: int, mode: int) -> Path:
    path.mkdir(exist_ok=True)
    _give(path, owner, mode)
    return path


def _give(path: Path, owner: int, mode: int) -> None:
    """Owner and mode; who is not root can't give away, and their Compose runs as them."""
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, owner, owner, follow_symlinks=False)
