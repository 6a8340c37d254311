"""Small real archives, a surveyor over them, and certificates as the operator makes them."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pdshub import pki, tls_names
from pdshub.archive import catalog
from pdshub.surveyor import answers
from pdshub.surveyor.store import Store
from pdshub.surveyor.surveyor import Surveyor
from tests.unit.archive.archive_support import build, bundle, collection, label, spec

MD5_HELLO = "5d41402abc4b2a76b9719d911017c592"


def _mkfs() -> bool:
    if not shutil.which(catalog.mkfs()[0]):
        return False
    told = subprocess.run([*catalog.mkfs(), "--help"], capture_output=True, text=True, check=False)
    return "headerball" in told.stdout + told.stderr


needs_mkfs = pytest.mark.skipif(not _mkfs(), reason="needs mkfs.erofs >= 1.8 (PATH or $PDSHUB_MKFS_EROFS)")


def archive(root: Path) -> Path:
    """Two sources with a bundle each: ten files of data, one with a label that carries its MD5."""
    witness = label("Observational", "urn:nasa:pds:x:data:p", files=["p.dat"]).replace(
        "</file_name>", f"</file_name><md5_checksum>{MD5_HELLO}</md5_checksum>"
    )
    build(
        root / "main",
        {
            "x/bundle_x.xml": bundle("x", "1.0", ["urn:nasa:pds:x:data"]),
            "x/data/collection_data.xml": collection("x:data"),
            "x/data/p.xml": witness,
            "x/data/p.dat": "hello",
            **{f"x/data/f{n}.dat": f"content {n}" for n in range(8)},
        },
    )
    build(root / "extra", {"y/bundle_y.xml": bundle("y"), "y/readme.txt": "read me"})
    return root


def view(**more: Any) -> dict[str, Any]:
    """The spec of a view over both sources."""
    authority = {"settleSeconds": 0, **more.pop("authority", {})}
    made = spec(["main", "extra"], {"a": ["main"], "b": ["extra"]}, **authority)
    return {**made, "survey": {"keep": 2, **more.pop("survey", {})}, **more}


def body(**more: Any) -> dict[str, Any]:
    """A PUT /spec."""
    top = {k: more.pop(k) for k in ("name", "request", "keep", "generation") if k in more}
    return {"name": "sbn", "generation": 1, "request": "", "keep": [], "spec": view(**more), **top}


class Clock:
    """A clock that goes when it is told to. It begins long after the archive's times."""

    def __init__(self) -> None:
        self.now = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A surveyor in this process (its surveys are in processes of their own) with a clock of its own."""

    def __init__(self, tmp: Path) -> None:
        self.sources = archive(tmp / "sources")
        self.path = tmp / "store"
        self.clock = Clock()
        self.start()

    def start(self, **options: Any) -> None:
        """A new life of the surveyor over the same store."""
        self.store = Store(self.path)
        self.store.open()
        self.surveyor = Surveyor(self.store, self.sources, clock=self.clock, **options)

    async def close(self) -> None:
        """The end of a life."""
        await self.surveyor.close()
        self.store.close()

    async def restart(self, **options: Any) -> None:
        """A new life over the same store."""
        await self.close()
        self.start(**options)

    def run(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs a test's story and leaves nothing behind."""

        async def whole() -> None:
            try:
                await story()
            finally:
                await self.close()

        asyncio.run(whole())

    def put(self, **more: Any) -> None:
        self.surveyor.put(body(**more))

    async def turn(self, *, after: float = 1.0) -> dict[str, Any]:
        """Time passes, the surveyor looks; returns its state."""
        self.clock.now += after
        await self.surveyor.turn()
        return answers.state(self.surveyor).body()

    async def checked(self) -> dict[str, Any]:
        """The state when audit and verification have ended."""
        await self.surveyor.turn()
        while self.surveyor.check_runner.busy_with():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return answers.state(self.surveyor).body()


def names(state: dict[str, Any]) -> list[str]:
    """Of the generations in a state, newest first."""
    return [g["name"] for g in state["generations"]]


def add(bench: Bench, number: int = 1) -> None:
    """A file more in the archive."""
    build(bench.sources / "main", {f"x/data/new{number}.dat": "new"})


def certificates(folder: Path) -> dict[str, Path]:
    """name -> directory with tls.crt, tls.key, ca.crt. The stranger is of another authority."""
    now = datetime.now(UTC)
    ours = pki.issue(now, pki.CA, None)
    theirs = pki.issue(now, pki.CA, None)
    made = {}
    for name, common_name, authority, server in (
        ("surveyor", "pdshub-surveyor", ours, True),
        ("operator", "pdshub-operator", ours, False),
        ("node", "pdshub-node", ours, False),
        ("other", "pdshub-else", ours, False),
        ("stranger", "pdshub-operator", theirs, False),
    ):
        dns = tls_names.surveyor("sbn") if server else ""
        pair = pki.issue(now, common_name, authority, server=server, client=not server, dns=dns)
        made[name] = folder / name
        made[name].mkdir(parents=True, exist_ok=True)
        (made[name] / "tls.crt").write_bytes(pair.certificate)
        (made[name] / "tls.key").write_bytes(pair.key)
        (made[name] / "ca.crt").write_bytes(ours.certificate)
    return made
