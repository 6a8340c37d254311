"""How the hubs of a view take up a new generation: status.volumes, which nodes read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pdshub.api.generation import VolumePolicy
from pdshub.kube import Object
from pdshub.render.names import Names

_DEFAULT = VolumePolicy(volume="")


def _policy(archive: Mapping[str, Any], volume: str) -> VolumePolicy:
    """The API server has checked these fields; what it has not stays as it is by default."""
    updates, hold = archive.get("updates"), archive.get("maxHoldSeconds")
    return VolumePolicy(
        volume=volume,
        updates=updates if updates in ("live", "nextServer") else _DEFAULT.updates,
        max_hold_seconds=hold if isinstance(hold, int) and 0 <= hold <= 86400 else _DEFAULT.max_hold_seconds,
    )


def volumes(view: str, hubs: Iterable[Object]) -> list[VolumePolicy]:
    """The volume of each hub that shows the view."""
    found = []
    for hub in hubs:
        meta, archive = hub["metadata"], (hub.get("spec") or {}).get("archive") or {}
        names = Names(str(meta["namespace"]), str(meta["name"]))
        shown = archive.get("viewRef") or (names.own_view if archive.get("inline") else None)
        if shown == view:
            found.append(_policy(archive, names.volume(view)))
    return sorted(found, key=lambda policy: policy.volume)
