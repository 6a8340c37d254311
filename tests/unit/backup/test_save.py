"""What is saved: homes with odd names, what is left out, what cannot be read, and the digest of it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from pdshub.api.backup import ItemStatus
from pdshub.backup.snapshots import tag
from tests.unit.backup.harness import FAULTS, Hub, Ran, filled, restic, tree


def item(ran: Ran) -> ItemStatus:
    status = ran.good().item
    assert status is not None
    return status


def test_a_repository_is_made_once_and_never_with_another_key(empty: Hub) -> None:
    assert "made" in empty.run("init").good().message
    assert "already" in empty.run("init").good().message
    empty.secret("key/key", "another key")
    empty.run("init").bad("WrongKey")
    empty.run("list").bad("WrongKey")


def test_nothing_but_init_makes_a_repository(empty: Hub) -> None:
    for action in ("backup", "forget", "check", "restore", "list", "browse", "drill"):
        empty.run(action).bad("NoRepository")
    assert not empty.repository.exists()


def test_a_home_with_everything_is_saved_whole(hub: Hub) -> None:
    status = item(hub.run("backup"))
    assert status.phase == "Completed" and status.unread_count == 0 and status.how == "InUse"
    assert len(status.digest) == len(status.snapshot) == 64
    assert status.files >= 11 and status.size_bytes > 9_000_000 and status.added_bytes > 700_000
    (snapshot,) = json.loads(hub.call("snapshots", "--json"))
    assert snapshot["hostname"] == hub.hub and snapshot["id"] == status.snapshot
    assert {"item=home/ada", "run=run-2", f"digest={status.digest}"} < set(snapshot["tags"])


def test_what_did_not_change_is_not_read_again_and_moves_nothing(hub: Hub) -> None:
    first = item(hub.run("backup"))
    ran = hub.run("backup")
    second = item(ran)
    assert "nothing was changed" in ran.out
    assert second.digest == first.digest and second.added_bytes < 5000


def test_one_changed_file_is_another_digest(hub: Hub) -> None:
    first = item(hub.run("backup"))
    (hub.home / "empty.txt").write_text("no more")
    second = item(hub.run("backup"))
    assert second.digest != first.digest and second.added_bytes < 50_000


def test_a_file_of_one_user_is_never_taken_for_that_of_another(hub: Hub) -> None:
    """All homes of a hub have one path; the parent is named by id, or there is none."""
    item(hub.run("backup"))
    ran = hub.run("backup", item="home/bob")
    assert item(ran).files and "nothing was changed" not in ran.out
    parents = [s.get("parent") for s in json.loads(hub.call("snapshots", "--json"))]
    assert parents == [None, None]
    item(hub.run("backup", item="home/bob"))
    mine = json.loads(hub.call("snapshots", "--json", "--tag", "item=home/bob"))
    assert mine[1]["parent"] == mine[0]["id"]


@pytest.mark.parametrize("user", ["ada, the second", "a%2Cb", "ada@example.org", "x=y", " blank ", "星"])
def test_users_have_the_names_that_they_have(hub: Hub, user: str) -> None:
    item(hub.run("backup", item=f"home/{user}"))
    assert [s.item for s in hub.run("list", item=f"home/{user}").good().snapshots] == [f"home/{user}"]
    assert hub.run("list", item="home/ada").good().snapshots == []
    assert "," not in tag("item", f"home/{user}")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to take rights away from a program of root")
def test_what_cannot_be_read_is_named_and_the_rest_is_saved(hub: Hub) -> None:
    for n in range(30):
        (hub.home / f"locked{n:02}").touch(mode=0o000)
    (hub.home / "dark").mkdir(mode=0o000)
    ran = hub.apart("backup", FAULTS)
    status = item(ran)
    assert status.phase == "PartiallyCompleted" and status.unread_count == 31 and len(status.unread) <= 20
    assert all(u.why == "permission denied" for u in status.unread)
    assert status.unread[0].path.startswith("home/")
    assert len(status.digest) == 64, "the digest is of what was saved"
    hub.run("drill").good()


def test_other_file_systems_and_large_files_are_left_out(hub: Hub) -> None:
    (hub.home / "large").write_bytes(b"x" * (2 << 20))
    item(hub.run("backup", larger_than="1M"))
    names = hub.call("ls", "latest", "--json")
    assert '"/data/home/large"' not in names and '"/data/home/sparse"' not in names
    hub.run("drill").good()


def test_the_folder_of_a_restore_is_never_saved(hub: Hub) -> None:
    (hub.home / ".pdshub-restore/new").mkdir(parents=True)
    item(hub.run("backup"))
    assert ".pdshub-restore" not in hub.call("ls", "latest")


def test_keys_are_saved_as_plain_files(hub: Hub) -> None:
    """The kubelet shows a Secret as links to a folder whose name changes."""
    keys = hub.folder / "data/keys/hub"
    (keys / "..2026_11_26").mkdir(parents=True)
    (keys / "..2026_11_26/hub.config.ConfigurableHTTPProxy.auth_token").write_text("secret")
    (keys / "..data").symlink_to("..2026_11_26")
    (keys / "hub.config.ConfigurableHTTPProxy.auth_token").symlink_to(
        "..data/hub.config.ConfigurableHTTPProxy.auth_token"
    )
    status = item(hub.run("backup", item="keys", source="keys"))
    assert status.files == 1 and status.digest
    assert "..data" not in hub.call("ls", "latest")
    hub.run("drill", item="keys", source="keys").good()
    (keys / "bad").symlink_to("/etc/passwd")
    hub.run("backup", item="keys", source="keys").bad("BadRequest")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"location": "sftp:x"}, "BadRequest"),
        ({"location": "--help"}, "BadRequest"),
        ({"source": ".."}, "BadRequest"),
        ({"source": "a/b"}, "BadRequest"),
        ({"source": "nothing"}, "NotFound"),
        ({"exclude": ["[a"]}, "BadRequest"),
        ({"exclude": ["/"]}, "BadRequest"),
        ({"exclude": ["../x"]}, "BadRequest"),
        ({"larger_than": "big"}, "BadRequest"),
        ({"item": None}, "BadRequest"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(hub: Hub, change: dict[str, object], reason: str) -> None:
    hub.run("backup", **change).bad(reason)


def test_a_request_that_is_none_is_an_answer(hub: Hub) -> None:
    arguments = hub.arguments({"action": "dance"})
    assert hub.main(arguments) == 1
    assert hub.told().reason == "BadRequest"


def test_what_is_written_to_meanwhile_has_no_digest(hub: Hub, tmp_path: Path) -> None:
    """A restic that changes a file before it reads it: what was hashed is not what was saved, and nobody says so."""
    wrapper = tmp_path / "restic"
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in *backup*) echo more >> {hub.home}/empty.txt;; esac\nexec {restic()} "$@"\n'
    )
    wrapper.chmod(0o755)
    arguments = [*hub.arguments(hub.request("backup"))[:-1], str(wrapper)]
    assert hub.main(arguments) == 0
    status = hub.told().item
    assert status and status.digest == "" and "written to meanwhile" in status.message and status.phase == "Completed"
    drilled = hub.run("drill").good()
    assert "by restic's own checksums" in drilled.message and drilled.item and drilled.item.digest == ""


def test_a_file_that_goes_meanwhile_is_no_failure(hub: Hub, tmp_path: Path) -> None:
    """restic lists a folder, and opens its files later."""
    from pdshub.backup.save import GONE

    (hub.home / "gone").touch()
    text = subprocess.run(["cat", hub.home / "nowhere"], capture_output=True, text=True, check=False).stderr
    assert text.strip().lower().endswith(GONE)


def test_the_answer_of_a_backup_is_a_drill_that_agrees(hub: Hub) -> None:
    saved = item(hub.run("backup"))
    drilled = hub.run("drill").good()
    assert drilled.item and drilled.item.digest == saved.digest and "same digest" in drilled.message
    assert drilled.item.seconds > 0 and drilled.files == saved.files


def test_secrets_are_in_no_line_and_no_argument(hub: Hub) -> None:
    ran = hub.run("backup")
    assert "correct" not in ran.out
    wrong = hub.run("backup", item="home/correct horse battery staple")
    assert "correct horse battery staple" not in wrong.out and "***" in wrong.out


def test_two_hubs_share_a_repository(hub: Hub, tmp_path: Path) -> None:
    other = Hub(tmp_path / "other", hub="lab/other", location=hub.location)
    filled(other.home)
    assert "already" in other.run("init").good().message
    item(hub.run("backup"))
    item(other.run("backup"))
    assert len(hub.run("list").good().snapshots) == len(other.run("list").good().snapshots) == 1
    other.run("forget", keep={"last": 1, "daily": 0, "weekly": 0, "monthly": 0}).good()
    assert len(hub.run("list").good().snapshots) == 1
    assert tree(hub.home)
