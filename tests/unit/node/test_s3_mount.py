"""Sources in S3 on a node: what rclone is started with, keys in files, and real mounts (s3_scenarios.py)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from pdshub.node.hardening import SpecError
from pdshub.node.layout import Layout
from pdshub.node.source import nfs_requests, s3_mount
from pdshub.node.source.keys import Directory, KeyFiles
from pdshub.node.source.policy import Policy
from pdshub.node.source.source_mount import mismatch
from pdshub.node.spec import Source, parse_view
from tests.programs import go_program
from tests.unit.node import apart, generations, s3_scenarios

AWS: dict[str, Any] = {"bucket": "pds-sbn", "prefix": "archive", "region": "us-east-1", "secretRef": "sbn"}


def source(**more: Any) -> Source:
    document = {
        "metadata": {"name": "sbn"},
        "spec": {
            "sources": [{"name": "main", "s3": {**AWS, **more}}],
            "tree": [{"path": "a", "layers": [{"source": "main", "path": "."}]}],
        },
    }
    return parse_view(document).sources[0]


def request(tmp: Path, **more: Any) -> dict[str, Any]:
    return nfs_requests.request(source(**more), Layout(tmp, tmp / "keys"))


def test_no_key_is_in_what_others_see(tmp_path: Path) -> None:
    asked = request(tmp_path)
    words = s3_mount.command(asked, 7, 9)
    assert words[:4] == ["rclone", "mount", "source:pds-sbn/archive", "/proc"]
    assert "--config=/proc/self/fd/7" in words and "--ca-cert=/proc/self/fd/9" in words and "--read-only" in words
    text = s3_mount.settings(asked, "AKIA", "se=cret+/")
    assert "access_key_id = AKIA\nsecret_access_key = se=cret+/\n" in text
    assert "endpoint = https://s3.us-east-1.amazonaws.com\n" in text and "provider = AWS\n" in text
    said = repr((words, s3_mount.environment(5, None), asked))
    assert "AKIA" not in said and "se=cret" not in said
    assert set(s3_mount.environment(5, None)) == {"PATH", "HOME", "PDSHUB_FUSE", "AWS_EC2_METADATA_DISABLED"}


@pytest.mark.parametrize("secret", ["a\nendpoint = http://evil", "a\r", "a\0"])
def test_a_key_is_one_line_of_the_settings(tmp_path: Path, secret: str) -> None:
    with pytest.raises(ValueError, match="more than one line"):
        s3_mount.settings(request(tmp_path), "AKIA", secret)


def test_the_identity_of_the_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request(tmp_path, secretRef=None)
    assert "env_auth = true" in s3_mount.settings(asked, "", "") and "access_key" not in s3_mount.settings(
        asked, "", ""
    )
    token, folder = tmp_path / "projected", tmp_path / "keys" / asked["digest"]
    folder.mkdir(parents=True)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")
    if os.geteuid() == 0:
        for text in ("first", "renewed"):
            token.write_text(text)
            s3_mount.refresh(asked)
            kept = folder / "token"
            assert kept.read_text() == text and kept.stat().st_mode & 0o777 == 0o400
            assert kept.stat().st_uid == s3_mount.user(asked["digest"])
    made = s3_mount.environment(5, folder / "token")
    assert made["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] == str(folder / "token") and "first" not in repr(made)


def test_each_source_has_a_user_of_its_own() -> None:
    one, two = source(), source(prefix="other")
    assert one.digest != two.digest and s3_mount.user(one.digest) != s3_mount.user(two.digest)
    assert source(limits={"requestsPerSurvey": 10}).digest == one.digest, "what a survey may cost is no other mount"
    assert s3_mount.FIRST_UID <= s3_mount.user(one.digest) < 2**31


@pytest.mark.parametrize(
    "wrong",
    [
        {"bucket": "../../etc"}, {"bucket": "a..b"}, {"bucket": "a:b"}, {"endpoint": "https://k:s@s3"},
        {"endpoint": "file:///etc"}, {"prefix": "a/../../b"}, {"prefix": "/etc"}, {"prefix": "a\nb"},
        {"region": "x\ny = z"}, {"secretRef": "../pdshub-ca"}, {"secretRef": "a/b"}, {"endpoint": "https://s3/a b"},
        {"caBundle": {"configMap": {"name": "../x", "key": "y"}}},
        {"caBundle": {"configMap": {"name": "x", "key": "../y"}}},
    ],
)  # fmt: skip
def test_what_slipped_through_the_api_server_harms_no_node(wrong: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        source(**wrong)


def test_where_it_is_asked() -> None:
    assert (source().server, source().port) == ("s3.us-east-1.amazonaws.com", 443)
    plain = source(endpoint="http://minio.example.org")
    assert (plain.server, plain.port, plain.device_name) == ("minio.example.org", 80, "s3://pds-sbn/archive")
    assert not plain.nfs and not plain.local and "not allowed" in Policy().refusal(plain)


@pytest.mark.parametrize(
    ("fstype", "device", "says"),
    [
        ("fuse.pdshub-s3", "s3://pds-sbn/archive", ""),
        ("fuse.pdshub-nfs", "s3://pds-sbn/archive", "type fuse.pdshub-nfs"),
        ("nfs4", "nas:/pds", "type nfs4"),
        ("fuse.pdshub-s3", "s3://another/archive", "shows s3://another"),
    ],
)
def test_another_mount_in_its_place_is_not_used(fstype: str, device: str, says: str) -> None:
    from pdshub.node.mount.mountinfo import Mount

    options = frozenset({"ro", "nosuid", "nodev"})
    values = {"point": "/p", "fstype": fstype, "source": device, "options": options, "super_options": ""}
    fields = {name: values.get(name, 0 if kind == "int" else "") for name, kind in Mount.__annotations__.items()}
    assert (
        (says in (said := mismatch(source(), Mount(**fields)))) if says else not mismatch(source(), Mount(**fields))
    ), said


def test_keys_are_written_for_root_and_to_no_disk(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets/sbn"
    secrets.mkdir(parents=True)
    (secrets / "access-key-id").write_text("AKIA")
    (secrets / "secret-access-key").write_text("s3cret")
    (secrets / "more").write_text("not asked for")
    layout = Layout(tmp_path, tmp_path / "keys")
    files = KeyFiles(layout, Directory(tmp_path / "secrets"), in_memory=False)
    asyncio.run(files.put(source()))
    folder = layout.keys_of(source().digest)
    assert {path.name for path in folder.iterdir()} == {"access-key-id", "secret-access-key", "written"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
    before = nfs_requests.version(folder)
    asyncio.run(files.put(source()))
    assert nfs_requests.version(folder) == before, "the same keys change nothing"
    (secrets / "secret-access-key").write_text("another")
    asyncio.run(files.put(source()))
    assert nfs_requests.version(folder) != before
    (secrets / "secret-access-key").unlink()
    with pytest.raises(OSError, match="Secret sbn has no key secret-access-key"):
        asyncio.run(files.put(source()))
    assert (folder / "secret-access-key").read_text() == "another", "who cannot read new ones goes on with the old"
    files.forget(source().digest)
    assert not folder.exists()


def test_a_disk_is_refused() -> None:
    place = Path("/var/tmp/pdshub-keys-of-a-test")
    files = KeyFiles(Layout(place, place), Directory(place))
    try:
        with pytest.raises(OSError, match=r"no tmpfs|cannot be read"):
            files._prepare()
    finally:
        place.rmdir()


@pytest.mark.skipif(os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK), reason="mounting needs root and FUSE")
@pytest.mark.skipif(not generations.able(), reason="needs mkfs.erofs >= 1.8 (PATH or $PDSHUB_MKFS_EROFS)")
@pytest.mark.skipif(go_program("versitygw") is None, reason="needs versitygw")
@pytest.mark.parametrize("name", s3_scenarios.ALL)
def test_scenario(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("botocore")
    monkeypatch.setenv("PDSHUB_VERSITYGW", str(go_program("versitygw")))
    apart.run("s3_scenarios", name, seconds=300)
