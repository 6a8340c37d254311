"""Killed, interrupted, locked out: the next run succeeds by itself and no lock is left."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.unit.backup.harness import PASSWORD, Hub, kill_all, restic

FAKE = """#!/bin/sh
case "$*" in *" %(command)s"*) touch %(folder)s/there; %(do)s;; esac
exec %(restic)s "$@"
"""


def wrapped(hub: Hub, command: str, do: str) -> list[str]:
    """Words with which the hub's program gets a restic that does something else for one command."""
    path = hub.folder / f"restic-{command}"
    path.write_text(FAKE % {"command": command, "do": do, "folder": hub.folder, "restic": restic()})
    path.chmod(0o755)
    return [str(path)]


def arguments(hub: Hub, action: str, program: str, **fields: object) -> list[str]:
    return [*hub.arguments(hub.request(action, **fields))[:-1], program]


def grown(hub: Hub, megabytes: int = 60) -> None:
    (hub.home / "grown").mkdir(exist_ok=True)
    for n in range(megabytes):
        (hub.home / f"grown/{n}").write_bytes(os.urandom(1 << 20))


STEPS = [
    ("backup", "backup", {}),
    ("forget", "forget", {"keep": {"last": 1, "daily": 0, "weekly": 0, "monthly": 0}}),
    ("forget", "prune", {"keep": {"last": 1, "daily": 0, "weekly": 0, "monthly": 0}}),
    ("check", "check", {"read_subset": "1/1"}),
    ("drill", "dump", {}),
    ("restore", "dump", {}),
    ("backup", "list locks", {}),
    ("backup", "snapshots", {}),
]


USUAL = (("backup", "backup"), ("forget", "prune"), ("restore", "dump"))
"""Steps that are tried at each change of anything: what adds to a repository, what takes from it, what reads it."""
ROUNDS = [
    pytest.param(
        n, *step, marks=[] if n == 0 and step[:2] in USUAL else pytest.mark.long, id=f"{n}-{step[0]}-{step[1]}"
    )
    for n in range(6)
    for step in STEPS
]


@pytest.mark.parametrize(("round", "action", "command", "fields"), ROUNDS)
def test_killed_at_any_moment_of_any_step(
    hub: Hub, action: str, command: str, fields: dict[str, object], round: int
) -> None:
    """SIGKILL to the worker and its restic some moments after a step began, which a pod's end is."""
    for n in range(3):
        hub.run("backup").good()
        (hub.home / "empty.txt").write_text(str(n))
    grown(hub, 30)
    before = {s.id for s in hub.run("list").good().snapshots}
    process = hub.spawn(arguments(hub, action, *wrapped(hub, command, ":"), **fields))
    while not (hub.folder / "there").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(random.Random(f"{action}{command}{round}").uniform(0, 2.5))  # any moment will do
    kill_all(process)
    again = hub.run(action, **fields).good()
    assert hub.locks() == [], again
    left = {s.id for s in hub.run("list").good().snapshots}
    assert before <= left or action == "forget", "what a finished backup held is there"
    hub.run("forget").good()
    hub.run("check", read_subset="1/1").good()
    hub.run("drill").good()


def test_sigterm_ends_in_order(hub: Hub) -> None:
    """As when the pod is deleted: restic takes its lock away, and the answer says what was."""
    grown(hub)
    process = hub.spawn(arguments(hub, "backup", *wrapped(hub, "backup", ":"), upload_limit_kib=64))
    while not hub.locks():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    ran = hub.finish(process, 60)
    assert "told to end" in ran.bad("Deadline").message
    assert hub.locks() == []


@pytest.mark.long
def test_the_deadline_ends_in_order(hub: Hub) -> None:
    grown(hub)
    began = time.monotonic()
    ran = hub.run("backup", deadline_seconds=8, upload_limit_kib=64)
    assert "deadline" in ran.bad("Deadline").message
    assert time.monotonic() - began < 60 and hub.locks() == []


