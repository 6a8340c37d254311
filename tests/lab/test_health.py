"""Canary and proof over kernel NFS: the real ESTALE, an export that is another one, a view that a user can't change."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nas import ADDRESS, Nas, sh
from node import Node, entry, eventually, source

from pdshub.node.health.integrity import Prover
from pdshub.node.health.published import Subject
from pdshub.node.health.sample import Known
from pdshub.node.health.staleness import Watcher

OLD, NEW = "old" * 100, "new and longer" * 100


@pytest.fixture
def hourly() -> Iterator[Node]:
    """A node whose proof and canary come every few seconds."""
    folder = Path(tempfile.mkdtemp(prefix="node-", dir="/run/lab"))
    folder.chmod(0o755)
    made = Node(folder, ("--proof-seconds", "5", "--canary-seconds", "2"))
    made.start()
    yield made
    made.close()


class Catalog:
    """A catalog of metacopy files over an NFS mount as data-only layer: what a generation is, made by hand."""

    def __init__(self, nas: Nas, name: str, files: dict[str, str]) -> None:
        self.server = nas.export(name, files)
        folder = Path(tempfile.mkdtemp(prefix="catalog-", dir="/run/lab"))  # a tmpfs: it keeps trusted.* attributes
        folder.chmod(0o755)
        self.data, self.names, self.point = folder / "data", folder / "names", folder / "volume" / "view"
        for path in (self.data, self.names, self.point.parent):
            path.mkdir(parents=True)
        sh("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.point.parent)
        self.point.mkdir()
        sh("mount", "-o", "remount,bind,ro", self.point.parent)
        sh("mount", "-t", "nfs4", "-o", "ro,vers=4.2,soft,timeo=50,retrans=2", f"{ADDRESS}:/{name}", self.data)
        for path, text in files.items():
            made = self.names / path
            made.parent.mkdir(parents=True, exist_ok=True)
            made.touch()
            os.truncate(made, len(text))
            os.setxattr(made, "trusted.overlay.metacopy", b"")
            os.setxattr(made, "trusted.overlay.redirect", f"/{path}".encode())
        self.mount()
        sample = tuple(Known(p, len(t), "sha256", hashlib.sha256(t.encode()).hexdigest()) for p, t in files.items())
        self.subject = Subject("v", "view", {str(folder / "volume"): ("view",)}, "sha256:" + "ab" * 32, sample)

    def surveyed(self) -> Subject:
        """The subject with the times that the server has now, as a survey notes them."""
        sample = []
        for one in self.subject.sample:
            file = self.server / one.path
            above = [folder.stat() for folder in file.parents if folder.is_relative_to(self.server)]
            sample.append(
                replace(
                    one, source="main", at=one.path, mtime=file.stat().st_mtime_ns, ctime=file.stat().st_ctime_ns,
                    above=tuple((st.st_mtime_ns, st.st_ctime_ns) for st in above),
                )
            )  # fmt: skip
        return replace(self.subject, sample=tuple(sample), sources={"main": (str(self.data), None)})

    def mount(self) -> None:
        options = f"ro,metacopy=on,redirect_dir=on,lowerdir={self.names}::{self.data}"
        sh("mount", "-t", "overlay", "-o", options, "pdshub", self.point)

    def renew(self) -> None:
        sh("umount", "-l", self.point)
        self.mount()

    def close(self) -> None:
        subprocess.run(["umount", "-l", self.point], check=False)
        subprocess.run(["umount", "-l", self.point.parent], check=False)
        subprocess.run(["umount", "-l", self.data], check=False)


@pytest.fixture
def catalog(nas: Nas, kernel: tuple[int, int], request: pytest.FixtureRequest) -> Iterator[Catalog]:
    if kernel < (6, 5):
        pytest.skip("data-only layers need Linux 6.5")
    made = Catalog(nas, request.node.name, {"a": OLD, "d/b": "b" * 10, "c": "c" * 10})
    yield made
    made.close()


def test_replaced_file(catalog: Catalog) -> None:
    """rsync's way: ESTALE for who had read the file; met by the watch, cured by a renewed mount, a survey asked."""
    renewed: list[str] = []

    watcher = Watcher()

    def look(now: float) -> Any:
        if asyncio.run(watcher.look(catalog.subject, now, "now")):
            renewed.append("v")
            catalog.renew()
        return watcher.watches["v"]

    assert (catalog.point / "a").read_text() == OLD
    assert not look(60000.0).problems
    (catalog.server / "aside").write_text(NEW)
    (catalog.server / "aside").rename(catalog.server / "a")
    replaced = time.monotonic()

    def error() -> int:
        try:
            (catalog.point / "a").read_text()
        except OSError as failure:
            return failure.errno or 0
        return 0

    stale = eventually("a reader meets ESTALE", lambda: error() == errno.ESTALE, 90)
    print(f"a reader met ESTALE {time.monotonic() - replaced:.1f} s after the replacement")
    assert stale
    began = time.monotonic()
    watch = look(60030.0)
    took = time.monotonic() - began
    assert watch.problems == {"a": "stale"} and renewed == ["v"], watch
    assert watch.survey_wanted
    assert (catalog.point / "a").read_text() == NEW
    print(f"look and renewal took {took:.2f} s; the file is read again {time.monotonic() - began:.2f} s after it began")
    watch = look(60060.0)
    assert watch.problems == {"a": "size"}, "until the survey the catalog has the old size"
    assert len(renewed) == 1, "once in 10 minutes"


