"""The roles base, zones, storage_lvm, nfs_client and vm_seed as Ansible and its linter read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.ansible.harness import COLLECTION, ROLES, ROOT, Ansible

OURS = ("base", "nfs_client", "storage_lvm", "vm_seed", "zones")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_the_linter_has_nothing_to_say_at_its_strictest(ansible: Ansible) -> None:
    """ansible-lint, profile production, without a network; it parses every playbook as well."""
    ended = ansible.run("ansible-lint", "--offline", "--profile", "production", "-q", "--nocolor")
    assert ended.code == 0, ended.text


@pytest.mark.parametrize("role", OURS)
def test_a_role_is_made_verified_and_removed(role: str) -> None:
    specs = read(ROLES / role / "meta/argument_specs.yml")["argument_specs"]
    assert set(specs) == {"main", "verify", "remove"}
    assert [entry for entry in specs if not (ROLES / role / "tasks" / f"{entry}.yml").exists()] == []


@pytest.mark.parametrize("role", OURS)
def test_every_variable_is_documented_has_the_role_s_name_and_one_default(role: str) -> None:
    options = read(ROLES / role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = read(ROLES / role / "defaults/main.yml")
    assert set(options) == set(defaults)
    for name, option in options.items():
        assert name.startswith(f"{role}_")
        assert option["description"]
        if "default" in option:
            assert option["default"] == defaults[name], name


@pytest.mark.parametrize("role", OURS)
def test_what_only_looks_changes_nothing(role: str) -> None:
    for task in read(ROLES / role / "tasks/verify.yml"):
        (module,) = (word for word in task if word.startswith("ansible."))
        assert module in {"ansible.builtin.command", "ansible.builtin.assert", "ansible.builtin.stat"}
        if module == "ansible.builtin.command":
            assert task["changed_when"] is False and task["check_mode"] is False


def test_the_example_sets_what_roles_take_and_nothing_else() -> None:
    known = set()
    for role in ROLES.iterdir():
        if (role / "defaults/main.yml").exists():
            known |= set(read(role / "defaults/main.yml"))
    for file in (COLLECTION / "inventory/example/group_vars").rglob("*.yml"):
        for name in read(file):
            assert name in known or name.startswith("ansible_"), f"{file.name}: {name}"


def test_python_is_named_and_not_looked_for() -> None:
    variables = read(COLLECTION / "inventory/example/group_vars/all/ansible.yml")
    assert variables["ansible_python_interpreter"] == "/usr/bin/python3"
    assert "interpreter_python = /usr/bin/python3" in (COLLECTION / "ansible.cfg").read_text()


def test_the_versions_that_the_manual_names_are_those_that_are_tested() -> None:
    pins = dict(re.findall(r'"(ansible(?:-core)?)==([\d.]+)"', (ROOT / "pyproject.toml").read_text()))
    assert len(pins) == 2
    for page in (COLLECTION / "README.md", ROOT / "docs/ansible.md"):
        for name, version in re.findall(r"\b(ansible(?:-core)?)==([\d.]+\d)", page.read_text()):
            assert pins[name] == version, page.name
    wanted = read(COLLECTION / "meta/runtime.yml")["requires_ansible"]
    assert pins["ansible-core"].startswith(wanted.removeprefix(">=").rpartition(".")[0])
