"""Canary and proof with real mounts and real child processes; each function is one test of test_canary.py or
test_proof.py, in a process and a mount namespace of its own."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from prometheus_client.parser import text_string_to_metric_families

from pdshub.node import examine, user
from pdshub.node.proof import Prover
from pdshub.node.sample import Known
from pdshub.node.subjects import Subject
from pdshub.node.watch import Watcher
from tests.unit.node import machine
from tests.unit.node.machine import Machine

PORT = 29807
ACTIONS = {"create", "mkdir", "symlink", "change", "open", "chmod", "rename", "remove"}


def eventually(what: Callable[[], Any], text: str = "") -> Any:
    """Several looks at a source, on a machine with busy neighbours."""
    return machine.eventually(what, 90, text)


def sh(*command: str | Path) -> None:
    subprocess.run(command, check=True)


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """All that an attempt could have changed."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }  # fmt: skip


def scraped(port: int) -> dict[tuple[str, str], float]:
    """(metric, source or empty) -> value, by Prometheus' own parser."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    families = text_string_to_metric_families(text)
    return {(s.name, s.labels.get("source", "")): s.value for family in families for s in family.samples}


def known(path: str, text: str, origin: str = "survey") -> Known:
    name = "md5" if origin == "label" else "sha256"
    return Known(path, len(text), name, hashlib.new(name, text.encode()).hexdigest(), origin)


class Catalog:
    """A published catalog made by hand: an overlay of metacopy files over a data-only layer, as a generation's is."""

    FILES: ClassVar = {"data/a.dat": "a" * 5000, "data/deep/b.dat": "bb", "c.xml": "<c/>"}

    def __init__(self, folder: Path) -> None:
        sh("mount", "-t", "tmpfs", "tmpfs", folder)  # it keeps trusted.* attributes
        self.nas, self.names = folder / "nas", folder / "names"
        self.volume = folder / "private" / "volume"
        self.private = folder / "private"
        for path in (self.nas, self.names, self.volume):
            path.mkdir(parents=True)
        self.private.chmod(0o700)  # as the kubelet's directories are
        for path, text in self.FILES.items():
            for top in (self.nas, self.names):
                (top / path).parent.mkdir(parents=True, exist_ok=True)
            (self.nas / path).write_text(text)
            (self.nas / path).chmod(0o666)
            name = self.names / path
            name.touch()
            os.truncate(name, len(text))
            os.setxattr(name, "trusted.overlay.metacopy", b"")
            os.setxattr(name, "trusted.overlay.redirect", f"/{path}".encode())
        for top in (self.nas, self.names):
            for path in (top, *(p for p in top.rglob("*") if p.is_dir())):
                path.chmod(0o777)
        sh("mount", "-t", "tmpfs", "-o", "mode=755", "pdshub:sbn", self.volume)
        self.point = self.volume / "sbn"
        self.point.mkdir()
        self.mount()
        sh("mount", "-o", "remount,bind,ro", self.volume)
        self.subject = Subject(
            "sbn", "sbn", {str(self.volume): ("sbn",)}, "sha256:" + "ab" * 32,
            (known("data/a.dat", "a" * 5000), known("data/deep/b.dat", "bb", "label"), known("c.xml", "<c/>")),
        )  # fmt: skip

    def mount(self) -> None:
        options = f"ro,metacopy=on,redirect_dir=on,lowerdir={self.names}::{self.nas}"
        sh("mount", "-t", "overlay", "-o", options, "pdshub", self.point)

    def renew(self) -> None:
        sh("umount", "-l", self.point)
        self.mount()


def proven(catalog: Catalog) -> Any:
    return asyncio.run(Prover(1).prove(catalog.subject)).document()


def proof_of_an_intact_view(folder: Path) -> None:
    catalog = Catalog(folder)
    before = tree(catalog.nas)
    proof = proven(catalog)
    assert proof["ok"] and proof["result"] == "intact", proof
    assert proof["identity"] == {
        "uid": user.UID, "gid": user.GID, "groups": [], "capabilities": [], "noNewPrivileges": True,
    }  # fmt: skip
    assert set(proof["tried"].items()) == {(action, "EROFS") for action in ACTIONS}, proof["tried"]
    files = proof["files"]
    assert (files["sampled"], files["digested"], files["byLabel"], files["bytes"]) == (3, 3, 1, 5006), files
    assert files["differing"] == 0 and proof["targets"] == 1 and proof["generation"].startswith("sha256:abab")
    assert time.strptime(proof["at"], "%Y-%m-%dT%H:%M:%SZ")
    # what users may not read can't be compared, and is said
    (catalog.names / "c.xml").chmod(0o600)
    catalog.renew()
    proof = proven(catalog)
    assert proof["ok"] and proof["files"]["private"] == 1 and proof["files"]["digested"] == 2, proof
    assert tree(catalog.nas) == before


