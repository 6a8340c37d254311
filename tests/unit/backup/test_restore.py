"""What comes back, where it goes, and that it goes nowhere else."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdshub.api.backup_job import JobAnswer
from pdshub.backup import home as home_module
from pdshub.backup.home import NOTE, STAGE, Home, Note
from pdshub.backup.listing import Node, Times
from tests.unit.backup.harness import Hub, kill_all, restic, tree


def saved(hub: Hub) -> dict[str, Any]:
    """A home that was saved, as it was."""
    was = tree(hub.home)
    hub.run("backup").good()
    return was


def restored(hub: Hub, **fields: Any) -> JobAnswer:
    answer = hub.run("restore", **fields).good()
    assert not (hub.home / STAGE).exists()
    return answer


def test_a_whole_home_comes_back_beside(hub: Hub) -> None:
    was = saved(hub)
    answer = restored(hub)
    assert answer.place.startswith("restored-20") and len(answer.place) == len("restored-2026-01-31")
    assert tree(hub.home / answer.place) == was and answer.replaced == ""
    assert (hub.home / answer.place / "hard1").stat().st_ino == (
        hub.home / answer.place / "notebooks/hard2"
    ).stat().st_ino
    sparse = (hub.home / answer.place / "sparse").stat()
    assert sparse.st_blocks * 512 < sparse.st_size / 4, "holes are holes"
    assert not (hub.home / answer.place / "fifo").exists()


@pytest.mark.parametrize("path", [".", "notebooks"])
def test_times_come_back_to_the_nanosecond(hub: Hub, path: str) -> None:
    """Of files, folders and links, whatever their names are, and of what lies before 1970."""
    odd, old = 1_700_000_000_987_654_321, -123_456_789
    latin = "notebooks/" + os.fsdecode(b"caf\xe9 \xe4\xb8")
    (hub.home / latin).write_text("latin-1")
    (hub.home / "notebooks/link").symlink_to("nowhere")
    times = {"notebooks/x.ipynb": old, "notebooks/deep/er/data.bin": odd, latin: odd + 1, "notebooks/link": odd + 2,
             "notebooks/deep/er": odd + 3, "notebooks/deep": odd + 4}  # fmt: skip
    for name, when in times.items():
        os.utime(hub.home / name, ns=(when, when), follow_symlinks=False)
    hub.run("backup").good()
    place = hub.home / restored(hub, path=path).place
    assert {name: (place / name).lstat().st_mtime_ns for name in times} == times


def test_times_go_along_with_an_archive_that_leaves_something_out() -> None:
    times = Times()
    for n, name in enumerate(("a", "a/b", "c\ufffd\ufffd", "d", "e")):
        times.add(Node(name, "file", 0, 0, n + 1, 0, 0))
    assert [times.of(name) for name in ("a", "nowhere", os.fsdecode(b"c\xe4\xb8"), "a/b", "e")] == [1, 0, 3, 0, 5]


def test_a_second_one_has_a_number(hub: Hub) -> None:
    saved(hub)
    places = [restored(hub, path="empty.txt").place for _ in range(3)]
    assert places[1:] == [f"{places[0]}-2", f"{places[0]}-3"]
    assert restored(hub, path="empty.txt", to="notebooks").place == "notebooks-2"
    assert restored(hub, path="empty.txt", to="a/new/one").place == "a/new/one"


@pytest.mark.parametrize(
    "path",
    [
        "notebooks/x.ipynb",
        "a\nb\x1b[31m",
        "-rf",
        "[x]*?",
        "ünïcode 星",
        "sparse",
        "run.sh",
        "notebooks/deep",
        "empty",
        "closed",
    ],
)
def test_one_file_or_folder_comes_back(hub: Hub, path: str) -> None:
    was = tree(hub.home)
    saved(hub)
    answer = restored(hub, path=path)
    name = path.rpartition("/")[2]
    found = tree(hub.home / answer.place)
    assert found.pop(name) == was[path]
    below = {k.removeprefix(f"{path}/"): v for k, v in was.items() if k.startswith(f"{path}/")}
    assert {k.removeprefix(f"{name}/"): v for k, v in found.items()} == below


def test_in_place_what_was_there_is_beside(hub: Hub) -> None:
    was = saved(hub)
    (hub.home / "notebooks/x.ipynb").write_text("broken")
    answer = restored(hub, path="notebooks/x.ipynb", in_place=True)
    assert answer.place == "notebooks/x.ipynb" and answer.replaced.startswith("replaced-20")
    assert (hub.home / answer.replaced / "notebooks/x.ipynb").read_text() == "broken"
    assert tree(hub.home)["notebooks/x.ipynb"] == was["notebooks/x.ipynb"]


def test_in_place_of_nothing_replaces_nothing(hub: Hub) -> None:
    saved(hub)
    (hub.home / "notebooks").rename(hub.home / "elsewhere")
    answer = restored(hub, path="notebooks/deep/er", in_place=True)
    assert answer.replaced == "" and (hub.home / "notebooks/deep/er/data.bin").exists()


def test_a_whole_home_in_place(hub: Hub) -> None:
    was = saved(hub)
    (hub.home / "new since").write_text("kept")
    (hub.home / "notebooks/x.ipynb").write_text("broken")
    answer = restored(hub, in_place=True)
    now = tree(hub.home)
    old = {k: v for k, v in now.items() if k.startswith(answer.replaced)}
    assert {k: v for k, v in now.items() if k not in old} == was
    assert (hub.home / answer.replaced / "new since").read_text() == "kept"
    assert (hub.home / answer.replaced / "notebooks/x.ipynb").read_text() == "broken"


def test_what_is_not_there_is_not_found(hub: Hub) -> None:
    saved(hub)
    for path in ("nowhere", "notebooks/nowhere", "empty.txt/x", "fifo", "out"):
        hub.run("restore", path=path).bad("NotFound")
    hub.run("restore", snapshot="ffffffff").bad("NotFound")
    hub.run("restore", as_of="2020-01-01T00:00:00Z").bad("NotFound")


def test_anothers_snapshot_is_not_found_by_its_id(hub: Hub, tmp_path: Path) -> None:
    (hub.home / "secret").write_text("bob's")
    status = hub.run("backup", item="home/bob").good().item
    assert status is not None
    for wanted in (status.snapshot, status.snapshot[:8]):
        for action in ("restore", "browse", "drill"):
            answer = hub.run(action, snapshot=wanted).bad("NotFound")
            assert "bob" not in answer.message
    other = Hub(tmp_path / "other", hub="lab/other", location=hub.location)
    other.run("restore", item="home/bob", snapshot=status.snapshot).bad("NotFound")


def test_browse_shows_one_folder_and_no_control_characters(hub: Hub) -> None:
    saved(hub)
    ran = hub.run("browse")
    answer = ran.good()
    names = [e.name for e in answer.entries]
    assert names[:3] == ["closed", "empty", "notebooks"] and answer.entries[0].kind == "Folder"
    assert "a\\nb\\x1b[31m" in names and "fifo" not in names and "\x1b" not in ran.out
    deeper = hub.run("browse", path="notebooks").good()
    assert [e.name for e in deeper.entries] == ["deep", "hard2", "x.ipynb"]
    hub.run("browse", path="nowhere").bad("NotFound")


def test_a_repository_that_is_mounted_read_only_is_restored_from(hub: Hub) -> None:
    """The operator mounts a claim so for a restore."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    saved(hub)
    before = ["unshare", "--mount", "sh", "-c"]
    mount = f'mount --bind "{hub.location}" "{hub.location}" && mount -o remount,bind,ro "{hub.location}" && exec "$@"'
    ran = hub.apart("restore", [*before, mount, "sh"], path="empty.txt")
    if "must be superuser" in ran.out or "permission denied" in ran.out.lower():
        pytest.skip("mounts are not allowed here")
    ran.good()
    hub.apart("backup", [*before, mount, "sh"]).bad("ReadOnly")


