"""How restic gets to the repository: its environment and options, and the files that it reads them from.

No secret is ever an argument. The repository's password is read by restic from the mounted Secret; keys of S3 and of
SSH are copied into files of a private folder (mode 0700) in memory, since their readers want a form or a mode that a
mounted Secret has not; only the user name and password of a REST server are in restic's environment, as it knows no
other way. The environment is made from nothing: what this program has in its own reaches restic only by name.

A pod's uid has no name of its own, and ssh ends when its uid has none. Debian's libnss-wrapper gives it one: two files
and a library that is loaded before (restic itself, a Go program, does not load it). HOME alone does not help: ssh asks
getpwuid(3) before it looks at the environment. Source: OpenSSH, ssh.c, main; nss_wrapper(1).
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pdshub.api.backup_job import MEMORY, PROCESSORS, JobRequest
from pdshub.backup.verdict import Failed

LOCATIONS = {
    "s3": re.compile(r"s3:https?://[^/?#@\s]+/[^?#\s]+"),
    "rest": re.compile(r"rest:https?://[^/?#@\s]+(/[^?#\s]*)?"),
    "sftp": re.compile(r"sftp:[a-z_][a-z0-9_-]{0,31}@[A-Za-z0-9][A-Za-z0-9.-]*:/[^\0\n]*"),
    "nfs": re.compile(r"/[^\0\n]*"),
    "claim": re.compile(r"/[^\0\n]*"),
}
"""What a location of each kind looks like. The operator writes it; it is an argument to programs all the same."""
PASSED_ON = ("PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
SSH_LOG = "ssh.log"
NSS_WRAPPER = "libnss_wrapper.so"
COLLECTS = 0.75
"""Part of the Job's memory from which on restic collects garbage before it takes more: Go takes twice what it needs
else, and an index of a few million files would end the Job. The rest is for this program, and for files in memory."""
LARGEST = 65536
"""Bytes of a key of a Secret."""


@dataclass(frozen=True)
class Access:
    """What restic is started with."""

    environment: dict[str, str]
    options: tuple[str, ...]
    secrets: tuple[str, ...]
    """What is hidden in every line."""
    log: Path | None = None
    """Where ssh writes what is wrong: on stderr it may come too late for restic, which ends as soon as ssh does."""


def _read(folder: Path, key: str) -> str:
    try:
        with (folder / key).open("rb") as file:
            data = file.read(LARGEST + 1)
        text = data.decode()
    except OSError as error:
        raise Failed("BadRequest", f"key {key} of the repository's Secret cannot be read: {error.strerror}") from None
    except ValueError:
        raise Failed("BadRequest", f"key {key} of the repository's Secret is no text") from None
    if len(data) > LARGEST:
        raise Failed("BadRequest", f"key {key} of the repository's Secret is larger than {LARGEST} bytes")
    return text


def _line(folder: Path, key: str) -> str:
    """One line without control characters, as names and passwords are."""
    text = _read(folder, key).strip("\r\n")
    if not text or not text.isprintable():
        raise Failed("BadRequest", f"key {key} of the repository's Secret must be one line of text")
    return text


def _private(path: Path, text: str) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _s3(request: JobRequest, keys: Path, private: Path) -> tuple[dict[str, str], tuple[str, ...], list[str]]:
    name, secret = _line(keys, "access-key-id"), _line(keys, "secret-access-key")
    text = f"[default]\naws_access_key_id = {name}\naws_secret_access_key = {secret}\n"
    environment = {"AWS_SHARED_CREDENTIALS_FILE": str(_private(private / "aws", text)), "AWS_PROFILE": "default"}
    return environment, ("-o", f"s3.region={request.region}") if request.region else (), [secret]


def _rest(_: JobRequest, keys: Path, __: Path) -> tuple[dict[str, str], tuple[str, ...], list[str]]:
    if not (keys / "username").exists():
        return {}, (), []
    name, password = _line(keys, "username"), _line(keys, "password")
    return {"RESTIC_REST_USERNAME": name, "RESTIC_REST_PASSWORD": password}, (), [password]


def _named(private: Path) -> dict[str, str]:
    """What gives this process's uid a name, where it has none."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        people = _private(private / "passwd", f"backup:x:{os.getuid()}:{os.getgid()}::{private}:/bin/false\n")
        groups = _private(private / "group", f"backup:x:{os.getgid()}:\n")
        return {"LD_PRELOAD": NSS_WRAPPER, "NSS_WRAPPER_PASSWD": str(people), "NSS_WRAPPER_GROUP": str(groups)}
    return {}