def test_a_restic_that_does_not_end_is_killed(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from pdshub.backup import ending, main
    from tests.unit.backup.harness import children_of

    def short(seconds: float) -> ending.Ending:
        return ending.Ending(seconds, grace=1)

    monkeypatch.setattr(main, "Ending", short)
    stubborn = wrapped(hub, "backup", "trap '' INT TERM; while :; do sleep 1; done")
    assert hub.main(arguments(hub, "backup", *stubborn, deadline_seconds=6)) == 1
    assert hub.told().reason == "Deadline"
    assert children_of(os.getpid()) == [] or all(
        "sleep" not in Path(f"/proc/{p}/cmdline").read_text() for p in children_of(os.getpid())
    )


INTERRUPTED = (
    "printf '\\033[2Ksignal interrupt received, cleaning up\\nFatal: config cannot be loaded: context canceled\\n' >&2"
)


@pytest.mark.long
def test_a_restic_that_is_interrupted_while_it_begins_is_no_failure(hub: Hub) -> None:
    """It has not always the exit code of an interrupt. Its words are real."""
    begins = wrapped(hub, "backup", f'trap "{INTERRUPTED}; exit 1" INT; while :; do sleep 0.1; done')
    assert hub.main(arguments(hub, "backup", *begins, deadline_seconds=20)) == 1
    told = hub.told()
    assert told.reason == "Deadline" and "x1b" not in told.message


def test_a_repository_that_never_answers_has_a_time_of_its_own(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """restic tries for a quarter of an hour, and says what it sees; the last of it is told."""
    from pdshub.backup import repository

    monkeypatch.setattr(repository, "CONTACT", 6.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        hub.kind, hub.location = "rest", f"rest:http://127.0.0.1:{taken.getsockname()[1]}/x"
        began = time.monotonic()
        answer = hub.run("list").bad("Unreachable")
    assert time.monotonic() - began < 60
    assert "connection refused" in answer.message and PASSWORD not in answer.message


ALONE = ("check", "--read-data", "--limit-download", "1")
"""Words of a restic that has a repository for itself, for long."""


def lock(hub: Hub, host: str, command: tuple[str, ...] = ()) -> None:
    """A lock as a restic leaves it that is killed on a host of that name."""
    environ = {**os.environ, "RESTIC_REPOSITORY": hub.location, "RESTIC_PASSWORD": PASSWORD}
    saves = ("backup", "--host", hub.hub, "--limit-upload", "1", str(hub.home))
    words = [restic(), "--no-cache", *(command or saves)]
    command = ["unshare", "--uts", "sh", "-c", f'hostname "{host}" && exec "$@"', "sh", *words]
    made = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not hub.locks():
        assert made.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    made.kill()
    made.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a host name of its own")
def test_only_locks_of_this_host_name_are_taken_away_at_once(hub: Hub) -> None:
    grown(hub, 5)
    lock(hub, "another-hub")
    ran = hub.run("backup").good()
    assert ran.unlocked == 0 and len(hub.locks()) == 1, "somebody else may be at work"
    from pdshub.backup import restic as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LOCK_WAIT", "1s")
        hub.run("forget").bad("Locked")
    hub.call("unlock", "--remove-all")
    grown(hub, 6)
    lock(hub, socket.gethostname())
    assert hub.run("forget").good().unlocked == 1
    assert hub.locks() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a host name of its own")
@pytest.mark.parametrize("action", ["backup", "restore", "drill", "check", "list", "browse"])
def test_who_works_beside_others_takes_away_no_lock(hub: Hub, action: str) -> None:
    """Pods of a hub have one host name, and see each other's processes not: to restic a living one's lock looks like a
    dead one's. Only who was told that nothing runs beside it takes locks away, and then all of this hub."""
    hub.run("backup").good()
    grown(hub, 5)
    lock(hub, socket.gethostname())
    assert hub.run(action, unlock=False).good().unlocked == 0 and len(hub.locks()) == 1
    assert hub.run("forget", unlock=True).good().unlocked == 1 and hub.locks() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a host name of its own")
def test_a_run_begins_at_once_though_the_last_was_killed_while_it_had_all_for_itself(hub: Hub) -> None:
    """The lock that would be in the way for half an hour: nobody can save, and nobody restore. Looks make none."""
    hub.run("backup").good()
    lock(hub, socket.gethostname(), ALONE)
    from pdshub.backup import restic as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LOCK_WAIT", "1s")
        hub.run("backup", unlock=False).bad("Locked")
        hub.run("restore", unlock=False).bad("Locked")
        assert hub.run("browse", unlock=False).good().entries
        assert hub.run("list", unlock=False).good().snapshots
    assert hub.run("init", unlock=True).good().unlocked == 1
    hub.run("backup", unlock=False).good()


def test_a_lock_that_somebody_holds_is_said(hub: Hub) -> None:
    grown(hub, 5)
    environ = {**os.environ, "RESTIC_REPOSITORY": hub.location, "RESTIC_PASSWORD": PASSWORD}
    words = [restic(), "--no-cache", "backup", "--limit-upload", "1", str(hub.home)]
    busy = subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not hub.locks():
            assert busy.poll() is None
            time.sleep(0.05)
        from pdshub.backup import restic as module

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "LOCK_WAIT", "1s")
            answer = hub.run("forget").bad("Locked")
        assert "PID" in answer.message and len(hub.locks()) == 1
        assert busy.poll() is None, "a living restic is left alone"
    finally:
        busy.kill()  # asked to end it would first write what it has, a kilobyte a second
        busy.wait(60)


def made_by(password: str, hub: Hub) -> str:
    """A line of a shell by which somebody else makes the repository."""
    environment = f"env -u RESTIC_PASSWORD_FILE RESTIC_PASSWORD='{password}'"
    return f"{environment} {restic()} --no-cache -q -r {hub.location} init >/dev/null"


def test_another_hub_that_makes_the_repository_in_the_same_moment_is_no_error(empty: Hub) -> None:
    """Between the look and the making. What two do that make it in the same half second is the operator's to prevent:
    it lets one Job at a time work with a repository."""
    other = made_by(PASSWORD, empty)
    assert empty.main(arguments(empty, "init", *wrapped(empty, "init", other))) == 0
    assert "another hub" in empty.told().message
    assert len(json.loads(empty.call("key", "list", "--json"))) == 1
    assert "already" in empty.run("init").good().message


def test_another_hub_with_another_key_is_an_error(empty: Hub) -> None:
    other = made_by("another", empty)
    assert empty.main(arguments(empty, "init", *wrapped(empty, "init", other))) == 1
    assert empty.told().reason == "WrongKey"