def test_a_full_home_is_said_before_anything_is_written(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(hub)
    before = tree(hub.home)
    monkeypatch.setattr(Home, "free", lambda _: 1000)
    assert "left" in hub.run("restore").bad("Full").message
    assert tree(hub.home) == before


# --- attacks


def test_links_in_the_home_are_not_followed(hub: Hub, tmp_path: Path) -> None:
    """Every folder that the restore may write to is a link out of the home."""
    saved(hub)
    outside = tmp_path / "outside"
    outside.mkdir()
    (hub.home / "to").symlink_to(outside)
    hub.run("restore", path="empty.txt", to="to/below").bad("Failed")
    restored(hub, path="empty.txt", to="to")
    (hub.home / "notebooks").rename(hub.home / "moved")
    (hub.home / "notebooks").symlink_to(outside)
    hub.run("restore", path="notebooks/x.ipynb", in_place=True).bad("Failed")
    (hub.home / STAGE).symlink_to(outside)
    restored(hub, path="empty.txt")
    assert list(outside.iterdir()) == [] and (hub.home / "to").is_symlink()


def test_nobody_wins_a_race_for_a_folder(hub: Hub, tmp_path: Path) -> None:
    """Somebody with the same rights puts links in the place of folders all the time while a home is unpacked."""
    for n in range(40):
        (hub.home / f"many/d{n}").mkdir(parents=True)
        (hub.home / f"many/d{n}/f").write_text("x")
    saved(hub)
    outside = tmp_path / "outside"
    outside.mkdir()
    over = threading.Event()

    def attack() -> None:
        while not over.is_set():
            for below in ("new", "new/many", "new/many/d7", "new/many/d39", "new/notebooks"):
                path = hub.home / STAGE / below
                try:
                    path.rename(f"{path}.away")
                    path.symlink_to(outside)
                except OSError:
                    continue

    thread = threading.Thread(target=attack)
    thread.start()
    try:
        for _ in range(3):
            hub.run("restore")
    finally:
        over.set()
        thread.join()
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"place": "../x"},
        {"place": "/etc"},
        {"replaced": "/etc"},
        {"replaced": "replaced-x"},
        {"replaced": "../replaced-2026-01-01-000000"},
        {"name": "../.."},
        {"name": "a/b"},
        {"path": "../.."},
        {"emptied": "perhaps"},
        {"more": 1},
    ],
)
def test_a_note_that_somebody_wrote_moves_nothing_out(tmp_path: Path, change: dict[str, Any]) -> None:
    note = {"run": "r", "path": "x", "inPlace": True, "place": "x", "replaced": "", "name": "x", **change}
    (tmp_path / STAGE / "new").mkdir(parents=True)
    (tmp_path / STAGE / NOTE).write_text(json.dumps(note))
    opened = Home(str(tmp_path))
    try:
        assert opened.resume() is None
    finally:
        opened.close()
    assert list(tmp_path.iterdir()) == []


