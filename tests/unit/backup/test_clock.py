"""A real restic, and the program that starts it, under a clock that is wrong by days or jumps while they work.

Nothing that was saved is gone, no lock stays, and the run after it, by a right clock, succeeds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pdshub.backup.snapshots import moment
from tests import clock as program
from tests.unit.backup.harness import PASSWORD, ROOT, Hub, Ran, kill_all, restic
from tests.unit.backup.test_killed import grown

pytestmark = pytest.mark.skipif(not program.works(), reason="the clock of one program is changed on Linux x86-64 only")
DAY = 86400
PROGRAM = (sys.executable, "-S", str(ROOT / "tests/clock.py"))
NONE = {"last": 0, "daily": 0, "weekly": 0, "monthly": 0}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a host name of its own")


@dataclass
class Clock:
    """The clock of a hub's Jobs."""

    hub: Hub
    file: Path

    @classmethod
    def of(cls, hub: Hub, days: float = 0, name: str = "clock") -> Clock:
        made = cls(hub, hub.folder / name)
        made.set(days)
        return made

    def set(self, days: float) -> None:
        """So many days ahead of the right time; negative: behind it."""
        part = self.file.with_name(f"{self.file.name}.part")
        part.write_text(str(int(days * DAY)))
        part.replace(self.file)

    def under(self, *argv: str) -> list[str]:
        """A command under this clock."""
        return [*PROGRAM, str(self.file), *argv]

    def start(self, action: str, **fields: Any) -> subprocess.Popen[bytes]:
        """The worker, and every restic that it starts."""
        script = self.hub.folder / "restic-under-a-clock"
        script.write_text(f'#!/bin/sh\nexec {" ".join(self.under(restic()))} "$@"\n')
        script.chmod(0o755)
        words = self.hub.arguments(self.hub.request(action, **fields))
        return self.hub.spawn([*words[:-1], str(script)], self.under())

    def run(self, action: str, **fields: Any) -> Ran:
        return self.hub.finish(self.start(action, **fields))

    @contextmanager
    def jumping(self, days: Sequence[float]) -> Iterator[None]:
        """It jumps from one to the next of these, again and again, and is right at the end."""
        end = threading.Event()

        def jump() -> None:
            while not end.is_set():
                for each in days:
                    self.set(each)
                    end.wait(0.15)

        thread = threading.Thread(target=jump)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
            self.set(0)


def ids(hub: Hub) -> set[str]:
    """All snapshots, as restic itself lists them."""
    return {str(one["id"]) for one in json.loads(hub.call("snapshots", "--json", "--no-lock"))}


def is_well(hub: Hub, kept: set[str]) -> None:
    """The next run, by a right clock, is good; the newest is what is there now, and all of the others are there."""
    (hub.home / "empty.txt").write_text("by a right clock")
    saved = hub.run("backup").good().item
    assert saved is not None
    hub.run("forget", keep={**NONE, "last": 50}).good()
    assert hub.locks() == []
    assert kept <= ids(hub)
    hub.run("check", read_subset="1/1").good()
    assert hub.run("restore", path="empty.txt").good().snapshots[0].id == saved.snapshot
    assert hub.call("dump", "--no-lock", saved.snapshot, "/data/home/empty.txt") == "by a right clock"


def test_the_clock_reaches_a_program_that_does_not_ask_libc(hub: Hub) -> None:
    """Else the tests below would show nothing."""
    clock = Clock.of(hub, -10)
    hub.call("backup", "--quiet", str(hub.home))
    subprocess.run(
        clock.under(restic(), "--no-cache", "-q", "backup", str(hub.home)),
        env={**os.environ, "RESTIC_REPOSITORY": hub.location, "RESTIC_PASSWORD": PASSWORD},
        check=True,
    )
    behind, right = sorted(moment(one["time"]) for one in json.loads(hub.call("snapshots", "--json")))
    assert 9.9 < (right - behind) / DAY < 10.1
    script = "import time\nfor n in range(2): print(time.time(), time.monotonic(), flush=True); input()"
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen(clock.under(sys.executable, "-c", script), **pipes) as running:
        first = [float(word) for word in running.stdout.readline().split()]
        clock.set(20)
        time.sleep(2)  # the clock is looked at fifty times a second
        running.stdin.write("\n")
        then = [float(word) for word in running.stdout.readline().split()]
        running.stdin.write("\n")
    assert 29.9 < (then[0] - first[0]) / DAY < 30.1
    assert then[1] - first[1] < 600, "a clock that is set moves no monotonic one"


JUMPS = {
    "ahead": [3],
    "behind": [-3],
    "ahead and back": [3, 0],
    "behind and back": [-3, 0],
    "all over": [-400, 2, 0, 40],
}


@pytest.mark.parametrize(
    "days",
    [pytest.param(days, marks=[] if len(days) > 2 else pytest.mark.long, id=name) for name, days in JUMPS.items()],
)
@pytest.mark.parametrize(
    "action",
    ["backup", "forget", *(pytest.param(action, marks=pytest.mark.long) for action in ("check", "restore", "drill"))],
)
def test_it_jumps_while_there_is_work(hub: Hub, action: str, days: list[float]) -> None:
    for n in range(3):
        hub.run("backup").good()
        (hub.home / "empty.txt").write_text(str(n))
    grown(hub, 12)
    before, clock = ids(hub), Clock.of(hub)
    fields: dict[str, Any] = {"upload_limit_kib": 4096} if action == "backup" else {}
    fields |= {"keep": {**NONE, "last": 50}} if action == "forget" else {}
    with clock.jumping(days):
        clock.run(action, **fields).good()
    is_well(hub, before)


