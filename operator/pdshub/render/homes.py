"""Whether storage holds a home to its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pdshub.api import provisioners


@dataclass(frozen=True)
class Enforcement:
    """Whether homes are held to their size: True, False or None where that is not known; and why."""

    enforced: bool | None
    reason: str
    message: str


def find(name: str | None, classes: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The StorageClass of that name; without a name the cluster's default."""
    for found in classes:
        meta = found["metadata"]
        if name and meta["name"] == name:
            return found
        if not name and provisioners.is_default(found):
            return found
    return None


def enforcement(name: str | None, size: str, classes: Sequence[Mapping[str, Any]], decided: bool | None) -> Enforcement:
    """Judge the StorageClass ``name`` (None: the default); ``decided`` is the installation's word, if any."""
    chosen = find(name, classes)
    if chosen is None:
        what = f"StorageClass {name} does not exist" if name else "the cluster has no default StorageClass"
        return Enforcement(
            False,
            "NoStorageClass",
            f"{what}: no server can start until spec.server.home.storageClassName names one that exists",
        )
    title, provisioner = chosen["metadata"]["name"], str(chosen.get("provisioner", ""))
    if decided is None:
        decided = provisioners.holds_to_size(provisioner)
    if decided:
        return Enforcement(True, "Enforced", f"StorageClass {title} holds each home to its size of {size}")
    if decided is None:
        return Enforcement(
            None,
            "UnknownProvisioner",
            f"whether StorageClass {title} ({provisioner}) holds homes to their size of {size} is not known: "
            f"set defaults.enforcesHomeSize of the pdshub chart",
        )
    return Enforcement(
        False,
        "SizeNotEnforced",
        f"StorageClass {title} ({provisioner}) does not enforce sizes: one user can fill the disk beyond the size "
        f"of {size}. Use storage with quotas, or watch the disk",
    )