# --- killed in between


class Killed(BaseException):
    """The process is gone."""


def moves(monkeypatch: pytest.MonkeyPatch, after: int) -> list[int]:
    """Die with the move of that number."""
    done = [0]
    real = home_module.rename

    def rename(*words: Any, **more: Any) -> None:
        done[0] += 1
        if done[0] > after:
            raise Killed
        real(*words, **more)

    monkeypatch.setattr(home_module, "rename", rename)
    return done


def killed(home: Path, monkeypatch: pytest.MonkeyPatch, note: Note, after: int) -> None:
    """A restore that is ended after so many moves."""
    with monkeypatch.context() as dying:
        moves(dying, after)
        with contextlib.closing(Home(str(home))) as opened:
            opened.write_note(note)
            with contextlib.suppress(Killed):
                opened.finish(note)


@pytest.mark.parametrize("after", range(8))
@pytest.mark.parametrize("emptied", [False, True])
def test_a_restore_of_a_whole_home_goes_on_after_each_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, emptied: bool
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text("old")
        (tmp_path / STAGE / "new").mkdir(parents=True, exist_ok=True)
        (tmp_path / STAGE / "new" / name).write_text("new")
    note = Note(run="r", path=".", in_place=True, place=".", replaced="replaced-2026-01-31-000000", emptied=False)
    killed(tmp_path, monkeypatch, note, after)
    everything = [p.read_text() for p in tmp_path.rglob("*") if p.is_file() and p.name in "abc"]
    assert sorted(everything) == ["new"] * 3 + ["old"] * 3, "old or new can be found"
    if emptied and not (tmp_path / "a").exists():
        (tmp_path / "a").write_text("made meanwhile")  # by a program of the user
    with contextlib.closing(Home(str(tmp_path))) as opened:
        opened.resume()
    assert not (tmp_path / STAGE).exists()
    assert [(tmp_path / n).read_text() for n in "abc"] == ["new"] * 3
    kept = [p.read_text() for p in (tmp_path / "replaced-2026-01-31-000000").iterdir()]
    assert sorted(k for k in kept if k == "old") == ["old"] * 3


