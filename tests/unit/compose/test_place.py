"""What is made beside an export: secrets that nobody else reads, folders, and what an administrator has to bring."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from pdshub.compose import main, place
from pdshub.compose.text import ExportError, plain_yaml
from tests.unit.compose.support import ACME, exported, manifest, written

ROOT = os.geteuid() == 0


@pytest.fixture
def socket(tmp_path: Path) -> str:
    path = tmp_path / "docker.sock"
    path.touch()
    return str(path)


def test_secrets_are_made_once_and_the_others_asked_for(tmp_path: Path, socket: str) -> None:
    folder = written(tmp_path / "hub", exported())
    done, missing = place.prepare(folder, socket)
    (asked,) = missing
    assert len(done) == 2 and asked.startswith(f"{folder}/secrets/google-client-secret: put it there")
    key = (folder / "secrets/crypt-key").read_text()
    assert len(key.strip()) == 64 and int(key, 16)
    (folder / "secrets/google-client-secret").write_text("s3cret\n")
    assert place.prepare(folder, socket) == ([], [])
    assert (folder / "secrets/crypt-key").read_text() == key, "never made anew"
    for path in (folder / "secrets").iterdir():
        assert path.stat().st_mode & 0o777 == 0o400
        assert path.stat().st_uid == (place.UID if ROOT else os.geteuid())
    assert (folder / "secrets").stat().st_mode & 0o777 == 0o700
    assert f"DOCKER_GID={Path(socket).stat().st_gid}\n" in (folder / ".env").read_text()


def test_no_secret_gets_into_a_file_of_the_export(tmp_path: Path, socket: str) -> None:
    folder = written(tmp_path / "hub", exported(tls=ACME))
    place.prepare(folder, socket)
    keys = [(folder / "secrets" / name).read_text().strip() for name in ("proxy-token", "crypt-key")]
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "secrets":
            assert not any(key in path.read_text() for key in keys), path


def test_caddy_gets_folders_of_its_own(tmp_path: Path, socket: str) -> None:
    folder = written(tmp_path / "hub", exported(tls={"secret": {"name": "tls"}}))
    _, missing = place.prepare(folder, socket)
    assert f"{folder}/tls/tls.key" in missing
    assert (folder / "door-data").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "report", ["", "{}", "[]", '{"secrets": {"../../etc/x": "made by prepare"}, "front": "none", "certificates": ""}']
)
def test_a_report_that_is_none_makes_nothing(report: str, tmp_path: Path, socket: str) -> None:
    (tmp_path / "report.json").write_text(report)
    with suppress(ExportError):
        place.prepare(tmp_path, socket)
    assert not (tmp_path.parent / "etc").exists()
    assert not (tmp_path / "secrets").exists() or not any((tmp_path / "secrets").iterdir())


def test_the_command_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hub.yaml").write_text(plain_yaml(manifest()))
    images = "{hub: h:1, proxy: p:1, user: u:1, door: d:1}"
    (tmp_path / "values.yaml").write_text(f"image: x:1\ndefaults:\n  images: {images}\n")
    (tmp_path / "more.txt").write_text("new@example.org\n")
    line = ["render", "-f", str(tmp_path / "hub.yaml"), "--installation", str(tmp_path / "values.yaml")]
    code = main.main([*line, "--names", f"allowed={tmp_path}/more.txt", "--to", str(tmp_path / "out")])
    assert code == 0 and "What this can't do" in capsys.readouterr().out
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["images"] == {"hub": "h:1", "proxy": "p:1", "user": "u:1"}
    assert "new@example.org" in (tmp_path / "out/people/allowed.txt").read_text()
    assert main.main(["people", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-f", "/nowhere"], "/nowhere"),
        ([], "the hub image is not known: name it with --hub-image"),
        (["--names", "root=x"], "--names root=x"),
        (["--name", "other"], "none of that name"),
    ],
)
def test_wrong_use_is_said(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hub.yaml").write_text(plain_yaml(manifest()))
    assert main.main(["render", "-f", str(tmp_path / "hub.yaml"), "--to", str(tmp_path / "out"), *words]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()
