"""Ansible itself, which ./hack/test brings; without it these tests are skipped and say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.ansible.harness import Ansible, playbook_program


@pytest.fixture(scope="session")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    """ansible-playbook and its siblings."""
    if not (program := playbook_program()):
        pytest.skip("no ansible-playbook: ./hack/test brings one, or set PDSHUB_ANSIBLE to it")
    return Ansible(Path(program).parent, tmp_path_factory.mktemp("ansible"))