@pytest.mark.parametrize("after", range(3))
def test_a_restore_of_a_file_goes_on_after_each_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f/x").write_text("old")
    (tmp_path / STAGE / "new").mkdir(parents=True)
    (tmp_path / STAGE / "new/x").write_text("new")
    note = Note(run="r", path="f/x", in_place=True, place="f/x", replaced="replaced-2026-01-31-000000", name="x")
    killed(tmp_path, monkeypatch, note, after)
    with contextlib.closing(Home(str(tmp_path))) as opened:
        opened.resume()
    assert (tmp_path / "f/x").read_text() == "new"
    assert (tmp_path / "replaced-2026-01-31-000000/f/x").read_text() == "old"


def slow(hub: Hub, folder: Path) -> str:
    """A restic whose `dump` waits in the middle."""
    wrapper = folder / "slow-restic"
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in *" dump "*) {restic()} "$@" | (head -c 20000; touch {folder}/stuck; sleep 600);; '
        f'*) exec {restic()} "$@";; esac\n'
    )
    wrapper.chmod(0o755)
    return str(wrapper)


def until(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while not true():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def test_a_restore_that_is_killed_while_it_writes_leaves_the_home_as_it_is(hub: Hub, tmp_path: Path) -> None:
    was = saved(hub)
    request = hub.request("restore", in_place=True)
    arguments = hub.arguments(request)
    arguments[-1] = slow(hub, tmp_path)
    process = hub.spawn(arguments)
    until((tmp_path / "stuck").exists, process)
    kill_all(process)
    left = tree(hub.home)
    assert (hub.home / STAGE).exists()
    assert {k: v for k, v in left.items() if not k.startswith(STAGE)} == was
    answer = restored(hub, path="empty.txt")
    assert {k: v for k, v in tree(hub.home).items() if not k.startswith(answer.place)} == was
    assert hub.locks() == [], "the lock of the killed one is gone, too"


def test_two_restores_into_one_home_do_not_mix(hub: Hub) -> None:
    """What is laid aside until it is whole lies in one place: the second waits, and what the first has is untouched."""
    hub.run("backup").good()
    stage = hub.home / STAGE / "new"
    stage.mkdir(parents=True)
    (stage / "half").write_text("of the other")
    before = tree(hub.home)
    held = os.open(hub.home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "being restored" in hub.run("restore", path="empty.txt").bad("Locked").message
        assert tree(hub.home) == before
    finally:
        os.close(held)
    hub.run("restore", path="empty.txt").good()
    assert not (hub.home / STAGE).exists()