def _sftp(request: JobRequest, keys: Path, private: Path) -> tuple[dict[str, str], tuple[str, ...], list[str]]:
    key = _private(private / "ssh-privatekey", _read(keys, "ssh-privatekey").rstrip() + "\n")
    known = _private(private / "known_hosts", _read(keys, "known_hosts").rstrip() + "\n")
    options = {
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(known),
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "ForwardAgent": "no",
        "ConnectTimeout": "20",
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "4",
    }
    words = ["-F", "/dev/null", "-E", str(private / SSH_LOG), "-i", str(key), "-p", str(request.port or 22)]
    words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return _named(private), ("-o", f"sftp.args={shlex.join(words)}"), []


def _mounted(_: JobRequest, __: Path, ___: Path) -> tuple[dict[str, str], tuple[str, ...], list[str]]:
    return {}, ("--no-cache",), []  # a copy of what is a file already


_KINDS: dict[str, Callable[[JobRequest, Path, Path], tuple[dict[str, str], tuple[str, ...], list[str]]]] = {
    "s3": _s3,
    "rest": _rest,
    "sftp": _sftp,
    "nfs": _mounted,
    "claim": _mounted,
}


def _bounds(own: Mapping[str, str]) -> dict[str, str]:
    """What tells restic how much memory there is, and how many processors: else it works on all of them at once, until
    its share is used up, and whoever starts a server meanwhile waits. Source: Go, runtime, GOMEMLIMIT, GOMAXPROCS."""
    told = {}
    if memory := _number(own.get(MEMORY, "")):
        told["GOMEMLIMIT"] = str(int(memory * COLLECTS))
    if processors := _number(own.get(PROCESSORS, "")):
        told["GOMAXPROCS"] = str(processors)
    return told


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and text.isascii() else 0


def prepare(request: JobRequest, secrets: Path, private: Path, scratch: Path, own: Mapping[str, str]) -> Access:
    """Access to the repository of a request. ``secrets``: where Secrets are mounted; ``private``: a folder for copies
    of keys; ``scratch``: one for the rest; ``own``: this program's environment. Raises Failed(BadRequest)."""
    if not LOCATIONS[request.kind].fullmatch(request.location):
        raise Failed("BadRequest", f"location does not look like a repository of kind {request.kind}")
    password = secrets / "key" / "key"
    hidden = [_read(secrets / "key", "key").strip("\r\n")]
    if not hidden[0]:
        raise Failed("BadRequest", "the Secret with the repository's key holds an empty one")
    more, options, also = _KINDS[request.kind](request, secrets / "repository", private)
    if request.item == "keys" and "--no-cache" not in options:
        options = (*options, "--no-cache")  # their scratch is memory, which is smaller than an index may be
    cache = scratch / "cache"
    cache.mkdir(exist_ok=True)
    environment = {name: own[name] for name in PASSED_ON if name in own} | {
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "TZ": "UTC",  # restic writes times as of its zone
        "LANG": "C.UTF-8",
        "RESTIC_REPOSITORY": request.location,
        "RESTIC_PASSWORD_FILE": str(password),
        "RESTIC_CACHE_DIR": str(cache),
        "RESTIC_PROGRESS_FPS": "0.05",
        **_bounds(own),
        **more,
    }
    if request.ca:
        environment["RESTIC_CACERT"] = str(secrets / "ca" / "ca.crt")
    return Access(environment, options, (*hidden, *also), private / SSH_LOG if request.kind == "sftp" else None)
