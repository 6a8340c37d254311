"""What an import writes on this machine: manifests, lists and the report, each once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pdshub.cli.archive import CliError
from pdshub.dockerspawner import people
from pdshub.dockerspawner.deployment import Deployment

_HEAD = (
    "# Made by kubectl pdshub import dockerspawner: read report.txt, then this, before you apply it.\n"
    "# The namespace is labelled before: docs/hub.md.\n"
)


def texts(found: Deployment, report: str) -> dict[str, str]:
    """The files, by name."""
    made = {
        "hub.yaml": _HEAD + _yaml(found.hub),
        "users.txt": people.lines(found.people.allowed, "may sign in"),
        "admins.txt": people.lines(found.people.admins, "may sign in, and administer the hub"),
        "names.txt": "".join(f"{old} {new}\n" for old, new in sorted(found.names.items())),
        "report.txt": report + "\n",
        "report.json": json.dumps(found.report.wire(), indent=1, sort_keys=True) + "\n",
    }
    if found.view:
        made["view.yaml"] = _HEAD + _yaml(found.view.manifest(found.view_name))
    return made


def _yaml(body: Mapping[str, Any]) -> str:
    class Plain(yaml.SafeDumper):
        """Writes what is the same twice as it is, without anchors."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    text: str = yaml.dump(body, Dumper=Plain, sort_keys=False, allow_unicode=False, width=120)
    return text


def write(folder: Path, made: Mapping[str, str]) -> list[str]:
    """Writes files; one that somebody has changed since stays, and the new one is put beside it. Returns what was done.

    Raises CliError.
    """
    said = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in made.items():
            path, mark = folder / name, folder / f".{name}.written"
            there = path.read_text(encoding="utf-8") if path.exists() else None
            before = mark.read_text(encoding="utf-8") if mark.exists() else None
            if there is not None and there not in (text, before) and not name.startswith("report"):
                (folder / f"{name}.new").write_text(text, encoding="utf-8")
                said.append(f"{path} is as somebody changed it; the new one is {name}.new")
                continue
            path.write_text(text, encoding="utf-8")
            mark.write_text(text, encoding="utf-8")
            said.append(str(path))
    except (OSError, UnicodeError) as error:
        raise CliError(
            f"{getattr(error, 'filename', None) or folder}: {getattr(error, 'strerror', None) or error}"
        ) from None
    return said
