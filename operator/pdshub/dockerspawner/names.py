"""What DockerSpawner calls the volumes and directories of a user: versions 12 to 14, and those before. Pure.

Source: DockerSpawner 12 to 14, dockerspawner.py (escape, template_namespace), volumenamingstrategy.py,
systemuserspawner.py; escapism.escape.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_NEW = frozenset(string.ascii_lowercase + string.digits)
_LEGACY = frozenset(string.ascii_letters + string.digits + "-")
_FIELD = re.compile(r"\{(\w*)\}")
MARKS = frozenset({"username", "raw_username", "safe_username"})
"""Fields of a template that make it each user's own."""
Escaping = Literal["new", "legacy"]


def _escape(name: str, safe: frozenset[str], character: str) -> str:
    return "".join(c if c in safe else "".join(f"{character}{byte:X}" for byte in c.encode()) for c in name)


def escaped(name: str) -> str:
    """A name as versions 12 and later write it: ``first.last@x`` is ``first-2elast-40x``."""
    return _escape(name, _NEW, "-").lower()


def legacy(name: str) -> str:
    """A name as versions before 12 write it, and later ones with ``escape = "legacy"``: ``first_2Elast_40x``."""
    return _escape(name, _LEGACY, "_")


@dataclass(frozen=True)
class Rule:
    """How a deployment names what is its users'."""

    template: str
    """``jupyterhub-user-{username}``, or an absolute path."""
    escaping: Escaping = "new"
    image: str = ""
    prefix: str = "jupyter"
    raw: bool = False
    """``{username}`` is not escaped: SystemUserSpawner, and volumes of versions before 12."""

    @property
    def personal(self) -> bool:
        """Whether it differs from user to user."""
        return bool(MARKS.intersection(_FIELD.findall(self.template)))

    @property
    def fixed(self) -> str:
        """The directory above the first part that differs from user to user; empty for a named volume."""
        before = self.template.partition("{")[0]
        return before[: before.rfind("/")] if before.startswith("/") else ""

    @property
    def named(self) -> bool:
        """Whether it is a volume of Docker's and no path of the machine."""
        return not self.template.startswith(("/", ".", "~"))

    def candidates(self, user: str) -> list[str]:
        """Every name that the user's volume or directory may have, the one by this very rule first.

        A machine that was upgraded over the years has homes by each rule of its time.
        """
        ways: list[tuple[str, str]] = [(escaped(user), "-"), (legacy(user), "_"), (user, "-")]
        if self.raw:
            ways = [ways[2], ways[0], ways[1]]
        elif self.escaping == "legacy":
            ways = [ways[1], ways[0], ways[2]]
        if "/" in user and "raw_username" in _FIELD.findall(self.template):
            return []  # a directory of somebody else's
        found = (self._made(user, written, between) for written, between in ways if "/" not in written)
        return list(dict.fromkeys(name for name in found if name and not _climbs(name)))

    def _made(self, user: str, written: str, between: str) -> str:
        """The template with its fields replaced; empty where it has others than DockerSpawner knows."""
        image = self.image.replace("/", between)
        fields: Mapping[str, str] = {
            "username": written,
            "safe_username": written,
            "raw_username": user,
            "imagename": image.replace(":", "-") if between == "-" else image,
            "servername": "",
            "raw_servername": "",
            "prefix": self.prefix,
        }
        if not set(_FIELD.findall(self.template)) <= fields.keys():
            return ""
        return _FIELD.sub(lambda match: fields[match[1]], self.template)


def _climbs(path: str) -> bool:
    """Whether a name of a user leads elsewhere than below the directory that is meant."""
    parts = path.split("/")
    return any(part in (".", "..") for part in parts) or "" in parts[1:] or "\0" in path


def below_fixed(rule: Rule, user: str) -> list[str]:
    """``candidates`` as paths below ``fixed``; names of volumes as they are."""
    start = rule.fixed + "/" if rule.fixed else ""
    return [name.removeprefix(start) for name in rule.candidates(user)]
