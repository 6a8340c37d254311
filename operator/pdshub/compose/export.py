"""All files of an export, by path, with their modes. The same PDSHub gives the same bytes. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.compose import door, hub_config, losses, people, services, table, units
from pdshub.compose.machine import Front, Machine, public_url
from pdshub.compose.source import Hub
from pdshub.compose.text import comment, plain_yaml
from pdshub.dockerspawner import names
from pdshub.render import notice

NAME = "pdshub-compose"
SHOWN = 200
"""Homes that the report names."""


@dataclass(frozen=True)
class Exported:
    """What is written, and what is to be said of it."""

    files: dict[str, tuple[str, int]]
    """Path -> text, and mode."""
    report: dict[str, Any]
    text: str
    """The report, for people."""


def make(hub: Hub, machine: Machine, more: Mapping[str, Iterable[str]] | None = None) -> Exported:
    """Every file. ``more``: names of objects that ``spec.users.from`` names. Raises ExportError."""
    door.check(hub, machine)
    lists = people.of_spec(hub.spec, more)
    lost = losses.found(hub, machine)
    head = _head(hub, machine, lost)
    made: dict[str, tuple[str, int]] = {
        "docker-compose.yml": (services.render(hub, machine, head), 0o644),
        "jupyterhub_config.py": (hub_config.render(hub, machine, head), 0o644),
        "notice/notice.json": (notice.content("", "", notice.texts(hub.spec)) + "\n", 0o644),
    }
    made |= {path: (text, 0o644) for path, text in people.files(lists).items()}
    made |= {path: (text, 0o644) for path, text in units.render(hub, machine).items()}
    made |= {path: (text, 0o644) for path, text in door.caddy(hub, machine).items()}
    placed, manifest = door.apache_files(hub, machine)
    made |= {f"apache/root{file.path}": (file.text, file.mode) for file in placed}
    if manifest:
        made["apache/manifest.json"] = (json.dumps(manifest, indent=1) + "\n", 0o644)
    if hub.view:
        made["archive/view.yaml"] = (plain_yaml(hub.view.manifest()), 0o644)
        made["fstab"] = (table.render(hub.view, machine), 0o644)
    report = _report(hub, machine, lists, lost)
    said = _text(report)
    made["report.json"] = (json.dumps(report, indent=1, sort_keys=True) + "\n", 0o644)
    made["report.txt"] = (said + "\n", 0o644)
    return Exported(made, report, said)


def _head(hub: Hub, machine: Machine, lost: list[losses.Loss]) -> list[str]:
    """What stands at the beginning of the files that people start and edit."""
    return [
        f"PDSHub {hub.namespace}/{hub.name} for one machine, written by {NAME}. It belongs to {machine.folder}.",
        "Secrets are files in secrets/ and in no other file. Write it anew instead of editing it.",
        "",
        "WHAT THIS CAN'T DO, and a cluster with PDSHub does:",
        *(f"- {words}" for words in losses.always()),
        *(f"- {loss.text()}" for loss in lost),
    ]


def _report(hub: Hub, machine: Machine, lists: people.Lists, lost: list[losses.Loss]) -> dict[str, Any]:
    listed = sorted({*lists["allowed"], *lists["admins"]} - set(lists["suspended"]))
    return {
        "hub": f"{hub.namespace}/{hub.name}",
        "address": public_url(hub.spec, machine),
        "folder": machine.folder,
        "front": str(machine.front),
        "images": {name: machine.images.of(name) for name in _images(machine)},
        "secrets": {
            name: "made by prepare" if own else "yours to bring" for name, own in services.secrets(hub, machine).items()
        },
        "certificates": _certificates(hub, machine),
        "people": {role: len(names_) for role, names_ in lists.items()},
        "homes": {name: machine.home.format(username=names.escaped(name)) for name in listed[:SHOWN]},
        "cannot": {
            "always": losses.always(),
            "here": [{"field": loss.field, "words": loss.words} for loss in lost],
        },
    }


def _images(machine: Machine) -> list[str]:
    return ["hub", "proxy", "user", *(["door"] if machine.front is Front.CADDY else [])]


def _certificates(hub: Hub, machine: Machine) -> str:
    tls = hub.spec.tls
    if machine.front is Front.APACHE:
        return "apache/manifest.json says what to enable: docs/front-door-apache.md"
    if machine.front is Front.CADDY and tls and tls.secret:
        return "put tls.crt and tls.key into tls/, readable for uid 1000, and new ones in their place"
    if machine.front is Front.CADDY and tls and tls.acme and tls.acme.ca_bundle:
        return "put the private authority's certificates into acme-ca/ca.crt"
    return ""


def _text(report: Mapping[str, Any]) -> str:
    lines = [f"PDSHub {report['hub']} at {report['address']}, for {report['folder']}", ""]
    lines.append(comment(["What this can't do:"], mark="").rstrip())
    lines += [f"  {words}" for words in report["cannot"]["always"]]
    lines += [f"  {losses.Loss(one['field'], one['words']).text()}" for one in report["cannot"]["here"]]
    lines += ["", "Secrets, files in secrets/:"]
    lines += [f"  {name:<22}{words}" for name, words in report["secrets"].items()]
    lines += ["", f"Certificates: {report['certificates']}"] if report["certificates"] else []
    counted = ", ".join(f"{count} {role}" for role, count in report["people"].items())
    lines += ["", f"People: {counted}. Files in people/; after a change: {NAME} people DIR"]
    return "\n".join(lines)
