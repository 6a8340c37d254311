"""A repository that was damaged, is full, or is somebody else's: what is said, and by which action it is found."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.backup.harness import PASSWORD, Hub, filled, restic, small


def packs(hub: Hub) -> list[Path]:
    """Files of data, the largest first."""
    return sorted((p for p in (hub.repository / "data").rglob("*") if p.is_file()), key=lambda p: -p.stat().st_size)


def overwrite(path: Path, at: int, data: bytes = b"\0\xff") -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        was = file.read(len(data))
        file.seek(at)
        file.write(bytes(b ^ 0x55 for b in was))


def test_two_bytes_of_a_pack_are_found_by_a_drill_and_by_a_full_read(hub: Hub) -> None:
    hub.run("backup").good()
    hub.run("check", read_subset="1/1").good()
    pack = packs(hub)[0]
    overwrite(pack, pack.stat().st_size // 2)
    assert hub.run("check").good(), "the structure alone says nothing of it"
    found = hub.run("check", read_subset="1/1").bad("Damaged")
    assert pack.name[:8] in found.message, "it names what"
    hub.run("drill").bad("Damaged")
    answers = [hub.run("restore") for _ in range(2)]
    assert all(a.answer.reason == "Damaged" for a in answers) and not list(hub.home.glob("restored-*"))


def test_parts_of_the_data_are_all_of_it(hub: Hub) -> None:
    """The bound: after n of n parts every pack was read, so one of them finds the damage."""
    hub.run("backup").good()
    pack = packs(hub)[0]
    overwrite(pack, pack.stat().st_size // 2)
    found = [n for n in range(1, 5) if not hub.run("check", read_subset=f"{n}/4").answer.ok]
    assert len(found) == 1


def test_a_check_keeps_nobody_from_the_repository_and_waits_for_nobody(hub: Hub) -> None:
    """It may take hours; restic's own would have the repository for itself alone."""
    hub.run("backup").good()
    words = ["-r", str(hub.repository), "backup", "--stdin", "--stdin-filename", "x", "--host", "other"]
    environ = {**os.environ, "RESTIC_PASSWORD": PASSWORD, "RESTIC_CACHE_DIR": str(hub.folder / "cache-of-another")}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([restic(), *words], stdin=subprocess.PIPE, env=environ, **quiet) as another:
        while not hub.locks():
            assert another.poll() is None
        hub.run("check", read_subset="1/1").good()
        assert another.poll() is None and hub.locks(), "somebody worked with it all the time"
        assert another.stdin is not None
        another.stdin.write(b"something")  # restic calls nothing a source that cannot be read
        another.stdin.close()
        assert another.wait() == 0
    hub.run("check", read_subset="1/1").good()


@pytest.mark.parametrize("subset", ["0/4", "5/4", "1/257", "10%", "1", "x", "1/4; rm"])
def test_what_is_no_part_is_refused(hub: Hub, subset: str) -> None:
    hub.run("check", read_subset=subset).bad("BadRequest")


def test_a_pack_that_is_gone_is_found_by_each_check(hub: Hub) -> None:
    hub.run("backup").good()
    packs(hub)[0].unlink()
    hub.run("check").bad("Damaged")
    hub.run("drill").bad("Damaged")


def test_a_damaged_index_is_found(hub: Hub) -> None:
    hub.run("backup").good()
    (index,) = (hub.repository / "index").iterdir()
    overwrite(index, 100)
    hub.run("check").bad("Damaged")
    hub.run("drill").bad("Damaged")
    hub.run("restore").bad("Damaged")
    answer = hub.run("backup").answer
    assert answer.ok or answer.reason == "Damaged"


def test_a_snapshot_that_is_damaged_hides_no_other(hub: Hub) -> None:
    """restic names it and goes on or stops; either way nothing false is said."""
    hub.run("backup").good()
    (snapshot,) = (hub.repository / "snapshots").iterdir()
    overwrite(snapshot, 50)
    answer = hub.run("list").answer
    assert (answer.ok and answer.snapshots == []) or answer.reason == "Damaged"


def test_the_key_that_does_not_fit_changes_nothing(hub: Hub) -> None:
    hub.run("backup").good()
    hub.secret("key/key", "not the key")
    for action in ("init", "backup", "forget", "check", "restore", "list", "browse", "drill"):
        hub.run(action).bad("WrongKey")
    hub.secret("key/key", "")
    hub.run("list").bad("BadRequest")


def test_a_full_repository_is_said_and_used_again_when_it_has_room(empty: Hub) -> None:
    filled(empty.home)
    (empty.home / "more").write_bytes(os.urandom(6 << 20))
    with small(empty.repository, "4M"):
        empty.run("init").good()
        empty.run("backup").bad("Full")
        assert empty.locks() == []
        (empty.home / "more").unlink()
        empty.run("forget").good()  # what the full one left
        assert empty.run("backup").good().item
        empty.run("check").good()