@pytest.mark.parametrize("days", [-3, pytest.param(3, marks=pytest.mark.long)])
@pytest.mark.parametrize("keep", [{**NONE, "last": 1}, {**NONE, "last": 2, "daily": 1}], ids=["one", "few"])
def test_what_a_run_by_a_wrong_clock_saved_is_not_what_its_own_retention_takes(
    hub: Hub, days: int, keep: dict[str, int]
) -> None:
    """Jobs of a run are on several nodes: by one clock the snapshot is the oldest, and it is the newest."""
    hub.run("backup").good()
    (hub.home / "empty.txt").write_text("the newest")
    saved = Clock.of(hub, days).run("backup", run="one").good().item
    assert saved is not None
    hub.run("forget", run="one", keep=keep).good()
    assert saved.snapshot in ids(hub)
    is_well(hub, {saved.snapshot} if days > 0 else set())


def test_what_was_saved_by_a_clock_that_was_ahead_hides_nothing(hub: Hub) -> None:
    """It is not the newest, no parent, and counts for nothing, until its day comes."""
    ahead = Clock.of(hub, 30).run("backup").good().item
    assert ahead is not None
    for n in range(4):
        (hub.home / "empty.txt").write_text(f"right {n}")
        saved = hub.run("backup").good().item
    assert saved is not None
    assert hub.run("restore", path="empty.txt").good().snapshots[0].id == saved.snapshot
    hub.run("forget", keep={**NONE, "last": 1}).good()
    assert ids(hub) == {ahead.snapshot, saved.snapshot}
    assert hub.run("restore", snapshot=ahead.snapshot, path="notebooks").good().files


def test_retention_by_a_clock_that_is_behind_takes_nothing(hub: Hub) -> None:
    made = [hub.run("backup").good().item for _ in range(3)]
    Clock.of(hub, -30).run("forget", keep={**NONE, "last": 1}).good()
    assert {item.snapshot for item in made if item} <= ids(hub), "all of them are of the future"
    is_well(hub, set())


@contextmanager
def another(hub: Hub, clock: Clock, megabytes: int, kib: int) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody on another host saves into the same repository, by this clock and slowly."""
    folder = hub.folder / "another"
    folder.mkdir()
    for n in range(megabytes):
        (folder / str(n)).write_bytes(os.urandom(1 << 20))
    words = clock.under(restic(), "--no-cache", "backup", "--host", "other/hub", "--pack-size", "4")
    argv = ["unshare", "--uts", "sh", "-c", 'hostname another && exec "$@"', "sh", *words]
    environ = {**os.environ, "RESTIC_REPOSITORY": hub.location, "RESTIC_PASSWORD": PASSWORD}
    process = subprocess.Popen([*argv, "--limit-upload", str(kib), str(folder)], env=environ, stdout=subprocess.DEVNULL)
    try:
        while not hub.locks():
            assert process.poll() is None
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait(60)


@needs_root
def test_a_lock_that_somebody_left_two_days_ago_goes_once_it_was_watched(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pdshub.backup import repository

    monkeypatch.setattr(repository, "WATCHED", 2.0)
    monkeypatch.setattr(repository, "LOOK", 0.5)
    with another(hub, Clock.of(hub, -2, "theirs"), 4, 100) as process:
        process.kill()
        process.wait(60)
    assert len(hub.locks()) == 1
    ran = hub.run("init", unlock=True)
    assert ran.good().unlocked == 0 and "watched" not in ran.out, "a backup works beside it, and waits for nothing"
    ran = hub.run("forget", unlock=True)
    assert ran.good().unlocked == 1 and "watched" in ran.out and hub.locks() == []


@needs_root
@pytest.mark.long
@pytest.mark.parametrize("whose", ["mine", "theirs"])
def test_who_is_at_work_keeps_their_lock_whichever_clock_is_wrong(hub: Hub, whose: str) -> None:
    """Minutes, as restic makes its lock anew every five, and here later: its uploads are slow. Without the watch the
    prune took what the other had written: their backup ended well, and `restic check` found packs missing."""
    hub.run("backup").good()
    theirs, mine = Clock.of(hub, 0, "theirs"), Clock.of(hub)
    (mine if whose == "mine" else theirs).set(2 if whose == "mine" else -2)
    with another(hub, theirs, 60, 100) as process:
        ran = mine.hub.finish(mine.start("forget", unlock=True), within=900)
        assert "made anew" in ran.out, ran
        assert ran.answer.unlocked == 0 and ran.bad("Locked")
        assert process.poll() is None and len(hub.locks()) == 1
        assert process.wait(900) == 0
    is_well(hub, ids(hub))


@needs_root
@pytest.mark.parametrize("days", [2, -2])
def test_a_lock_of_this_hub_goes_at_once_whatever_its_clock_was(hub: Hub, days: int) -> None:
    """One that is dated ahead is never too old. It is this host's, of a process that is not there any more."""
    grown(hub, 20)
    process = Clock.of(hub, days).start("backup", upload_limit_kib=200)
    while not any(path.is_file() for path in (hub.repository / "data").rglob("*")):  # commands before it lock, too
        assert process.poll() is None
        time.sleep(0.1)
    kill_all(process)
    assert len(hub.locks()) == 1
    is_well(hub, set())
    assert hub.locks() == []
