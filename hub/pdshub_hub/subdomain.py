"""The host name of a user's server below that of the hub: one for each name, which nobody else can be given.

JupyterHub's own hook (``idna``) tells names apart that are no DNS label by 28 bits of a digest. Whoever may choose a
name, by a mail domain that is on the list for example, finds one in minutes that shares the label of somebody else's
server, and a page of theirs would have its origin. Here it is 130 bits; plain names stay as they are.
Source: RFC 1035, section 2.3.1 (labels); RFC 5891, section 4.2.3.1 (no "--" in third and fourth place).
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

_PLAIN = re.compile(r"(?=.{1,40}\Z)[a-z](-?[a-z0-9])*")
"""A name that is a label as it is: no two dashes in a row, which the labels below have."""
_HINT = 16
"""Characters of a name that its label shows, for people: what tells labels apart is the digest."""
_DIGEST = 26
"""Characters of base 32, 5 bits each."""


def label(name: str) -> str:
    """The DNS label of somebody: lower case letters, digits and dashes, at most 47, the same for nobody else."""
    if _PLAIN.fullmatch(name):
        return name
    hint = "".join(character for character in name.lower() if character.isascii() and character.isalnum())[:_HINT]
    digest = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode().lower()[:_DIGEST]
    return f"u-{hint or 'x'}--{digest}"


def host(name: str, domain: str, kind: str) -> str:
    """The host name of a user's server (``kind`` user) or of a service, below ``domain``: JupyterHub's hook.

    Source: JupyterHub 5, JupyterHub.subdomain_hook.
    """
    return f"{label(name)}{'' if kind == 'user' else f'--{kind}'}.{domain}"


def setup(c: Any) -> None:
    """Name servers by :func:`host`; an admin's own hook goes first. ``c``: the configuration that JupyterHub loads."""
    if c.JupyterHub.get("subdomain_hook") in (None, "", "idna"):
        c.JupyterHub.subdomain_hook = host