def test_a_home_that_gets_full_while_it_is_restored_stays_as_it_was(hub: Hub, tmp_path: Path) -> None:
    hub.run("backup").good()
    target = tmp_path / "target"
    from pdshub.backup import give_back

    with small(target, "500k"), pytest.MonkeyPatch.context() as patch:
        (target / "mine").write_text("mine")
        patch.setattr(give_back.Home, "free", lambda _: 1 << 40)
        hub.target = target
        hub.run("restore").bad("Full")
        assert [p.name for p in target.iterdir()] == ["mine"]


def test_a_digest_that_was_forged_is_found(hub: Hub) -> None:
    """The tag says something else than what comes back."""
    status = hub.run("backup").good().item
    assert status is not None
    hub.call("tag", "--remove", f"digest={status.digest}", "latest")
    hub.call("tag", "--add", f"digest={'0' * 64}", "latest")
    hub.run("drill").bad("Damaged")


def test_a_drill_leaves_nothing_and_needs_no_home(hub: Hub, tmp_path: Path) -> None:
    hub.run("backup").good()
    (hub.folder / "data").rename(tmp_path / "gone")
    hub.target = tmp_path / "nowhere"
    (tmp_path / "scratch").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
        hub.run("drill").good()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_repository_that_was_killed_while_it_was_made_is_made(empty: Hub) -> None:
    """restic writes the key, then the config. It refuses a place with a key and no config for ever."""
    filled(empty.home)
    empty.run("init").good()
    (empty.repository / "config").unlink()
    assert "made the repository" in empty.run("init").good().message
    empty.run("backup").good()
    assert len(empty.call("key", "list", "--json").split("userName")) == 2, "one key, and not that of the other"


def test_a_config_that_was_lost_is_no_repository_that_was_never_made(hub: Hub) -> None:
    """Whoever makes a new one there makes all that is in it unreadable."""
    hub.run("backup").good()
    config = (hub.repository / "config").read_bytes()
    (hub.repository / "config").unlink()
    for action in ("init", "backup", "list"):
        answer = hub.run(action).bad("NoRepository")
    assert "put that back" in hub.run("init").answer.message, answer
    (hub.repository / "config").write_bytes(config)
    hub.run("init").good()
    hub.run("drill").good()


@pytest.mark.long
def test_a_lock_that_cannot_be_read_is_said_to_be_that(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a machine that lost power, on a file system that keeps no order: not the data is damaged."""
    from pdshub.backup import restic as module

    hub.run("backup").good()
    monkeypatch.setattr(module, "LOCK_WAIT", "1s")
    (hub.repository / "locks" / ("ab" * 32)).write_bytes(b"half a lock")
    assert "unlock --remove-all" in hub.run("backup").bad("Locked").message
    hub.call("unlock", "--remove-all")
    hub.run("backup").good()


@pytest.mark.parametrize("how", ["overwritten", "cut off", "empty"])
def test_a_damaged_index_is_made_anew_by_the_next_run(hub: Hub, how: str) -> None:
    """All of the data is there, and nothing could be read: the run's first Job makes the index of it."""
    hub.run("backup").good()
    (index,) = (hub.repository / "index").iterdir()
    index.chmod(0o600)
    if how == "overwritten":
        overwrite(index, index.stat().st_size // 2)
    else:
        os.truncate(index, 0 if how == "empty" else index.stat().st_size // 2)
    assert "index" in hub.run("init").good().message
    for action in ("backup", "drill", "forget"):
        hub.run(action).good()
    hub.run("check", read_subset="1/1").good()
    assert len(hub.run("list").good().snapshots) == 2 and "already" in hub.run("init").good().message


def test_packs_that_are_not_there_are_left_in_the_index(hub: Hub) -> None:
    """They may come back, as a disk that was not mounted: what the index lacks the next prune would take away."""
    hub.run("backup").good()
    pack = packs(hub)[0]
    hidden = hub.folder / "hidden"
    pack.rename(hidden)
    assert "already" in hub.run("init").good().message
    hub.run("forget")
    hidden.rename(pack)
    hub.run("check", read_subset="1/1").good()
    hub.run("drill").good()


def test_a_server_that_only_adds_keeps_its_damaged_index_and_it_is_said(hub: Hub) -> None:
    hub.run("backup").good()
    (index,) = (hub.repository / "index").iterdir()
    overwrite(index, 50)
    assert "repair index" in hub.run("init", append_only=True).bad("Damaged").message