def test_overwritten_in_place(catalog: Catalog) -> None:
    watcher = Watcher()
    (catalog.point / "c").read_text()
    (catalog.server / "c").write_text("other text that is longer")
    seen = time.monotonic()

    def met() -> bool:
        if asyncio.run(watcher.look(catalog.subject, time.time(), "now")):
            catalog.renew()
        return watcher.watches["v"].problems == {"c": "size"}

    eventually("the wrong size is met", met, 120)
    print(f"an overwritten file was met {time.monotonic() - seen:.1f} s after it was written (attribute cache)")
    proof = asyncio.run(Prover(1).prove(catalog.subject)).document()
    assert proof["result"] == "violated" and "c has another size" in proof["message"], proof
    assert set(proof["tried"].values()) == {"EROFS"}, proof


def _set_times(path: Path, like: os.stat_result) -> None:
    os.utime(path, ns=(like.st_atime_ns, like.st_mtime_ns))


def _over(path: Path, text: str, keep_time: bool) -> None:
    before = path.stat()
    path.write_text(text)
    if keep_time:
        _set_times(path, before)


def _renamed(path: Path, text: str) -> None:
    before = path.stat()
    aside = path.with_name("aside")
    aside.write_text(text)
    _set_times(aside, before)
    aside.rename(path)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("c", lambda p: _over(p, "C" * 10, False)),
        ("c", lambda p: _over(p, "C" * 10, True)),
        ("a", lambda p: _renamed(p, "O" * 300)),
        ("d/b", lambda p: p.unlink()),
    ],
    ids=["in-place", "in-place-behind-its-time", "renamed-over-with-its-time", "removed"],
)
def test_a_delivery_is_told_from_damage(catalog: Catalog, path: str, change: Callable[[Path], None]) -> None:
    """At once, with all that the client remembers of the file: its times are asked of the server."""
    survey = catalog.surveyed()
    for _ in range(2):
        assert asyncio.run(Prover(1).prove(survey)).ok
        os.stat(catalog.data / path)
    change(catalog.server / path)
    found = asyncio.run(Prover(1, again=0).prove(survey)).document()
    if found["result"] == "intact":  # the bytes of before are still remembered: no difference, and so no alarm

        def met() -> dict[str, Any] | None:
            now = asyncio.run(Prover(1, again=0).prove(survey)).document()
            return None if now["ok"] else now

        found = eventually("the difference is met", met, 120)
    assert found["result"] == "changing" and path in found["message"], found
    if path != "d/b":  # the next survey has seen these times, and its sample still says something else
        old = {one.path: one for one in survey.sample}
        later = catalog.surveyed()
        sample = tuple(replace(one, size=old[one.path].size, digest=old[one.path].digest) for one in later.sample)
        found = asyncio.run(Prover(1).prove(replace(later, sample=sample))).document()
        assert found["result"] == "violated" and "the times on the NAS are those of the survey" in found["message"]


def test_proof_and_its_time_without_the_nas(nas: Nas, catalog: Catalog) -> None:
    proof = asyncio.run(Prover(1).prove(catalog.subject)).document()
    assert proof["ok"] and proof["files"]["digested"] == 3, proof
    nas.drop()
    try:
        began = time.monotonic()
        proof = asyncio.run(Prover(1).prove(catalog.subject)).document()
        print(f"a proof without the NAS: {proof['result']} after {time.monotonic() - began:.0f} s: {proof['message']}")
        assert proof["result"] == "incomplete", proof
    finally:
        nas.reach()
    eventually("the proof is whole again", lambda: asyncio.run(Prover(1).prove(catalog.subject)).ok)


def test_another_export_under_the_same_name(nas: Nas, hourly: Node) -> None:
    """The NAS has booted without its volume: an empty directory is exported. Said, not shown; healed without a
    restart."""
    server = nas.export("health-marker", {"marker": "the archive", "d/f": "there"})
    marker = {"path": "marker", "sha256": hashlib.sha256(b"the archive").hexdigest()}
    hourly.view("m", [source("main", "/health-marker", marker=marker)], [entry("d", "main:d")])
    target = hourly.publish("m")
    hourly.ready(target)
    eventually("a proof over NFS", lambda: hourly.health(target).get("proof", {}).get("ok"))
    file = hourly.look(target) / "m/d/f"
    assert file.read_text() == "there"
    sh("mount", "-t", "tmpfs", "tmpfs", server)
    (server / "d").mkdir()
    sh("exportfs", "-f")
    health = eventually("the wrong export is noticed", lambda: not (h := hourly.health(target))["ready"] and h)
    print("said:", health["message"])
    words = eventually("it is called wrong", lambda: "right export" in (m := hourly.told(target)) and m)
    assert "the marker marker is not there" in words
    sh("umount", "-l", server)
    sh("exportfs", "-f")
    hourly.ready(target)
    assert eventually("the file is back", lambda: file.read_text()) == "there"
