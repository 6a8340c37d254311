"""What an export of PDSHub's own keeps beside its configuration (docs/compose.md): the list, and words of pages. Pure.

The authenticators of PDSHub's hub image go by a file that the configuration does not name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.dockerspawner.report import Report
from pdshub.dockerspawner.settings import Assignment
from pdshub.dockerspawner.source import Folder, SourceError
from pdshub.dockerspawner.traits import Verdict

LIST, NOTICE = "people/list/people.json", "notice/notice.json"
AUTHENTICATORS = ("PDSHubGoogle", "PDSHubDevelopment")
_ROLES = {"allowed": "allowed_users", "admins": "admin_users", "suspended": "blocked_users"}
_WORDS = {"title": ("title", 200), "contact": ("contact", 200), "motd": ("message", 2000)}
MOST = 20_000


@dataclass(frozen=True)
class Exported:
    """What was found."""

    traits: dict[tuple[str, str], Assignment] = field(default_factory=dict)
    """The list, as the traits in which other hubs have theirs."""
    spec: dict[str, Any] = field(default_factory=dict)
    domains: list[str] = field(default_factory=list)


def read(folder: Folder, authenticator: str, report: Report) -> Exported:
    """What is there; nothing for a hub that is not of PDSHub's image."""
    if authenticator not in AUTHENTICATORS:
        return Exported()
    made = Exported()
    people = _json(folder, LIST, report)
    for role, trait in _ROLES.items():
        names = _names(people.get(role))
        if names:
            made.traits[("Authenticator", trait)] = Assignment("Authenticator", trait, names, 0)
    made.domains.extend(_names(people.get("domains")))
    if people:
        report.add(Verdict.TAKEN, LIST, "spec.users: the list of PDSHub's own hub image")
    notice = _json(folder, NOTICE, report)
    for key, (name, longest) in _WORDS.items():
        if isinstance(notice.get(key), str) and notice[key].strip():
            made.spec[name] = notice[key].strip()[:longest]
            report.add(Verdict.TAKEN, f"{NOTICE}: {key}", f"spec.{name}")
    return made


def _json(folder: Folder, name: str, report: Report) -> Mapping[str, Any]:
    if not folder.has(name):
        report.note(f"{name} is not there: what it says is not known")
        return {}
    try:
        found = json.loads(folder.text(name))
    except (SourceError, ValueError, RecursionError) as error:
        report.note(f"{name}: {str(error)[:200]}")
        return {}
    return found if isinstance(found, Mapping) else {}


def _names(value: Any) -> list[str]:
    return [each for each in value[:MOST] if isinstance(each, str)] if isinstance(value, list) else []
