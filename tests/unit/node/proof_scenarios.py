"""The proof with real mounts and real child processes; each function is one test of test_proof.py, in a process and a
mount namespace of its own."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from pdshub.node import unprivileged
from pdshub.node.health import examiner_main
from pdshub.node.health.integrity import Prover
from pdshub.node.health.published import Subject
from tests.unit.node.health import ACTIONS, Catalog, eventually, known, run, scraped, sh, tree
from tests.unit.node.machine import Machine


def proven(catalog: Catalog, subject: Subject | None = None) -> Any:
    return asyncio.run(Prover(1, again=0).prove(subject or catalog.subject)).document()


def proof_of_an_intact_view(folder: Path) -> None:
    catalog = Catalog(folder)
    before = tree(catalog.nas)
    proof = proven(catalog)
    assert proof["ok"] and proof["result"] == "intact", proof
    assert proof["identity"] == {
        "uid": unprivileged.UID, "gid": unprivileged.GID, "groups": [], "capabilities": [], "noNewPrivileges": True,
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


def by_rename(path: Path, text: str, time: int | None = None) -> None:
    """As rsync does: written aside, given the time it had where it came from (rsync -t), renamed over."""
    aside = path.with_name(".aside")
    aside.write_text(text)
    if time:
        os.utime(aside, (time, time))
    aside.rename(path)


def put_back(path: Path, text: str) -> None:
    """Other bytes, and the time of modification of before."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def proof_of_a_delivery(folder: Path) -> None:
    """What was written on the NAS after the survey waits for the next generation; the same, once a survey has seen
    its times, is damage. And a hole is a hole, also while files are delivered."""
    for number, (path, change, words) in enumerate((
        ("data/a.dat", lambda p: p.write_text("b" * 5000), "has other bytes"),
        ("data/a.dat", lambda p: p.write_text("a" * 5001), "has another size"),
        ("data/a.dat", lambda p: by_rename(p, "b" * 5000), "has other bytes"),
        ("data/a.dat", lambda p: by_rename(p, "b" * 5000, 1_000_000_000), "has other bytes"),
        ("data/a.dat", lambda p: put_back(p, "b" * 5000), "has other bytes"),
        ("data/deep/b.dat", lambda p: p.unlink(), "is gone"),
        ("data/deep/b.dat", lambda p: shutil.rmtree(p.parent), "is gone"),
        ("data/deep/b.dat", lambda p: p.parent.rename(p.parents[1] / "another"), "is gone"),
    )):  # fmt: skip
        inside = folder / str(number)
        inside.mkdir()
        catalog = Catalog(inside)
        survey = catalog.surveyed()
        assert proven(catalog, survey)["result"] == "intact"
        change(catalog.nas / path)
        catalog.renew()
        proof = proven(catalog, survey)
        assert proof["result"] == "changing" and not proof["ok"] and proof["unwritable"], (number, proof)
        assert proof["files"]["changing"] == proof["files"]["differing"] == 1, (number, proof)
        assert f"urn:nasa:pds:x::1.0 since {proof['at'][:10]}" in proof["message"] and path in proof["message"], proof
        # the next survey has seen these times, and its sample still says something else
        if words != "is gone":
            file = (catalog.nas / path).stat()
            sample = tuple(
                replace(one, mtime=file.st_mtime_ns, ctime=file.st_ctime_ns) if one.path == path else one
                for one in survey.sample
            )
            proof = proven(catalog, replace(survey, generation="sha256:" + "cd" * 32, sample=sample))
            assert proof["result"] == "violated", (number, proof)
            assert f"{path} {words}, and the times on the NAS are those of the survey" in proof["message"], proof
    sh("umount", catalog.point)
    sh("mount", "--bind", catalog.nas, catalog.point)
    proof = proven(catalog, survey)
    assert proof["result"] == "violated" and proof["unwritable"] is False, proof
    assert proof["message"].startswith("a user could write") and "; changed on the NAS since" in proof["message"], proof


def proof_of_a_whole_dataset_delivered(folder: Path) -> None:
    """As many files as a sample has, with long names, all of them exchanged: the answer is a long one."""
    names = {f"{'d' * 60}/{'e' * 90}/{number:03}-{'f' * 90}.dat": str(number) for number in range(200)}
    Catalog.FILES = names
    catalog = Catalog(folder)
    sample = tuple(known(path, text) for path, text in names.items())
    catalog.subject = replace(catalog.subject, sample=sample)
    survey = catalog.surveyed()
    for path in names:
        (catalog.nas / path).write_text("exchanged")
    proof = proven(catalog, survey)
    assert proof["result"] == "changing" and proof["files"]["changing"] == 200, proof
    assert "(200 files, " in proof["message"] and len(proof["message"]) < 1000, proof


