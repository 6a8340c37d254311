"""ansible-playbook as people run it: from ansible/, with the example's inventory, without settings of this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
COLLECTION = ROOT / "ansible"
ROLES = COLLECTION / "roles"
EXAMPLE = COLLECTION / "inventory/example"
SECONDS = 600


def playbook_program() -> str:
    """Path of ansible-playbook, or nothing."""
    return os.environ.get("PDSHUB_ANSIBLE") or shutil.which("ansible-playbook") or ""


@dataclass(frozen=True)
class Ended:
    """What a command printed, and how it ended."""

    code: int
    text: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """Host to its counts: ok, changed, unreachable, failed and so on."""
        found = {}
        for line in self.text.partition("PLAY RECAP")[2].splitlines()[1:]:
            host, colon, counts = line.partition(" : ")
            if colon:
                found[host.strip()] = {k: int(v) for k, v in (word.split("=") for word in counts.split())}
        return found


@dataclass(frozen=True)
class Ansible:
    """The programs of one environment; ``home`` takes what they keep."""

    bin: Path
    home: Path

    def run(
        self, program: str, *words: str | Path, cwd: Path = COLLECTION, env: Mapping[str, str] | None = None
    ) -> Ended:
        """Run a program of ansible-core or ansible-lint from the collection's folder."""
        return self._ended([self.bin / program, *words], cwd, env)

    def within(self, before: Sequence[str], *words: str | Path) -> Ended:
        """Run ansible-playbook by a command that comes before it."""
        return self._ended([*before, self.bin / "ansible-playbook", *words], COLLECTION, None)

    def _ended(self, command: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None) -> Ended:
        environ = {
            "PATH": f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "ANSIBLE_HOME": str(self.home / ".ansible"),
            "ANSIBLE_LOCAL_TEMP": str(self.home / "tmp"),
            "ANSIBLE_REMOTE_TEMP": str(self.home / "tmp"),
            "ANSIBLE_ROLES_PATH": str(ROLES),
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **(env or {}),
        }
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Ended(done.returncode, done.stdout)

    def play(
        self,
        plays: Sequence[Mapping[str, Any]],
        work: Path,
        *words: str | Path,
        variables: Mapping[str, Any] | None = None,
        inventory: Path = EXAMPLE,
        env: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run plays that a test wrote, on this machine instead of those of the inventory."""
        book, extra = work / "play.yml", work / "variables.json"
        book.write_text(yaml.safe_dump(list(plays), sort_keys=False))
        given = {"ansible_connection": "local", "ansible_become": False, "ansible_user": "", **(variables or {})}
        extra.write_text(json.dumps(given))
        return self.run("ansible-playbook", "-i", inventory, "-e", f"@{extra}", *words, book, env=env)


def group_variables(group: str, name: str) -> dict[str, Any]:
    """A file of the example's variables."""
    found: dict[str, Any] = yaml.safe_load((EXAMPLE / "group_vars" / group / f"{name}.yml").read_text())
    return found


def role_names() -> list[str]:
    """Every role of the collection."""
    return sorted(p.name for p in ROLES.iterdir() if (p / "tasks").is_dir())


def render(template: str, hosts: str, into: str, role: str) -> dict[str, Any]:
    """A play that renders a template of a role for each host, with the role's defaults below the inventory."""
    return {
        "hosts": hosts,
        "gather_facts": False,
        "tasks": [
            {
                "ansible.builtin.include_role": {"name": role, "tasks_from": "judge", "public": True},
            },
            {
                "ansible.builtin.template": {
                    "src": str(ROLES / role / "templates" / template),
                    "dest": f"{into}/{{{{ inventory_hostname }}}}",
                    "mode": "0644",
                }
            },
        ],
    }
