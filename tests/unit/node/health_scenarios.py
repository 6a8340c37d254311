"""The canary with real mounts and real child processes; each function is one test of test_canary.py, in a process and
a mount namespace of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pdshub.node.health import examiner_main
from pdshub.node.health.staleness import Watcher
from tests.unit.node.health import ACTIONS, Catalog, eventually, run, scraped
from tests.unit.node.machine import Machine


def replaced_file(folder: Path) -> None:
    """A file that is replaced below the catalog: met by the watch, led to a renewed mount and a survey."""
    catalog = Catalog(folder)
    renewed: list[str] = []

    async def look(now: float) -> Any:
        if await watcher.look(catalog.subject, now, "now"):
            renewed.append("sbn")
            catalog.renew()
        return watcher.watches["sbn"]

    watcher = Watcher()
    watch = asyncio.run(look(6000.0))
    assert watch.checked == 3 and not watch.problems and not watch.survey_wanted and not renewed
    # as rsync does: written aside, then renamed over
    (catalog.nas / "new").write_text("longer than before" * 500)
    (catalog.nas / "new").rename(catalog.nas / "data/a.dat")
    assert (catalog.point / "data/a.dat").stat().st_size == 5000, "the catalog goes on saying what it recorded"
    if examiner_main.files(catalog.subject.roots, [("data/a.dat", 5000, "", "")]) == {"data/a.dat": "same"}:
        catalog.renew()  # a local file system's old file lives as long as it is open; NFS answers ESTALE
    watch = asyncio.run(look(6010.0))
    assert watch.problems == {"data/a.dat": "size"} and renewed == ["sbn"], watch
    assert watch.survey_wanted == "abababababab-10" and "data/a.dat" in watch.message
    asyncio.run(look(6020.0))
    assert renewed == ["sbn"] and watch.survey_wanted == "abababababab-10", "once a slot"
    (catalog.nas / "data/a.dat").write_text("a" * 5000)
    asyncio.run(look(6030.0))
    assert not watch.problems and not watch.survey_wanted
    # in place, with the same size: only the digest tells
    (catalog.nas / "c.xml").write_text("<d/>")
    for turn in range(3):
        asyncio.run(look(6700.0 + turn))
    assert watch.problems == {"c.xml": "bytes"} and watch.survey_wanted == "abababababab-11", watch


def wrong_export(folder: Path) -> None:
    """The marker decides whether a source is used; without one, another file system is news."""
    m = Machine(folder)
    try:
        m.file("vol/marker", "this is the archive")
        m.file("vol/f", "right")
        m.file("other/f", "wrong")
        digest = hashlib.sha256(b"this is the archive").hexdigest()
        local = {"local": {"path": str(m.directory / "nas/vol")}}
        marked = {**local, "marker": {"path": "marker", "sha256": digest}}
        m.view({"a": ["main"]}, main=marked)
        m.view({"b": ["main"]}, name="plain", main=local)
        m.start()
        target = m.publish()
        eventually(lambda: m.health()["ready"] and m.health("plain")["ready"])
        nas = m.directory / "nas"

        def swap(one: str, other: str) -> None:
            (nas / one).rename(nas / "aside")
            (nas / other).rename(nas / one)
            (nas / "aside").rename(nas / other)

        swap("vol", "other")
        text = eventually(lambda: "not the right export" in (said := m.told()) and said)
        assert "the marker marker is not there" in text, text
        assert (target / "sbn/a/f").read_text() == "right", "what was mounted stays"
        notes = m.kubelet / "plugins/archive.pdshub.dev/canary"
        eventually(lambda: any('"changed": "2' in note.read_text() for note in notes.glob("*.json")))
        (nas / "vol/marker").write_text("another archive")
        eventually(lambda: "the marker marker has another content" in m.told())
        assert m.health()["sources"]["main"]["message"] == "is not the right export"
        swap("vol", "other")
        eventually(lambda: m.health()["ready"])
        (nas / "vol/marker").unlink()
        (nas / "vol/marker").symlink_to("/etc/hostname")
        eventually(lambda: "the marker marker is not there" in m.told())
    finally:
        m.stop()


#: A file system that answers until it is told to be silent.
STUB = """
import errno, sys, time, stat, os, mfusepy
class Stub(mfusepy.Operations):
    def wait(self):
        while os.path.exists(sys.argv[2]): time.sleep(0.1)
    def getattr(self, path, fh=None):
        self.wait()
        if path not in ('/', '/f'): raise mfusepy.FuseOSError(errno.ENOENT)
        mode = stat.S_IFREG | 0o644 if path.endswith('f') else stat.S_IFDIR | 0o755
        return {'st_mode': mode, 'st_nlink': 2, 'st_size': 4, 'st_ino': 7}
    def readdir(self, path, fh): return ['.', '..', 'f']
    def read(self, path, size, offset, fh): self.wait(); return b'here'[offset:offset + size]
    def statfs(self, path): self.wait(); return {'f_bsize': 4096}
