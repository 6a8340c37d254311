"""The actual state of a view, from the mount table and the notes beside its entries."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from pdshub.node.layout import Layout
from pdshub.node.mount import mountinfo, volume_root
from pdshub.node.mount.catalog import COVER, LABEL
from pdshub.node.reconcile.plan import Actual, Content, LayerAt
from pdshub.node.reconcile.select_generation import LIVE, Built
from pdshub.node.source.nfs_requests import FUSE_TYPES

BENEATH = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2]) >= (6, 5)


def observe(mounts: list[mountinfo.Mount], layout: Layout, view: str) -> Actual:
    """What is mounted for a view: its contents, what each target shows, and covers."""
    entries: dict[str, Content] = {}
    prefix = f"{layout.entries(view)}/"
    for mount in mounts:
        key, _, rest = mount.point.removeprefix(prefix).partition("/")
        if mount.point.startswith(prefix) and rest == "mnt":
            entries[key] = mount.content
    found: dict[str, dict[str, tuple[Content, ...]]] = {}
    for target, of in volume_root.targets(mounts, layout).items():
        if of != view:
            continue
        here = [m for m in mounts if m.point.startswith(target + "/")]
        found[target] = {
            point.removeprefix(target + "/"): tuple(m.content for m in mountinfo.stack(here, point))
            for point in {m.point for m in here}
        }
    covers = frozenset(m.device for m in mounts if m.source.startswith(LABEL) and m.source.endswith(COVER))
    return Actual(entries, found, BENEATH, _notes(mounts, layout, view), covers)


def _notes(mounts: Iterable[mountinfo.Mount], layout: Layout, view: str) -> dict[str, Content]:
    """The folders of the volume's root that say what a target shows that does not show what the others do."""
    own = mountinfo.top(mounts, str(layout.volume_root(view)))
    folder = layout.volume_root(view) / volume_root.GENERATIONS
    if own is None or not folder.is_dir():
        return {}
    return {note_key(path.name): (own.device, f"/{volume_root.GENERATIONS}/{path.name}") for path in folder.iterdir()}


def note_key(what: str) -> str:
    """`what`: a generation or LIVE."""
    return f"note-{what.removeprefix('sha256:')}"


def shown(mounts: list[mountinfo.Mount], layout: Layout, view: str, live_points: Collection[str]) -> dict[str, str]:
    """Target -> the generation that it shows, LIVE, or empty while nothing is there. `live_points` prove nothing."""
    result: dict[str, str] = {}
    for target, of in volume_root.targets(mounts, layout).items():
        if of != view:
            continue
        here = [m for m in mounts if m.point.startswith(target + "/")]
        tops = {point: mountinfo.stack(here, point)[-1] for point in {m.point for m in here}}
        generations = sorted(generation(m) for m in tops.values() if m.source.startswith(LABEL))
        points = {point.removeprefix(target + "/") for point in tops} - set(live_points)
        if generations:
            result[target] = generations[0]
        else:
            result[target] = LIVE if any(not point.startswith(".pdshub/") for point in points) else ""
    return result


def cataloged(mounts: Iterable[mountinfo.Mount]) -> set[str]:
    """The generations of which a catalog is mounted anywhere, whatever else is known of them."""
    return {generation(m) for m in mounts if m.source.startswith(LABEL)}


def generation(mount: mountinfo.Mount) -> str:
    """Of a catalog, or of the cover over one."""
    return f"sha256:{mount.source.removeprefix(LABEL).removesuffix(COVER)}"


def built(layout: Layout, view: str, keys: Iterable[str]) -> dict[str, Built]:
    """The catalogs among a view's entries."""
    found: dict[str, Built] = {}
    for key in keys:
        try:
            note = json.loads((layout.entries(view) / key / "entry.json").read_text())
            if "generation" in note:
                layers = tuple(LayerAt(**layer) for layer in note["layers"])
                cover, content = bool(note.get("cover")), str(note.get("content") or "")
                found[key] = Built(str(note["generation"]), layers, str(note["form"]), cover, content)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # of a worker that was killed: the entry is made anew
    return found


def replaced(mounts: Iterable[mountinfo.Mount], layout: Layout, catalogs: Mapping[str, Built]) -> set[str]:
    """Keys of catalogs that read from a mount of the user-space client in whose place there is another one: the process
    behind theirs has ended, so what is not in the catalog itself answers with an error, whoever holds it."""
    mounts = list(mounts)
    found = set()
    for key, one in catalogs.items():
        for layer in one.layers:
            here = mountinfo.top(mounts, str(layout.source(layer.source)))
            known = layer.identity.rpartition(":")[0]
            if here is not None and here.fstype in FUSE_TYPES and known not in ("", here.device):
                found.add(key)
    return found


def leftovers(layout: Layout, view: str, entries: Collection[str], wanted: Collection[str]) -> list[Path]:
    """Folders of entries that were never finished and that nobody wants any more."""
    folder = layout.entries(view)
    return [p for p in folder.iterdir() if p.name not in entries and p.name not in wanted] if folder.is_dir() else []


def scaffolding(mounts: Iterable[mountinfo.Mount], layout: Layout, view: str) -> list[str]:
    """What a worker that was killed had mounted beside an entry to build it."""
    prefix = f"{layout.entries(view)}/"
    points = {m.point for m in mounts if m.point.startswith(prefix)}
    return sorted(point for point in points if not point.endswith("/mnt"))
