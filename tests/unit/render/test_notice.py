"""What a running hub learns without a restart: the code that goes into its configuration, run as the hub runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from pdshub.api.hub import PDSHubSpec
from pdshub.render import hub_package, notice
from pdshub.render.names import Names

NAMES = Names("ns", "demo")
A = "sha256:" + "a" * 64


def configured(folder: Path, environment: dict[str, Any] | None) -> Config:
    """The hub's configuration after the extraConfig, with the notice in ``folder``."""
    config = Config()
    if environment is not None:
        config.KubeSpawner.environment = environment
    for code in notice.render(NAMES, archive=True)["extraConfig"].values():
        exec(code.replace(notice.DIRECTORY, str(folder)), {"c": config})  # noqa: S102
    return config


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (notice.content("", A), A),
        (notice.content("source main is away", A), A),
        (notice.content("source main is away", ""), ""),
        ("{", ""),
        (None, ""),
    ],
)
def test_a_server_learns_its_generation_at_its_start(tmp_path: Path, text: str | None, value: str) -> None:
    config = configured(tmp_path, {"PDSHUB_ARCHIVE": "/archive/sbn"})
    asked = config.KubeSpawner.environment[notice.GENERATION_ENV]
    if text is not None:  # written after the hub's start
        (tmp_path / notice.FILE).write_text(text)
    assert asked(None) == value
    assert config.KubeSpawner.environment["PDSHUB_ARCHIVE"] == "/archive/sbn"


@pytest.mark.parametrize(("environment", "own"), [(None, False), ({}, False), ({notice.GENERATION_ENV: "mine"}, True)])
def test_what_an_admin_has_set_stays(tmp_path: Path, environment: dict[str, Any] | None, own: bool) -> None:
    config = configured(tmp_path, environment)
    assert (config.KubeSpawner.environment[notice.GENERATION_ENV] == "mine") is own


def test_pages_show_the_message_escaped_and_only_that(tmp_path: Path) -> None:
    config = configured(tmp_path, {})
    announcement = config.JupyterHub.template_vars["announcement"]
    assert not announcement
    (tmp_path / notice.FILE).write_text(notice.content("", A))
    assert not announcement
    (tmp_path / notice.FILE).write_text(notice.content("<b>away</b>", A))
    assert announcement and str(announcement) == "&lt;b&gt;away&lt;/b&gt;"


def test_the_configuration_does_not_depend_on_the_generation() -> None:
    """Any change of values is a revision of the release and a restart of the hub."""
    assert A not in str(notice.render(NAMES, archive=True))
    assert notice.GENERATION_ENV not in str(notice.render(NAMES, archive=False))


@pytest.mark.parametrize(
    ("message", "generation", "keys"),
    [("", "", {"message"}), ("away", "", {"message"}), ("", A, {"message", "generation"})],
)
def test_the_object(message: str, generation: str, keys: set[str]) -> None:
    made = notice.config_map(NAMES, message, generation)
    said = json.loads(made["data"][notice.FILE])
    assert said.keys() == keys and said["message"] == message


WORDS: list[tuple[dict[str, str], dict[str, str]]] = [
    ({}, {}),
    ({"title": " ", "contact": "", "message": "\n"}, {}),
    ({"title": " Small Bodies Node "}, {"title": "Small Bodies Node"}),
    ({"contact": "help@example.org", "message": "<b>\nno</b>"}, {"contact": "help@example.org", "motd": "<b>\nno</b>"}),
]


@pytest.mark.parametrize(("fields", "words"), WORDS)
def test_the_specs_words_are_in_the_object_and_in_no_value(fields: dict[str, str], words: dict[str, str]) -> None:
    found = notice.texts(PDSHubSpec.model_validate({"signIn": {"development": {}}, **fields}))
    assert found == words
    made = notice.config_map(NAMES, "away", A, found)
    assert json.loads(made["data"][notice.FILE]) == {"message": "away", "generation": A, **words}


def test_a_hub_image_without_the_package_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = hub_package.render()["extraConfig"].values()
    monkeypatch.setitem(sys.modules, "pdshub_hub", None)
    config = Config()
    exec(code, {"c": config})  # noqa: S102
    assert "lacks the package pdshub_hub" in capsys.readouterr().err
    assert not config.JupyterHub.get("spawner_class")


def test_a_hub_image_with_the_package_is_set_up() -> None:
    (code,) = hub_package.render()["extraConfig"].values()
    config = Config()
    config.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
    exec(code, {"c": config})  # noqa: S102
    assert config.JupyterHub.spawner_class == "pdshub_hub.spawner.PDSHubSpawner"
    assert "pdshub" in config.JupyterHub.template_vars