def proof_of_a_writable_view(folder: Path) -> None:
    """A read-write mount is found, what succeeded is named, and nothing of the archive is harmed by finding out."""
    catalog = Catalog(folder)
    sh("umount", catalog.point)
    sh("mount", "--bind", catalog.nas, catalog.point)
    before = tree(catalog.nas)
    proof = proven(catalog)
    assert not proof["ok"] and proof["result"] == "violated", proof
    for action in ("create", "mkdir", "symlink", "open", "chmod", "rename", "remove"):
        assert proof["tried"][action] == "succeeded" and action in proof["message"], proof
    assert proof["tried"]["change"] == "EPERM", "a user may not set another's times, but the mount let it come so far"
    assert "in 1 of 1 volumes, at ['sbn']" in proof["message"], proof
    assert str(folder) not in str(proof), "paths of other people's pods are nobody's business"
    changed = tree(catalog.nas)
    assert changed == before
    # only permissions are in the way now: that is no read-only archive either
    for path in (catalog.nas, *catalog.nas.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    proof = proven(catalog)
    assert not proof["ok"] and "should have been refused with EROFS" in proof["message"], proof
    assert proof["tried"]["create"] == "EACCES" and "create (EACCES)" in proof["message"]
    # the volume's own small directory
    sh("mount", "-o", "remount,bind,ro", catalog.point)
    assert proven(catalog)["ok"]
    sh("mount", "-o", "remount,bind,rw", catalog.volume)
    catalog.volume.chmod(0o777)
    proof = proven(catalog)
    assert not proof["ok"] and "create" in proof["message"] and "['.']" in proof["message"], proof


def proof_of_a_changed_file(folder: Path) -> None:
    for path, change, words in (
        ("data/a.dat", lambda p: p.write_text("b" * 5000), "has other bytes"),
        ("data/a.dat", lambda p: p.write_text("a" * 5001), "has another size"),
        ("data/deep/b.dat", lambda p: p.write_text(""), "has another size"),
        ("c.xml", lambda p: p.unlink(), ""),
    ):
        inside = folder / path.replace("/", "-") / str(len(words))
        inside.mkdir(parents=True)
        catalog = Catalog(inside)
        change(catalog.nas / path)
        proof = proven(catalog)
        assert not proof["ok"] and proof["files"]["digested"] >= 2, proof
        if words:
            assert f"1 file of 3 sampled: {path} {words}" in proof["message"], proof
        else:  # kernels answer ENOENT or EIO where the data of a name is missing
            assert proof["files"]["differing"] + proof["files"]["unread"] == 1, proof


def proof_is_a_user(folder: Path) -> None:
    """The identity is checked by its own process: with root left over there is no proof."""
    who, uid = user.as_user(os.getuid)
    assert uid == user.UID and who["capabilities"] == []
    secret = folder / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    for work in (secret.read_text, lambda: sh("mount", "-t", "tmpfs", "none", folder)):
        try:
            user.as_user(work)
        except OSError as error:
            assert error.errno in (errno.EACCES, errno.EPIPE), error
        else:
            raise AssertionError("root's work was done")
    assert os.getuid() == 0


def replaced_file(folder: Path) -> None:
    """A file that is replaced below the catalog: met by the watch, led to a renewed mount and a survey."""
    catalog = Catalog(folder)
    renewed: list[str] = []

    async def look(now: float) -> Any:
        await watcher.look(catalog.subject, now, "now")
        return watcher.watches["sbn"]

    def renew(view: str) -> None:
        renewed.append(view)
        catalog.renew()

    watcher = Watcher(renew)
    watch = asyncio.run(look(6000.0))
    assert watch.checked == 3 and not watch.problems and not watch.survey_wanted and not renewed
    # as rsync does: written aside, then renamed over
    (catalog.nas / "new").write_text("longer than before" * 500)
    (catalog.nas / "new").rename(catalog.nas / "data/a.dat")
    assert (catalog.point / "data/a.dat").stat().st_size == 5000, "the catalog goes on saying what it recorded"
    if examine.files(catalog.subject.roots, [("data/a.dat", 5000, "", "")]) == {"data/a.dat": "same"}:
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
        text = eventually(lambda: "not the right export" in m.health()["message"] and m.health()["message"])
        assert "the marker marker is not there" in text, text
        assert (target / "sbn/a/f").read_text() == "right", "what was mounted stays"
        notes = m.kubelet / "plugins/archive.pdshub.dev/canary"
        eventually(lambda: any('"changed": "2' in note.read_text() for note in notes.glob("*.json")))
        (nas / "vol/marker").write_text("another archive")
        eventually(lambda: "the marker marker has another content" in m.health()["message"])
        swap("vol", "other")
        eventually(lambda: m.health()["ready"])
        (nas / "vol/marker").unlink()
        (nas / "vol/marker").symlink_to("/etc/hostname")
        eventually(lambda: "the marker marker is not there" in m.health()["message"])
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


def proof_by_the_plugin(folder: Path) -> None:
    """In health.json beside the archive, in the plugin's own time; a hole that opens later is found."""
    m = Machine(folder)
    m.options = ("--proof-seconds", "1", "--canary-seconds", "1", "--metrics-port", str(PORT))
    try:
        m.file("main/f", "f")
        m.file("main/d/g", "g")
        for path in (m.directory / "nas/main", *(m.directory / "nas/main").rglob("*")):
            path.chmod(0o777)
        m.view({"x": ["main"], "y": ["main:d"]}, main="main")
        m.start()
        target = m.publish()
        m.publish("two")
        proof = eventually(lambda: m.health().get("proof"))
        assert proof["ok"] and proof["result"] == "intact" and set(proof["tried"]) == ACTIONS, proof
        assert eventually(lambda: m.health()["proof"]["targets"] == 2)
        # flags of a mount are its namespace's own
        there = ("nsenter", f"--target={m.plugin.pid}", "--mount", "mount", "-o") if m.plugin else ()
        sh(*there, "remount,bind,rw", target / "sbn/x")
        bad = eventually(lambda: not m.health()["proof"]["ok"] and m.health()["proof"])
        assert "create" in bad["message"] and "in 1 of 2 volumes, at ['sbn/x']" in bad["message"], bad
        sh(*there, "remount,bind,ro", target / "sbn/x")
        eventually(lambda: m.health()["proof"]["ok"])
        assert sorted(tree(m.directory / "nas/main")) == ["d", "d/g", "f"]
        values = scraped(PORT)
        assert values["pdshub_node_proof_ok", ""] == values["pdshub_node_source_up", "main"] == 1
        assert values["pdshub_node_view_targets", ""] == values["pdshub_node_publishes_total", ""] == 2
    finally:
        m.stop()


def generation_by_the_plugin(folder: Path) -> None:
    """A released generation with its sample: proven; a file that changes under it is met, its mount is renewed; the
    next generation is proven, too."""
    from tests.unit.node.generations import Release

    m = Machine(folder)
    m.options = ("--proof-seconds", "2", "--canary-seconds", "1", "--metrics-port", str(PORT + 1))
    texts = {"pds4/a": "one", "pds4/d/b": "two", "pds4/d/c": "three"}

    def sampled(view: Release) -> str:
        name = view.survey()
        place = view.folder / name.removeprefix("sha256:")
        rows = [known(path, text) for path, text in texts.items()]
        files = [{"path": k.path, "size": k.size, "sha256": k.digest, "from": "survey"} for k in rows]
        raw = json.dumps({"files": files}).encode()
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
        eventually(lambda: m.health()["canary"]["checked"] >= 3)
        before = [x.content for x in m.mounts() if x.fstype == "overlay"]
        m.file("main/pds4/d/b", "longer than two")
        eventually(lambda: m.health()["canary"]["differ"] == {"pds4/d/b": "size"})
        eventually(lambda: [x.content for x in m.mounts() if x.fstype == "overlay"] != before, "renewed")
        assert (target / "sbn/pds4/d/b").read_text() == "longer than two"
        assert view.shown()["generation"] == first and len(before) == 1
        eventually(lambda: len([x for x in m.mounts() if x.fstype == "overlay"]) == 1)
        assert m.health()["canary"]["renewals"] == 1
        bad = eventually(lambda: not m.health()["proof"]["ok"] and m.health()["proof"])
        assert bad["result"] == "violated" and "pds4/d/b has another size" in bad["message"], bad
        values = scraped(PORT + 1)
        assert values["pdshub_node_renewals_total", ""] == values["pdshub_node_canary_files_differing", ""] == 1
        assert values["pdshub_node_proof_ok", ""] == 0 and values["pdshub_node_fetches_total", ""] == 1
        texts["pds4/d/b"] = "longer than two"
        second = sampled(view)
        assert second != first
        eventually(lambda: ok(second))
        eventually(lambda: m.health()["canary"]["differing"] == 0 and m.health()["canary"]["renewals"] == 1)
    finally:
        m.stop()


ALL = {
    f.__name__: f
    for f in (
        proof_of_an_intact_view, proof_of_a_writable_view, proof_of_a_changed_file, proof_is_a_user, replaced_file,
        wrong_export, hanging_source, proof_by_the_plugin,
        generation_by_the_plugin,
    )
}  # fmt: skip


def main(name: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="pdshub-health-"))
    try:
        ALL[name](folder)
    finally:
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            point = line.split()[4]
            if point.startswith(str(folder)):
                subprocess.run(["umount", "-l", point], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
