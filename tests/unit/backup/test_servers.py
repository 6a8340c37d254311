"""Repositories behind real servers: S3 (versitygw), REST (rclone, append-only), SSH (rclone)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pdshub.backup import access, repository, verdict
from tests.programs import built, system
from tests.unit.backup.harness import Hub, filled, free_port, rclone, server, small
from tests.unit.door.certificates import Authority

KEY, SECRET = "AKIAPDSHUBTESTS", "a/secret+key=of the tests"


def everything(hub: Hub) -> None:
    """Each action once."""
    filled(hub.home)
    assert "made" in hub.run("init").good().message
    assert hub.run("backup").good().item
    hub.run("backup").good()
    hub.run("drill").good()
    assert len(hub.run("list").good().snapshots) == 2
    assert hub.run("browse").good().entries
    assert hub.run("restore", path="empty.txt").good().place
    hub.run("check", read_subset="1/1").good()


def certified(folder: Path) -> tuple[Path, Path, bytes]:
    """A certificate for loopback with its key, and the authority that only a bundle names."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority("Repository's authority")
    chain, key = authority.issue(("localhost",), address="127.0.0.1")
    (folder / "cert.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(key)
    return folder / "cert.pem", folder / "key.pem", authority.pem


@contextmanager
def bucket(tmp_path: Path) -> Iterator[Hub]:
    """A hub whose repository is in a bucket of a service that speaks TLS with a certificate of a private CA."""
    (tmp_path / "buckets/backups").mkdir(parents=True, exist_ok=True)
    (tmp_path / "sidecar").mkdir()
    port, (cert, key, ca) = free_port(), certified(tmp_path / "tls")
    words = ["--port", f"127.0.0.1:{port}", "--cert", str(cert), "--key", str(key), "--quiet"]
    argv = [str(built("versitygw")), *words, "posix", "--sidecar", str(tmp_path / "sidecar"), str(tmp_path / "buckets")]
    environ = {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET}
    hub = Hub(tmp_path / "hub", kind="s3", location=f"s3:https://127.0.0.1:{port}/backups/hub/sbn")
    hub.more = {"region": "us-east-1", "ca": True}
    hub.secret("repository/access-key-id", KEY)
    hub.secret("repository/secret-access-key", f"{SECRET}\n")
    hub.secret("ca/ca.crt", ca.decode())
    with server(argv, port, tmp_path / "s3.log", environ):
        yield hub


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Hub]:
    """Such a hub."""
    with bucket(tmp_path) as hub:
        yield hub


def test_s3(s3: Hub) -> None:
    everything(s3)
    gone = s3.run("forget", keep={"last": 1, "daily": 0, "weekly": 0, "monthly": 0}).good()
    assert gone.message.startswith("1 snapshots went")
    s3.run("check", read_subset="1/1").good()


def test_s3_refuses_wrong_keys_and_a_stranger_is_not_believed(s3: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "CONTACT", 15.0)
    s3.run("init").good()
    s3.secret("repository/secret-access-key", "another")
    assert "keys of the Secret" in s3.run("list").bad("Unreachable").message
    s3.secret("repository/secret-access-key", SECRET)
    s3.more["ca"] = False
    assert "not believed" in s3.run("list").bad("Unreachable").message
    s3.more["ca"] = True
    s3.location = s3.location.replace("/backups/", "/no-such-bucket/")
    assert s3.run("list").answer.reason in ("Unreachable", "NoRepository")


