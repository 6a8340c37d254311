"""Roles and playbooks of the site as Ansible reads them: they parse, say what they take, and are alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.ansible.site_playing import COLLECTION, PLAYBOOKS, ROLES, play

NOT_MADE = {"incident": {"lockdown", "release", "verify"}}
"""Entries of roles that are not made, verified and removed."""
ENTRIES = {"main", "verify", "remove"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_parses(tmp_path: Path, name: str) -> None:
    done = play(tmp_path, COLLECTION / "playbooks" / f"{name}.yml", {}, "--syntax-check", groups=("hub", "proxy"))
    assert done.code == 0, done.text


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_made_verified_and_removed(role: str) -> None:
    folder = COLLECTION / "roles" / role
    entries = NOT_MADE.get(role, ENTRIES)
    assert entries <= set(read(folder / "meta/argument_specs.yml")["argument_specs"])
    assert [entry for entry in entries if not (folder / "tasks" / f"{entry}.yml").exists()] == []


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_is_documented_and_has_the_role_s_name(role: str) -> None:
    folder = COLLECTION / "roles" / role
    specs = read(folder / "meta/argument_specs.yml")["argument_specs"]
    options = specs[sorted(NOT_MADE.get(role, {"main"}))[0]]["options"]
    defaults = read(folder / "defaults/main.yml")
    assert set(options) == set(defaults)
    assert [name for name in options if not name.startswith(f"{role}_")] == []
    assert [name for name, option in options.items() if not option.get("description")] == []
    # a default that stands in both is the same
    differ = {
        name: (option["default"], defaults[name])
        for name, option in options.items()
        if "default" in option and "{{" not in str(defaults[name]) and option["default"] != defaults[name]
    }
    assert differ == {}


@pytest.mark.parametrize("role", ROLES)
def test_what_changes_nothing_says_so_and_secrets_are_in_no_argument(role: str) -> None:
    for file in sorted((COLLECTION / "roles" / role / "tasks").glob("*.yml")):
        text = file.read_text()
        for line in text.splitlines():
            said = line.split("#")[0]
            if re.search(r"password|token", said) and re.search(r"argv|cmd:|command:", said):
                assert "password_file" in said, f"{file.name}: {line}"
        if file.name == "verify.yml":
            changing = re.findall(r"ansible\.builtin\.(copy|template|file|apt|user|group|service)\b", text)
            assert changing == [], f"{role}/verify.yml changes something: {changing}"


def test_plays_are_for_groups_of_the_example() -> None:
    groups = set(read(COLLECTION / "inventory/example/hosts.yml")["all"]["children"]) | {"all"}
    for name in PLAYBOOKS:
        for one in read(COLLECTION / "playbooks" / f"{name}.yml"):
            assert one.get("hosts", "all") in groups, name
