"""Compose files and their variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdshub.dockerspawner import compose, variables
from pdshub.dockerspawner.source import Folder, SourceError

KNOWN = {"A": "a", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A/x", "a/x"),
        ("${A}x", "ax"),
        ("$$A", "$A"),
        ("${NONE:-d}", "d"),
        ("${NONE-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${A:+x}", "x"),
        ("${NONE:+x}", ""),
        ("${A?no}", "a"),
        ("${NONE:-${A}/b}", "a/b"),
        ("${NONE}", ""),
        ("5 $ 6", "5 $ 6"),
    ],
)
def test_variables(text: str, value: str) -> None:
    assert variables.interpolated(text, KNOWN) == value


@pytest.mark.parametrize("text", ["${A", "${}", "${A-${B", "${-x}", "${NONE:-" * 20 + "x" + "}" * 20])
def test_variables_that_are_none(text: str) -> None:
    with pytest.raises(SourceError):
        variables.interpolated(text, KNOWN)


def test_a_variable_that_grows_is_cut() -> None:
    with pytest.raises(SourceError):
        variables.interpolated("$A" * 100_000, {"A": "x" * 1000})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1", {"A": "1"}),
        ("export A = 1", {"A": "1"}),
        ("A='x # y'", {"A": "x # y"}),
        ("A=x # y", {"A": "x"}),
        ("A=x#y", {"A": "x#y"}),
        ('A="x\\ny"', {"A": "x\ny"}),
        ("A=1\nB=${A}2", {"A": "1", "B": "12"}),
        ("# A=1\n\nnonsense here\n", {}),
        ("A=", {"A": ""}),
        ("OUTER", {"OUTER": "o"}),
    ],
)
def test_files_of_variables(text: str, found: dict[str, str]) -> None:
    assert variables.read(text, {"OUTER": "o"}) == found


WHOLE = """
services:
  db: {image: postgres}
  notebook-hub:
    image: x/jupyterhub:${TAG}
    environment: [A=1, TAG, "B=x=y", MISSING]
    env_file: {path: hub.env, required: false}
    volumes:
    - ./config:/srv/jupyterhub:ro
    - type: volume
      source: data
      target: /data/
      read_only: true
    - /anonymous
    labels: {traefik: "Host(`hub.example.org`)"}
    command: [jupyterhub, -f, x]
volumes:
  data:
  nas: {name: real-name, driver_opts: {type: nfs4, o: "addr=nas,vers=4.1", device: ":/x"}}
"""


def test_a_whole_file(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text(WHOLE)
    (tmp_path / ".env").write_text("TAG=5\n")
    (tmp_path / "hub.env").write_text("C=3\nA=overridden\n")
    (tmp_path / "docker-compose.override.yml").write_text("services: {}")
    found = compose.read(Folder(tmp_path))
    assert found.hub and found.hub.name == "notebook-hub" and found.hub.image == "x/jupyterhub:5"
    assert found.hub.environment == {"C": "3", "A": "1", "TAG": "5", "B": "x=y"}
    assert found.hub.binds == (
        compose.Bind("./config", "/srv/jupyterhub", True), compose.Bind("data", "/data", True),
    )  # fmt: skip
    assert found.volumes["nas"].device == "nas:/x" and found.volumes["real-name"] is found.volumes["nas"]
    assert any("override" in note for note in found.notes)


def test_files_that_the_container_sees(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/users").write_text("ada\n")
    (tmp_path / "image").mkdir()
    (tmp_path / "image/people.txt").write_text("ada\n")
    (tmp_path / "image/Dockerfile").write_text(
        "FROM x\nCOPY --chown=1:1 people.txt /srv/hub/\nADD people.txt /etc/list\n"
    )
    (tmp_path / "compose.yaml").write_text(
        "services: {hub: {build: {context: image}, volumes: ['./config:/srv/jupyterhub', '../:/up']}}"
    )
    folder = Folder(tmp_path)
    found = compose.read(folder)
    for path, name in (
        ("/srv/jupyterhub/users", "config/users"), ("/srv/hub/people.txt", "image/people.txt"),
        ("/etc/list", "image/people.txt"), ("/srv/none", ""), ("/up/x", ""), ("/", ""),
    ):  # fmt: skip
        assert compose.on_machine(folder, found, path) == name, path


@pytest.mark.parametrize("text", ["", "[]", "services: []", "a: [", "services:\n\t- x", "x: 1"])
def test_what_is_no_compose_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text(text)
    with pytest.raises(SourceError, match=r"compose\.yml"):
        compose.read(Folder(tmp_path))


def test_no_compose_file_at_all(tmp_path: Path) -> None:
    assert compose.read(Folder(tmp_path)).hub is None
