"""What is known of a catalog's image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Image:
    """A written image."""

    name: str
    digest: str  # sha256:…
    size: int
    source: str | None
    of: str | None = None
    """sha256:… of what a part of a large tree was made of (subtree.py): equal ones are equal images."""