mfusepy.FUSE(Stub(), sys.argv[1], foreground=True, nothreads=False, allow_other=True, attr_timeout=0, entry_timeout=0)
"""


def hanging_source(folder: Path) -> None:
    """A source that stops answering: said, never waited for, and no processes gather. By a stopped server (the
    request is taken back when its process is killed) and by one that took the request and keeps it (it is not)."""
    m = Machine(folder)
    m.options = ("--proof-seconds", "5")
    os.environ["PDSHUB_TEST"] = str(m.directory)

    def proven(view: str) -> str:
        return str((m.health(view).get("proof") or {}).get("result", ""))

    try:
        point, silent = m.directory / "nas/hang", m.directory / "silent"
        point.mkdir()
        m.file("good/f", "good")
        server = m.spawn(sys.executable, "-c", STUB, str(point), str(silent))
        eventually(lambda: (point / "f").read_text() == "here")
        m.view({"a": ["hang"]}, hang="hang")
        m.view({"a": ["good"]}, name="fine", good="good")
        m.start()
        eventually(lambda: m.health()["ready"] and m.health("fine")["ready"])
        m.publish()
        m.publish("other", "fine")
        for kind in ("stopped", "keeps"):
            eventually(lambda: proven("sbn") == proven("fine") == "intact", f"before {kind}")
            if kind == "stopped":
                server.send_signal(signal.SIGSTOP)
            else:
                silent.touch()
            eventually(lambda: "does not answer" in m.health()["message"], kind)
            for pod, view in (("two", "sbn"), ("three", "fine")):
                started = time.monotonic()
                target = m.publish(pod, view)
                m.unpublish(pod)
                assert time.monotonic() - started < 10, (kind, view)
            eventually(lambda: proven("sbn") == "incomplete", "no alarm, but no proof either")
            assert proven("fine") == "intact"
            time.sleep(20)  # several looks and proofs
            looks = children(m)
            # lane and probes of the other view; one probe, and one proof with its user's process
            assert len(looks) <= 6, (kind, looks)
            assert m.health("fine")["ready"] and not target.exists()
            if kind == "stopped":
                server.send_signal(signal.SIGCONT)
            else:
                silent.unlink()
            eventually(lambda: m.health()["ready"], f"heals after {kind}")
            eventually(lambda: len(children(m)) <= 3)  # the lane, and what is under way
    finally:
        silent.unlink(missing_ok=True)
        server.send_signal(signal.SIGCONT)
        m.stop()
        subprocess.run(["umount", "-l", point], check=False)


def children(m: Machine) -> list[str]:
    """Command lines of the plugin's child processes, theirs, and those that lost their parent."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line, environment = path.read_bytes(), path.with_name("environ").read_bytes()
        except OSError:
            continue
        if b"from pdshub.node." in line and f"PDSHUB_TEST={m.directory}".encode() in environment:
            found.append(line.decode())
    return found


def generation_by_the_plugin(folder: Path) -> None:
    """A released generation with its sample: proven; a file that changes under it is met, its mount is renewed, and the
    proof calls it a delivery; the next generation is proven, too."""
    from pdshub.archive.plan import open_plan
    from pdshub.surveyor.sample import take
    from tests.unit.node.generations import Release

    m = Machine(folder)
    m.options = ("--proof-seconds", "2", "--canary-seconds", "1", "--run-dir", str(folder))
    texts = {"pds4/a": "one", "pds4/d/b": "two", "pds4/d/c": "three"}

    def sampled(view: Release) -> str:
        name = view.survey()
        place = view.folder / name.removeprefix("sha256:")
        taken = take(open_plan(place), {"main": m.directory / "nas/main"})
        assert {item["path"] for item in taken["files"]} == texts.keys()
        raw = json.dumps(taken).encode()
        (place / "proof.json").write_bytes(raw)
        manifest = json.loads((place / "manifest.json").read_text())
        manifest["proof"] = {"digest": f"sha256:{hashlib.sha256(raw).hexdigest()}", "size": len(raw)}
        (place / "manifest.json").write_text(json.dumps(manifest))
        return view.release(name)

    def ok(name: str) -> Any:
        proof = m.health().get("proof") or {}
        return proof.get("ok") and proof["generation"] == name and proof

    try:
        for path, text in texts.items():
            m.file(f"main/{path}", text)
        view = Release(m, {"pds4": ["main:pds4"]}, "main")
        first = sampled(view)
        m.start()
        target = m.publish()
        proof = eventually(lambda: ok(first))
        assert proof["files"]["digested"] == 3 and set(proof["tried"]) == ACTIONS, proof
        eventually(lambda: m.health().get("canary", {}).get("checked", 0) >= 3)
        before = [x.content for x in m.mounts() if x.fstype == "overlay"]
        m.file("main/pds4/d/b", "longer than two")
        eventually(lambda: m.health()["canary"]["differ"] == {"pds4/d/b": "size"})
        eventually(lambda: [x.content for x in m.mounts() if x.fstype == "overlay"] != before, "renewed")
        assert (target / "sbn/pds4/d/b").read_text() == "longer than two"
        assert view.shown()["generation"] == first and len(before) == 1
        eventually(lambda: len([x for x in m.mounts() if x.fstype == "overlay"]) == 1)
        assert m.health()["canary"]["renewals"] == 1
        bad = eventually(lambda: not m.health()["proof"]["ok"] and m.health()["proof"])
        assert bad["result"] == "changing" and "(1 file, pds4/d/b; settles " in bad["message"], bad
        assert bad["unwritable"] and bad["files"]["changing"] == 1 and set(bad["tried"]) == ACTIONS
        wanted = {"renewals_total": 1.0, "canary_files_differing": 1.0, "proof_ok": 0.0, "fetches_total": 1.0}
        eventually(
            lambda: wanted.items() <= {k[0].removeprefix("pdshub_node_"): v for k, v in scraped(folder).items()}.items()
        )
        texts["pds4/d/b"] = "longer than two"
        second = sampled(view)
        assert second != first
        eventually(lambda: ok(second))
        eventually(lambda: m.health()["canary"]["differing"] == 0 and m.health()["canary"]["renewals"] == 1)
    finally:
        m.stop()


ALL = {f.__name__: f for f in (replaced_file, wrong_export, hanging_source, generation_by_the_plugin)}


if __name__ == "__main__":
    run(ALL[sys.argv[1]])