def test_a_service_that_takes_nothing_new_and_does_not_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It calls a read-only disk an internal error, and asks to be asked again."""
    monkeypatch.setattr(verdict, "UNSAID", verdict.Patience(1, 0.0))
    buckets = tmp_path / "buckets"
    with small(buckets, "64m"), bucket(tmp_path) as hub:
        hub.run("init").good()
        filled(hub.home)
        hub.run("backup").good()
        subprocess.run(["mount", "-o", "remount,ro", buckets], check=True)
        for action in ("init", "backup"):
            assert "takes nothing new" in hub.run(action).bad("ReadOnly").message
        subprocess.run(["mount", "-o", "remount,rw", buckets], check=True)
        hub.run("backup").good()
        answer = hub.run("list").good()
        assert (len(answer.snapshots), answer.unlocked) == (2, 0)


@pytest.fixture
def rest(tmp_path: Path) -> Iterator[Hub]:
    """A server that takes nothing away."""
    port, (cert, key, ca) = free_port(), certified(tmp_path / "tls")
    (tmp_path / "served").mkdir()
    words = ["--append-only", "--addr", f"127.0.0.1:{port}", "--user", "hub", "--pass", SECRET]
    words += ["--cert", str(cert), "--key", str(key), "--config", "/dev/null"]
    hub = Hub(tmp_path / "hub", kind="rest", location=f"rest:https://127.0.0.1:{port}/sbn/")
    hub.more = {"ca": True, "append_only": True}
    hub.secret("repository/username", "hub")
    hub.secret("repository/password", SECRET)
    hub.secret("ca/ca.crt", ca.decode())
    with server([rclone(), "serve", "restic", *words, str(tmp_path / "served")], port, tmp_path / "rest.log"):
        yield hub


def test_an_append_only_server_cannot_be_emptied(rest: Hub) -> None:
    everything(rest)
    keep = {"last": 1, "daily": 0, "weekly": 0, "monthly": 0}
    assert "skipped" in rest.run("forget", keep=keep).good().message
    rest.run("forget", keep=keep, append_only=False).bad("ReadOnly")
    assert len(rest.run("list").good().snapshots) == 2
    rest.run("check", read_subset="1/1").good()
    assert rest.run("list").good().unlocked == 0, "no lock was left"


def test_a_rest_server_refuses_a_wrong_password(rest: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "CONTACT", 15.0)
    rest.run("init").good()
    rest.secret("repository/password", "another one")
    answer = rest.run("list").bad("Unreachable")
    assert "another one" not in answer.message


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[Hub]:
    """A machine that is reached by SSH with a key, and known by its own."""
    if not system("ssh") or not system("ssh-keygen"):
        pytest.skip("needs ssh (Debian: openssh-client)")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    port = free_port()
    (tmp_path / "served").mkdir()
    words = ["--addr", f"127.0.0.1:{port}", "--authorized-keys", str(tmp_path / "user.pub")]
    words += ["--key", str(tmp_path / "host"), "--config", "/dev/null"]
    hub = Hub(tmp_path / "hub", kind="sftp", location="sftp:backup@127.0.0.1:/sbn")
    hub.more = {"port": port}
    hub.secret("repository/ssh-privatekey", (tmp_path / "user").read_text().rstrip())
    kind, key = (tmp_path / "host.pub").read_text().split()[:2]
    hub.secret("repository/known_hosts", f"[127.0.0.1]:{port} {kind} {key}")
    with server([rclone(), "serve", "sftp", *words, str(tmp_path / "served")], port, tmp_path / "sftp.log"):
        yield hub


@pytest.mark.long
def test_sftp(sftp: Hub) -> None:
    everything(sftp)
    sftp.run("forget", keep={"last": 1, "daily": 0, "weekly": 0, "monthly": 0}).good()


def test_a_machine_that_is_another_one_is_not_believed(sftp: Hub, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    kind, key = (tmp_path / "other.pub").read_text().split()[:2]
    sftp.secret("repository/known_hosts", f"[127.0.0.1]:{sftp.more['port']} {kind} {key}")
    assert "known_hosts" in sftp.run("list").bad("Unreachable").message


def test_keys_are_in_private_files_and_not_in_arguments(s3: Hub, tmp_path: Path) -> None:
    """What a process shows of itself: its arguments to everybody, its environment to its user."""
    from pdshub.api.backup_job import JobRequest

    made = access.prepare(
        JobRequest.model_validate(s3.request("list")),
        s3.folder / "secrets",
        tmp_path,
        s3.folder,
        {"PATH": "/bin", "MY_TOKEN": "t"},
    )
    shown = " ".join([*made.options, *made.environment.values()])
    assert SECRET not in shown and "correct horse" not in shown and "MY_TOKEN" not in made.environment
    assert SECRET in (tmp_path / "aws").read_text() and (tmp_path / "aws").stat().st_mode & 0o777 == 0o600
    assert set(made.secrets) == {SECRET, "correct horse battery staple"}


MEMORY = [("1073741824", "805306368"), ("", None), ("-1", None), ("1Gi", None), ("²", None)]
PROCESSORS = [("1", "1"), ("4", "4"), ("", None), ("0", None), ("-1", None), ("500m", None)]
BOUNDS = [("PDSHUB_MEMORY", "GOMEMLIMIT", *case) for case in MEMORY]
BOUNDS += [("PDSHUB_PROCESSORS", "GOMAXPROCS", *case) for case in PROCESSORS]


@pytest.mark.parametrize(("own", "told", "limit", "wanted"), BOUNDS)
def test_restic_knows_what_its_job_may_take(
    empty: Hub, tmp_path: Path, own: str, told: str, limit: str, wanted: str | None
) -> None:
    """test_million.py measures what memory is told for."""
    from pdshub.api.backup_job import JobRequest

    request = JobRequest.model_validate(empty.request("list"))
    made = access.prepare(request, empty.folder / "secrets", tmp_path, empty.folder, {own: limit})
    assert made.environment.get(told) == wanted


@pytest.mark.parametrize("text", ["", "two\nlines", "a\0b", "tab\there"])
def test_a_key_that_is_no_line_is_refused(empty: Hub, text: str) -> None:
    """It would be a second line of the credentials' file."""
    empty.kind, empty.location = "s3", "s3:https://127.0.0.1:1/bucket/x"
    empty.secret("repository/access-key-id", KEY)
    empty.secret("repository/secret-access-key", text)
    empty.run("list").bad("BadRequest")


def test_a_uid_without_a_name_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ssh ends for a uid that getpwuid does not know; nss_wrapper is loaded before it."""
    monkeypatch.setattr(os, "getuid", lambda: 987654)
    found = access._named(tmp_path)
    assert found["LD_PRELOAD"] == "libnss_wrapper.so"
    assert ":987654:" in (tmp_path / "passwd").read_text()
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert access._named(tmp_path) == {}
