"""deploy/machine with a real etcd: snapshots, what makes them count, the way back, and a kill at each step of both."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pdshub_machine import etcd_restore, points, store
from pdshub_machine.trouble import Code
from tests.programs import built
from tests.unit.machine_etcd import NEVER, Machine, eventually, kubelet


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """One whose etcd runs."""
    made = Machine(tmp_path)
    with kubelet(made):
        yield made


def left(machine: Machine) -> list[str]:
    """What is in the folder of snapshots and is none."""
    return [folder.name for folder in (machine.state / "etcd").iterdir() if not points.time_of(folder.name)]


def killer(machine: Machine, program: str, word: str, *, after: bool) -> Path:
    """A folder for PATH in which a program kills who started it, before or after what it does itself."""
    folder = machine.folder / f"killing-{after}"
    folder.mkdir(exist_ok=True)
    real = machine.bin / program
    kill = "kill -9 $PPID"
    does = f'"{real}" "$@"; {kill}' if after else kill
    (folder / program).write_text(f'#!/bin/sh\ncase "$*" in *"{word}"*) {does} ;; *) exec "{real}" "$@" ;; esac\n')
    (folder / program).chmod(0o755)
    return folder


def test_a_snapshot_is_read_whole_before_it_counts(machine: Machine) -> None:
    assert machine.status(Code.OLD)["lastGood"] is None
    machine.put(a="1", b="2")
    said = machine.run("etcd", "snapshot")
    (name,) = machine.names()
    assert said.startswith(f"{name}: 2 keys, revision 3, ")
    folder = machine.state / "etcd" / name
    assert sorted(file.name for file in folder.iterdir()) == [store.FACTS, store.DATA]
    made = [machine.state, *machine.state.rglob("*")]
    assert [file for file in made if file.stat().st_mode & 0o77] == [], "it holds every Secret of the cluster"
    machine.run("etcd", "verify")
    told = machine.status()
    assert told["kept"] == 1 and not told["old"] and 0 <= told["ageSeconds"] < 3600 and not told["broken"]
    taken = points.time_of(name)
    assert taken and machine.metric("last_good_timestamp_seconds") == taken.timestamp()
    assert machine.metric("kept") == 1 and machine.metric("last_run_ok", "etcd-run") == 1


def test_what_is_damaged_counts_no_more(machine: Machine) -> None:
    for _ in range(3):
        machine.run("etcd", "snapshot")
    first, second = machine.names()  # keep_last
    data = machine.state / "etcd" / first / store.DATA
    content = bytearray(data.read_bytes())
    content[-100] ^= 1
    data.write_bytes(content)
    (machine.state / "etcd" / second / store.DATA).write_bytes(content[:-512])
    assert machine.names() == [first], "one that was cut off is seen at once"
    assert machine.status()["broken"] == [second]
    said = machine.run("etcd", "restore", first, "--stop", "--replace", code=Code.DAMAGED)
    assert "another content" in said or "digest at its end differs" in said
    said = machine.run("etcd", "verify", code=Code.DAMAGED)
    assert said.count("put aside as") == 2 and "0 of 2 are whole" in said
    assert machine.names() == [] and machine.metric("last_good_timestamp_seconds") == 0
    assert machine.status(Code.OLD)["damaged"] == [f"{first}.damaged", f"{second}.damaged"]
    assert machine.answers()


def test_without_etcdutl_nothing_is_called_damaged(machine: Machine) -> None:
    machine.run("etcd", "snapshot")
    (machine.bin / "etcdutl").unlink()
    assert "etcdutl is not on PATH" in machine.run("etcd", "verify", code=Code.FAILED)
    assert "etcdutl is not on PATH" in machine.run("etcd", "snapshot", code=Code.FAILED)
    assert len(machine.names()) == 1 and left(machine) == []


def test_old_ones_go_only_after_a_new_one_is_there(machine: Machine) -> None:
    machine.run("etcd", "snapshot")
    (name,) = machine.names()
    made = machine.state / "etcd" / name
    now = datetime.now(UTC)
    old = [points.name_of(now - timedelta(days=ago)) for ago in (50, 40, 30)]
    for each in old:
        shutil.copytree(made, made.with_name(each))
    machine.manifest.rename(machine.folder / "etcd.yaml")
    eventually(lambda: not machine.answers(), "etcd is down")
    machine.run("etcd", "snapshot", code=Code.FAILED)
    assert machine.names() == [*old, name] and left(machine) == []
    assert machine.metric("last_run_ok", "etcd-run") == 0 and machine.metric("kept") == 4
    (machine.folder / "etcd.yaml").rename(machine.manifest)
    eventually(machine.answers, "etcd is up")
    machine.run("etcd", "snapshot")
    assert machine.names()[:2] == old[1:], "three days, and two in any case"
    assert len(machine.names()) == 4


def test_a_clock_that_was_wrong_takes_no_place_and_is_not_the_latest(machine: Machine) -> None:
    machine.put(a="1")
    machine.run("etcd", "snapshot")
    (name,) = machine.names()
    now, made = datetime.now(UTC), machine.state / "etcd"
    future = [points.name_of(now + timedelta(days=ahead)) for ahead in (400, 401, 402, 403)]
    for each in future:
        shutil.copytree(made / name, made / each)
    (made / name).rename(made / points.name_of(now - timedelta(days=3)))
    assert machine.status(Code.OLD)["old"], "three days, whatever the others say"
    machine.put(a="2")
    for _ in range(3):
        machine.run("etcd", "snapshot")
    there = machine.names()
    assert there[-3:] == future[1:], "each of both kinds: two in any case, and three days"
    assert len(there) == 3 + 3 and there[0] == points.name_of(now - timedelta(days=3))
    assert machine.status()["old"] is False
    machine.put(a="3")
    machine.run("etcd", "restore", "latest", "--stop", "--replace")
    assert machine.content() == {"a": "2"}, "not what the wrong clock dated into the future"


def test_where_there_is_no_room_nothing_is_lost(machine: Machine) -> None:
    for _ in range(2):
        machine.run("etcd", "snapshot")
    before, text = machine.names(), machine.settings.read_text()
    machine.settings.write_text(text.replace("keep_free_percent = 1", "keep_free_percent = 99"))
    assert "no room in" in machine.run("etcd", "snapshot", code=Code.NO_ROOM)
    assert machine.names() == before and left(machine) == []
    assert machine.metric("last_run_ok", "etcd-run") == 0 and machine.metric("kept") == 2
    machine.settings.write_text(text)
    machine.run("etcd", "snapshot")


def test_two_at_once(machine: Machine) -> None:
    machine.run("etcd", "snapshot")
    with (machine.state / "etcd.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for words in (["snapshot"], ["verify"], ["restore", "latest"]):
            assert "another one is at work" in machine.run("etcd", *words, code=Code.BUSY)
        assert len(machine.names()) == 1, "who only reads waits for nobody"
    assert machine.metric("last_run_ok", "etcd-run") == 1


def test_etcd_goes_back(machine: Machine) -> None:
    machine.put(kept="1", changed="1", gone="1")
    machine.run("etcd", "snapshot")
    (name,) = machine.names()
    machine.put(changed="2", new="2")
    machine.etcdctl("del", "gone")
    later, revision = machine.content(), machine.revision()
    for words in ([], ["--stop"], ["--replace"]):
        machine.run("etcd", "restore", name, *words, code=Code.REFUSED)
        assert machine.content() == later and machine.manifest.exists(), words
    said = machine.run("etcd", "restore", name, "--stop", "--replace")
    assert said.splitlines()[-1] == "etcd answers"
    assert machine.content() == {"kept": "1", "changed": "1", "gone": "1"}
    assert machine.revision() > revision + etcd_restore.BUMP // 2, "to who watches no revision went down"
    assert sorted(file.name for file in machine.manifests.iterdir()) == ["etcd.yaml", "kube-apiserver.yaml"]
    (before,) = machine.status()["before"]
    machine.put(again="1")
    machine.run("etcd", "snapshot")
    assert len(machine.names()) == 2

    # no manifest in the kubelet's folder says what etcd this is, and that one is there is no reason to do without
    machine.manifest.rename(machine.folder / "etcd.yaml")
    eventually(lambda: not machine.answers(), "etcd is down")
    assert "no etcd.yaml" in machine.run("etcd", "restore", name, code=Code.REFUSED)
    (machine.folder / "etcd.yaml").rename(machine.manifest)
    eventually(machine.answers, "etcd is up")

    # the same once more, and forward again: never to a revision that somebody has seen
    for where, content in ((name, {"kept": "1", "changed": "1", "gone": "1"}), (Path(before).name, later)):
        machine.put(more="1")
        revision = machine.revision()
        machine.run("etcd", "restore", where, "--stop", "--replace")
        assert machine.content() == content, where
        assert machine.revision() > revision + etcd_restore.BUMP // 2, where
    assert len(machine.status()["before"]) == 3, "nothing that was there is gone"
    assert "there is before-" in machine.run("etcd", "restore", "before-x", code=Code.FAILED)
    assert sorted(file.name for file in machine.manifests.iterdir()) == ["etcd.yaml", "kube-apiserver.yaml"]


def test_a_copy_elsewhere_is_closed_and_brings_etcd_back(machine: Machine) -> None:
    machine.put(kept="a-secret-of-the-cluster")
    machine.run("etcd", "snapshot")
    (name,) = machine.names()
    machine.put(new="2")
    assert b"a-secret-of-the-cluster" in (machine.state / "etcd" / name / store.DATA).read_bytes(), "as in etcd itself"
    (machine.bin / "restic").symlink_to(built("restic"))
    (machine.folder / "key").write_text("correct horse battery staple")
    there, back = machine.folder / "elsewhere", machine.folder / "back"
    environ = {
        "RESTIC_REPOSITORY": str(there), "RESTIC_PASSWORD_FILE": str(machine.folder / "key"),
        "RESTIC_CACHE_DIR": str(machine.folder / "cache"),
    }  # fmt: skip
    machine.by_hand("so that nobody reads it or changes it unseen:", environ=environ)
    copied = [file.read_bytes() for file in there.rglob("*") if file.is_file()]
    assert len(copied) > 3 and not any(b"secret-of-the" in content for content in copied)
    shutil.rmtree(machine.state)
    machine.by_hand("Back on this machine, or on a new one:", {"/root/back": str(back)}, environ=environ)
    assert machine.names() == [name]
    assert [file for file in (machine.state / "etcd").rglob("*") if file.stat().st_mode & 0o77] == []
    assert (back / str(machine.manifests).lstrip("/") / "etcd.yaml").read_text() == machine.manifest.read_text()
    machine.run("etcd", "restore", name, "--stop", "--replace")
    assert machine.content() == {"kept": "a-secret-of-the-cluster"}


def test_a_copy_that_everybody_may_read_is_closed(machine: Machine) -> None:
    machine.run("etcd", "snapshot")
    for folder in (machine.state, machine.state / "etcd"):
        folder.chmod(0o755)
    machine.run("etcd", "verify")
    assert oct((machine.state / "etcd").stat().st_mode & 0o777) == "0o700"


def test_names_lead_nowhere_else(machine: Machine) -> None:
    """A name is a time, and one of those that there are."""
    machine.run("etcd", "snapshot")
    (name,) = machine.names()
    shutil.copytree(machine.state / "etcd" / name, machine.folder / name)
    for other in (f"../../{name}", f"{machine.folder}/{name}", f"{name}/../{name}", "", "."):
        for words in (("verify", other), ("restore", other, "--stop", "--replace")):
            assert "no snapshot" in machine.run("etcd", *words, code=Code.FAILED)
    assert machine.answers()


def etcd_runs(machine: Machine) -> bool:
    """Whether its database is open."""
    with (machine.data / "member/snap/db").open("rb") as database:
        try:
            fcntl.flock(database, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize("stop", [False, True], ids=["", "stop"])
def test_onto_an_empty_machine(machine: Machine, stop: bool) -> None:
    """The disk is new, the manifest not where the kubelet would see it: no flag is needed, --stop puts it back."""
    machine.put(a="1")
    machine.run("etcd", "snapshot")
    machine.manifest.rename(machine.folder / "etcd.yaml")
    eventually(lambda: not etcd_runs(machine), "etcd has ended")
    shutil.rmtree(machine.data)
    stopped = machine.manifests.with_name("manifests-stopped-by-pdshub-machine")
    stopped.mkdir()
    (machine.folder / "etcd.yaml").rename(stopped / "etcd.yaml")
    said = machine.run("etcd", "restore", "latest", *(["--stop"] if stop else []))
    if not stop:
        assert "now put etcd's manifest back" in said and machine.status()["stoppedManifests"] == ["etcd.yaml"]
        (stopped / "etcd.yaml").rename(machine.manifest)
        eventually(machine.answers, "etcd is up")
    assert machine.content() == {"a": "1"} and machine.status()["before"] == []


@pytest.mark.parametrize(
    ("program", "word", "after"),
    [
        ("etcdctl", "save", True),
        *(
            pytest.param(*one, marks=pytest.mark.long)
            for one in (
                ("etcdctl", "member", False),
                ("etcdctl", "member", True),
                ("etcdctl", "save", False),
                ("etcdutl", "status", False),
                ("etcdutl", "status", True),
            )
        ),
    ],
)
def test_a_snapshot_killed_at_a_program(machine: Machine, program: str, word: str, after: bool) -> None:
    path = killer(machine, program, word, after=after)
    machine.run("etcd", "snapshot", code=-9, path=path)
    assert machine.names() == [] and machine.status(Code.OLD)["broken"] == []
    machine.after_a_kill("etcd", "snapshot")
    assert len(machine.names()) == 1 and left(machine) == []


@pytest.mark.long
def test_a_snapshot_killed_before_each_change_of_the_disk(machine: Machine) -> None:
    for _ in range(3):
        machine.run("etcd", "snapshot")  # from now on each drops one
    for step in range(1, NEVER):
        newest = machine.names()[-1]
        done = machine.attempt("etcd", "snapshot", dying_at=step)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done
        assert newest in machine.names() and machine.status()["broken"] == []
        machine.run("etcd", "verify")
        newest = machine.names()[-1]
        machine.run("etcd", "snapshot")
        assert machine.names()[-1] > newest and machine.status()["kept"] == 2 and left(machine) == []
    assert step > 8, "folders are made, moved and waited for"
    assert machine.names()[-1] > newest


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_restore_killed_at_its_program(machine: Machine, after: bool) -> None:
    machine.put(a="1")
    machine.run("etcd", "snapshot")
    machine.put(b="2")
    words = ("etcd", "restore", "latest", "--stop", "--replace")
    machine.run(*words, code=-9, path=killer(machine, "etcdutl", "snapshot restore", after=after))
    assert machine.status()["stoppedManifests"] == ["kube-apiserver.yaml", "etcd.yaml"]
    machine.after_a_kill(*words)
    assert machine.content() == {"a": "1"} and machine.status()["stoppedManifests"] == []


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.long), 12])
def test_a_restore_killed_before_each_change_of_the_disk(machine: Machine, every: int) -> None:
    """Whatever was killed: the same command again brings etcd back, and nothing that was there is lost."""
    machine.put(a="1")
    machine.run("etcd", "snapshot")
    words = ("etcd", "restore", "latest", "--stop", "--replace")
    for step in range(1, NEVER, every):
        machine.put(step=str(step))
        before = len(machine.status()["before"])
        done = machine.attempt(*words, dying_at=step)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done
        machine.run(*words)
        assert machine.content() == {"a": "1"}, step
        assert machine.status()["stoppedManifests"] == []
        assert len(machine.status()["before"]) > before, "what the killed one, or this one, replaced"
    assert step > 12, "manifests out and in, folders made, moved and waited for"
    assert machine.content() == {"a": "1"}
