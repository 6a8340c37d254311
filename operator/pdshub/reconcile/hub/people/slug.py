"""What KubeSpawner calls the claim of somebody's home: pure.

The operator does not carry KubeSpawner; this is its naming in a few lines, and a test compares both.
Source: KubeSpawner 7, kubespawner/slugs.py and spawner.py (_expand_user_properties).
"""

from __future__ import annotations

import hashlib
import re

_VALID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_HASH, _LONGEST = 8, 48


def _readable(name: str, longest: int) -> str:
    """The part of a slug by which people know whose it is."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-")[:longest].rstrip("-")
    if found and not "a" <= found[0] <= "z":
        found = "x-" + found[: longest - 2]
    return found or "x"


def safe(name: str) -> str:
    """A name as a part of the names of objects, in KubeSpawner's scheme ``safe``."""
    if "--" not in name and len(name) <= _LONGEST and _VALID.fullmatch(name):
        found = name
    else:
        digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
        found = f"{_readable(name, _LONGEST - _HASH - 3)}---{digest}"
    return found if len(found) + 2 <= _LONGEST else _doubled(name)


def _doubled(name: str) -> str:
    """What a slug without room for a server's name becomes."""
    digest = hashlib.sha256(name.encode() + b"\xff").hexdigest()[:_HASH]
    half = (_LONGEST - _HASH - 1) // 2 - 2
    return f"{_readable(name, half)}--x---{digest}"


def escaped(name: str) -> str:
    """The same in the scheme ``escape`` of KubeSpawner before 7; a home that has such a name is found by 7, too."""
    return "".join(
        chr(byte) if chr(byte) in "abcdefghijklmnopqrstuvwxyz0123456789" else f"-{byte:02x}" for byte in name.encode()
    )


def claims(user: str, template: str) -> frozenset[str]:
    """Every name under which KubeSpawner finds the home of a user; empty for a template that is not understood."""
    made = {template.replace("{user_server}", slug) for slug in (safe(user), escaped(user))}
    made = {each for each in made if "{" not in each}
    return frozenset(made)
