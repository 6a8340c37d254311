"""Keys of sources in S3: read from their Secrets, and written where the helper's processes read them, in memory.

The plugin may read the Secrets that the installation names (archive.buckets), in the surveyors' namespace, and no
others. What it reads is written to a directory of the node that is a tmpfs, for root alone; never to a disk.
"""

from __future__ import annotations

import base64
import errno
import importlib
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol

from pdshub.node.layout import Layout
from pdshub.node.mount import mountinfo
from pdshub.node.spec import Source

ACCESS_KEY, SECRET_KEY, CA = "access-key-id", "secret-access-key", "ca.crt"
WRITTEN = "written"
"""An empty file whose time says when the others were written."""
LARGEST = 256 << 10  # bytes of one key: bundles of certificates are the largest
Kind = Literal["Secret", "ConfigMap"]


class Keys(Protocol):
    """Whoever keeps the keys of sources."""

    async def put(self, source: Source) -> None:
        """Write those of a source, unless they are there already. Raises OSError."""

    def forget(self, digest: str) -> None:
        """Take those of a source away."""


class NoKeys:
    """For a plugin without any."""

    async def put(self, source: Source) -> None:
        """Raises OSError: there are none."""
        raise OSError(errno.ENOTSUP, "this plugin reads no keys")

    def forget(self, digest: str) -> None:
        """There is nothing."""


class Secrets(Protocol):
    """Where Secrets and ConfigMaps are read from."""

    async def read(self, kind: Kind, name: str) -> Mapping[str, bytes]:
        """What one holds. Raises OSError, in words."""


class Directory:
    """Secrets as directories with a file for each key; without a cluster."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def read(self, kind: Kind, name: str) -> Mapping[str, bytes]:
        """What the directory of that name holds. Raises OSError."""
        try:
            return {path.name: path.read_bytes() for path in (self._folder / name).iterdir() if path.is_file()}
        except OSError as error:
            raise OSError(error.errno, f"{kind} {name} cannot be read: {error.strerror}") from None


class ApiServer:
    """Secrets of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    async def read(self, kind: Kind, name: str) -> Mapping[str, bytes]:
        """As the API server has it. Raises OSError."""
        # Partly typed, as in store/informer.py.
        aio: Any = importlib.import_module("kubernetes.aio")
        client, config = aio.client, aio.config
        where = f"{kind} {name} of namespace {self._namespace}"
        try:
            config.load_incluster_config()
            async with client.ApiClient() as connection:
                api = client.CoreV1Api(connection)
                ask = api.read_namespaced_secret if kind == "Secret" else api.read_namespaced_config_map
                found = await ask(name, self._namespace, _request_timeout=10)
        except client.ApiException as error:
            words = {404: "is not there", 403: "may not be read: name it in archive.buckets of the pdshub chart"}
            raise OSError(
                errno.EACCES, f"{where} {words.get(error.status, f'cannot be read ({error.status})')}"
            ) from None
        except Exception as error:  # whatever its transport raises: its words may hold anything
            raise OSError(errno.EIO, f"{where} cannot be read: {type(error).__name__}") from None
        if kind == "ConfigMap":
            return {key: value.encode() for key, value in (found.data or {}).items()}
        return {key: base64.b64decode(value) for key, value in (found.data or {}).items()}


class KeyFiles:
    """One directory for each source, with a file for each of its keys."""

    def __init__(self, layout: Layout, secrets: Secrets, in_memory: bool = True) -> None:
        """`in_memory`: refuse a directory that is no tmpfs."""
        self._layout, self._secrets, self._in_memory = layout, secrets, in_memory

    async def put(self, source: Source) -> None:
        """Write the keys of a source, if there are others than before. Raises OSError, which names no key's value."""
        wanted = await self._wanted(source)
        self._prepare()
        folder = self._layout.keys_of(source.digest)
        if folder.is_dir() and _held(folder) == wanted:
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(0o700)
        for name, value in (*wanted.items(), (WRITTEN, b"")):
            with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(value)
        if source.s3 and not source.s3.secret_ref:
            folder.chmod(0o711)  # the token of the pod's identity is put here, for the source's own user

    async def _wanted(self, source: Source) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        if source.s3 is None:
            return found
        if name := source.s3.secret_ref:
            held = await self._secrets.read("Secret", name)
            found |= {key: _one(held, key, f"Secret {name}") for key in (ACCESS_KEY, SECRET_KEY)}
        if bundle := source.s3.ca_bundle:
            kind: Kind = "Secret" if bundle.secret else "ConfigMap"
            place = bundle.secret or bundle.config_map
            if place is not None:
                held = await self._secrets.read(kind, place.name)
                found[CA] = _one(held, place.key, f"{kind} {place.name}")
        return found

    def _prepare(self) -> None:
        top = self._layout.keys
        top.mkdir(mode=0o711, parents=True, exist_ok=True)
        if not self._in_memory:
            return
        mounts = mountinfo.read()
        above = [m for m in mounts if top == Path(m.point) or Path(m.point) in top.parents]
        if not above or max(above, key=lambda m: len(m.point)).fstype not in ("tmpfs", "ramfs"):
            raise OSError(errno.ENOTSUP, f"{top} is no tmpfs: keys are written to no disk")

    def forget(self, digest: str) -> None:
        """Take a source's keys away."""
        with suppress(OSError):
            shutil.rmtree(self._layout.keys_of(digest))


def _held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name in (ACCESS_KEY, SECRET_KEY, CA)}


def _one(held: Mapping[str, bytes], key: str, where: str) -> bytes:
    value = held.get(key)
    if not value:
        raise OSError(errno.ENOENT, f"{where} has no key {key}")
    if len(value) > LARGEST:
        raise OSError(errno.EFBIG, f"key {key} of {where} is larger than {LARGEST} bytes")
    return value
