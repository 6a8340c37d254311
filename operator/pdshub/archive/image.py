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
    tops: tuple[str, ...] | None
