"""ansible-playbook as tests start it: here, into a folder or in check mode, with variables of any content."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.ansible.harness import playbook_program

ROOT = Path(__file__).resolve().parents[3]
COLLECTION = ROOT / "ansible"
ROLES = ("backup_target", "incident", "kubernetes_node", "monitoring", "proxy_httpd", "pdshub")
"""Those of the second half of the site: what runs on machines that the others have prepared."""
PLAYBOOKS = ("grow-storage", "incident-lockdown", "incident-release", "render", "site", "update", "verify")
Variables = dict[str, Any]


def program() -> str:
    """ansible-playbook; a test is skipped where there is none."""
    if not (found := playbook_program()):
        pytest.skip("no ansible-playbook: ./hack/test brings one, or set PDSHUB_ANSIBLE to it")
    return found


@dataclass
class Played:
    """How a play ended: its exit code, what was printed, and the numbers of its recap."""

    code: int
    text: str
    recap: dict[str, int] = field(default_factory=dict)


def play(
    folder: Path,
    plays: list[Variables] | Path,
    variables: Variables | None = None,
    *words: str,
    groups: tuple[str, ...] = (),
) -> Played:
    """Plays ``plays`` (or a playbook of the collection) with this machine as ``node``."""
    folder.mkdir(parents=True, exist_ok=True)
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        # the folder's own: two tests side by side do not share one
        "ansible_remote_tmp": str(folder / "remote"),
    }
    inventory = {"all": {"hosts": {"node": host}, "children": {group: {"hosts": {"node": {}}} for group in groups}}}
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    given = folder / "variables.json"
    given.write_text(json.dumps(variables or {}))
    book = plays if isinstance(plays, Path) else folder / "play.yml"
    if not isinstance(plays, Path):
        book.write_text(yaml.safe_dump(plays, sort_keys=False))
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(COLLECTION / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
        "ANSIBLE_ROLES_PATH": str(COLLECTION / "roles"),
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        [program(), "-i", str(folder / "inventory.yml"), "-e", f"@{given}", *words, str(book)],
        capture_output=True, text=True, check=False, env=environment, cwd=folder, stdin=subprocess.DEVNULL, timeout=600,
    )  # fmt: skip
    text = done.stdout + done.stderr
    numbers = re.search(r"^node\s+: (.*)$", text, re.M)
    recap = {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", numbers[1])} if numbers else {}
    return Played(done.returncode, text, recap)


def rendered(folder: Path, role: str, templates: dict[str, str], variables: Variables | None = None) -> dict[str, str]:
    """Templates of a role, with its defaults and vars: name of the template -> text. ``templates``: name -> file."""
    out = folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    tasks = [
        {
            "name": f"Render {name}",
            "ansible.builtin.template": {
                "src": str(COLLECTION / "roles" / role / "templates" / name), "dest": str(out / file), "mode": "0644"
            },
        }
        for name, file in templates.items()
    ]  # fmt: skip
    files = [str(COLLECTION / "roles" / role / kind / "main.yml") for kind in ("defaults", "vars")]
    plays = [
        {
            "hosts": "node",
            "gather_facts": True,
            "gather_subset": ["!all", "network", "virtual"],
            "vars": {"role_path": str(COLLECTION / "roles" / role)},
            "vars_files": [file for file in files if Path(file).exists()],
            "tasks": tasks,
        }
    ]
    done = play(folder, plays, variables)
    assert done.code == 0, done.text
    return {name: (out / file).read_text() for name, file in templates.items()}


def tasks_of(role: str, which: str) -> list[Variables]:
    """A play of one entry of a role."""
    return [
        {
            "hosts": "node",
            "gather_facts": True,
            "gather_subset": ["!all", "network", "virtual"],
            "tasks": [{"name": f"{role} {which}", "ansible.builtin.include_role": {"name": role, "tasks_from": which}}],
        }
    ]