def proof_without_the_source(folder: Path) -> None:
    """A file differs, and its source can't be asked for its times: not known, so no alarm."""
    catalog = Catalog(folder)
    survey = replace(catalog.surveyed(), sources={"main": (str(folder / "nowhere"), None)})
    (catalog.nas / "data/a.dat").write_text("b" * 5000)
    proof = proven(catalog, survey)
    assert proof["result"] == "incomplete" and "(ENODEV)" in proof["message"], proof


def proof_as_who_reads_the_source(folder: Path) -> None:
    """With `runAs` the source is looked at as that user: on an export with root_squash root sees nothing."""
    catalog = Catalog(folder)
    survey = replace(catalog.surveyed(), sources={"main": (str(catalog.nas), (1234, 1234))})
    for path in (catalog.nas / "data/a.dat", catalog.nas / "data", catalog.nas):
        os.chown(path, 1234, 1234)
        path.chmod(0o755 if path.is_dir() else 0o644)
    (catalog.nas / "data/a.dat").write_text("b" * 5000)
    catalog.nas.chmod(0o700)
    looked = examiner_main.Sources(
        {"main": (str(catalog.nas), [1234, 1234]), "other": (str(catalog.nas), [4321, 4321])}
    )
    assert looked.look("main", "data/a.dat")["size"] == 5000
    assert looked.look("other", "data/a.dat") == {"error": "EACCES"}
    assert proven(catalog, survey)["result"] == "changing"


def proof_looks_twice_before_it_alarms(folder: Path) -> None:
    """What a client remembers of a file's times may be seconds old: new bytes under old times are looked at again."""
    catalog = Catalog(folder)
    survey = catalog.surveyed()
    (catalog.nas / "data/a.dat").write_text("b" * 5000)
    stale = survey.sample[0]
    told: list[str] = []

    class Remembers(Prover):
        async def _ask(self, subject: Any, targets: Any, sample: Any) -> Any:
            answer = await super()._ask(subject, targets, sample)
            if not told:
                answer["files"]["sources"][stale.path] = {"size": 5000, "mtime": stale.mtime, "ctime": stale.ctime}
            told.append(",".join(known.path for known in sample))
            return answer

    proof = asyncio.run(Remembers(1, again=0).prove(survey))
    assert proof.result == "changing", proof
    assert told == ["data/a.dat,data/deep/b.dat,c.xml", "data/a.dat"]


def proof_is_a_user(folder: Path) -> None:
    """The identity is checked by its own process: with root left over there is no proof."""
    who, uid = unprivileged.as_user(os.getuid)
    assert uid == unprivileged.UID and who["capabilities"] == []
    secret = folder / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    for work in (secret.read_text, lambda: sh("mount", "-t", "tmpfs", "none", folder)):
        try:
            unprivileged.as_user(work)
        except OSError as error:
            assert error.errno in (errno.EACCES, errno.EPIPE), error
        else:
            raise AssertionError("root's work was done")
    assert os.getuid() == 0


def proof_by_the_plugin(folder: Path) -> None:
    """In health.json beside the archive, in the plugin's own time; a hole that opens later is found."""
    m = Machine(folder)
    m.options = ("--proof-seconds", "1", "--canary-seconds", "1", "--run-dir", str(folder))
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
        wanted = {
            ("proof_ok", ""): 1.0,
            ("source_up", "main"): 1.0,
            ("view_targets", ""): 2.0,
            ("publishes_total", ""): 2.0,
        }
        eventually(
            lambda: {(f"pdshub_node_{k}", s): v for (k, s), v in wanted.items()}.items() <= scraped(folder).items()
        )
    finally:
        m.stop()


ALL = {
    f.__name__: f
    for f in (
        proof_of_an_intact_view, proof_of_a_writable_view, proof_of_a_changed_file, proof_of_a_delivery,
        proof_of_a_whole_dataset_delivered, proof_without_the_source, proof_as_who_reads_the_source,
        proof_looks_twice_before_it_alarms, proof_is_a_user, proof_by_the_plugin,
    )
}  # fmt: skip


if __name__ == "__main__":
    run(ALL[sys.argv[1]])
