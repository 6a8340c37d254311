"""Files of names beside a configuration: who may sign in, a name a line, some marked as admins. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from pdshub.api import name_file
from pdshub.dockerspawner.source import SourceError

MOST = 10_000
_SPLIT = re.compile(r"[\s,;:]+")


@dataclass(frozen=True)
class Names:
    """Names as they are written, in their order; ``admins`` are among them."""

    names: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    absent: bool = False
    """The file that has them is not here."""


def read(text: str) -> Names:
    """The names of a file: a name a line, which may be followed by the word ``admin``; or a list in JSON.

    Raises SourceError for what is no list of names.
    """
    if text.lstrip().startswith(("[", "{")):
        return _json(text)
    names, admins = list[str](), list[str]()
    for line in name_file.names(text):
        words = [word for word in _SPLIT.split(line) if word]
        if not words:
            continue
        names.append(words[0])
        if any(word.lower() in ("admin", "true") for word in words[1:]):
            admins.append(words[0])
    if len(names) > MOST:
        raise SourceError(f"it has more than {MOST} names")
    return Names(tuple(dict.fromkeys(names)), tuple(dict.fromkeys(admins)))


def _json(text: str) -> Names:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise SourceError("it is no JSON") from None
    users: Any
    admins: Any
    if isinstance(found, dict):
        users = next((found[key] for key in ("users", "allowed", "allowed_users", "whitelist") if key in found), [])
        admins = next((found[key] for key in ("admins", "admin", "admin_users") if key in found), [])
    else:
        users, admins = found, []
    if not all(isinstance(part, list) and all(isinstance(name, str) for name in part) for part in (users, admins)):
        raise SourceError("it is no list of names")
    if len(users) + len(admins) > MOST:
        raise SourceError(f"it has more than {MOST} names")
    return Names(tuple(dict.fromkeys([*users, *admins])), tuple(dict.fromkeys(admins)))
