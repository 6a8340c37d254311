"""The proof with real mounts and real child processes; each function is one test of test_proof.py, in a process and a
mount namespace of its own."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import time
from pathlib import Path
from typing import Any

from pdshub.node import user
from pdshub.node.proof import Prover
from tests.unit.node.health import ACTIONS, PORT, Catalog, eventually, run, scraped, sh, tree
from tests.unit.node.machine import Machine


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


ALL = {
    f.__name__: f
    for f in (
        proof_of_an_intact_view, proof_of_a_writable_view, proof_of_a_changed_file, proof_is_a_user,
        proof_by_the_plugin,
    )
}  # fmt: skip


if __name__ == "__main__":
    run(ALL[sys.argv[1]])
