"""NFS versions: which a source may be mounted with. Standard library only, for worker_main.py."""

from __future__ import annotations

#: Newest first. "4" in a view is 4.0, as the kernel takes it.
KNOWN = ("4.2", "4.1", "4.0")


def up_to(highest: str) -> tuple[str, ...]:
    """The versions from the highest that a view allows down, in the order in which they are tried."""
    return KNOWN[KNOWN.index({"4": "4.0"}.get(highest, highest)) :]
