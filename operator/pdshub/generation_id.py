"""Names of generations: ``sha256:`` and 64 hexadecimal digits, of which people write the first twelve or more.

The digits are the digest of a generation's images and of how they are stacked (archive/manifest.py), so equal names
mean equal content.
"""

from __future__ import annotations

import re
from typing import Any

PREFIX = "sha256:"
"""What a whole name begins with: the algorithm, as in OCI image digests."""
SHORT = 12
"""Hexadecimal digits by which people name a generation."""
NAME = re.compile(PREFIX + "[0-9a-f]{64}")
"""A whole name, for ``fullmatch``."""
REFERENCE = f"^({PREFIX})?[0-9a-f]{{{SHORT},64}}$"
"""What people may write for one: a whole name, or at least the first twelve of its digits."""


def is_name(value: Any) -> bool:
    """Whether a value is the whole name of a generation, or another SHA-256 digest written the same way."""
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def digits(reference: str) -> str:
    """The hexadecimal digits of a whole name, of a part of one, or of another digest written the same way."""
    return reference.removeprefix(PREFIX)


def short(name: str) -> str:
    """A generation as people say it: its first twelve digits; "" of an empty name."""
    return digits(name)[:SHORT]


def named(reference: str | None, name: str) -> bool:
    """Whether a reference that people wrote means the generation ``name``; no reference means none."""
    wanted = digits(reference or "")
    return len(wanted) >= SHORT and digits(name).startswith(wanted)
