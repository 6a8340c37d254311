"""An ArchiveView from the directories that containers saw read-only. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from pdshub import ports
from pdshub.api.refusal import refusal_words
from pdshub.api.view import ArchiveViewSpec
from pdshub.dockerspawner import fstab
from pdshub.dockerspawner.binds import Bind
from pdshub.dockerspawner.report import Report
from pdshub.dockerspawner.traits import Verdict
from pdshub.wellknown import API_VERSION

MOST_SOURCES, MOST_ENTRIES, MOST_LAYERS = 32, 32, 8


@dataclass
class View:
    """The view, and where users find what they had."""

    spec: dict[str, Any] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    """Path in the old containers -> path below the view's folder."""

    def manifest(self, name: str) -> dict[str, Any]:
        """The ArchiveView."""
        return {"apiVersion": API_VERSION, "kind": "ArchiveView", "metadata": {"name": name}, "spec": self.spec}


def label(text: str, fallback: str = "source", longest: int = 40) -> str:
    """A text as a DNS label (RFC 1123)."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:longest].strip("-") or fallback


def build(
    archives: Sequence[Bind],
    mounts: Sequence[fstab.Mount],
    volumes: Mapping[str, fstab.Mount],
    folder: str,
    report: Report,
    file: str,
) -> View | None:
    """The view of some binds; None where there are none. ``mounts``: those of the machine; ``volumes``: of Docker."""
    archives = [bind for bind in archives if bind.target.startswith("/")]
    archives = [each for bind in archives for each in _spread(bind, mounts, report)]
    if not archives:
        return None
    top = _top([bind.target for bind in archives])
    sources: dict[tuple[str, str], dict[str, Any]] = {}
    tree: list[dict[str, Any]] = []
    made = View()
    for bind in sorted(archives, key=lambda bind: bind.target)[:MOST_ENTRIES]:
        places = _places(bind, mounts, volumes, report, file)
        path = _free(posixpath.relpath(bind.target, top), [entry["path"] for entry in tree])
        layers = [_layer(place, sources) for place in places[:MOST_LAYERS]]
        layers = [layer for layer in layers if layer]
        if not layers:
            report.contradiction(bind.target, f"nothing is known of {bind.source}: name its source", file, bind.line)
            continue
        if len(places) > MOST_LAYERS:
            report.contradiction(bind.target, f"{len(places)} layers, of which {MOST_LAYERS} fit", file, bind.line)
        tree.append({"path": path, "layers": layers})
        made.moved[bind.target] = path
        said = " over ".join(_words(place) for place in places[:MOST_LAYERS])
        report.add(Verdict.TAKEN, bind.target, f"ArchiveView, {path}: {said}", file, bind.line)
    if len(archives) > MOST_ENTRIES:
        report.contradiction("archives", f"{len(archives)} directories, of which {MOST_ENTRIES} fit into a view", file)
    if not tree:
        return None
    made.spec = {"folder": folder, "sources": list(sources.values()), "tree": tree}
    local = [source["name"] for source in made.spec["sources"] if "local" in source]
    if local:
        report.note(
            f"sources {', '.join(local)} are directories of the old machine, as no fstab says what they are mounted"
            " from: name their NFS export, or have every node mount them and the installation allow them"
        )
    try:
        ArchiveViewSpec.model_validate(made.spec)
    except ValidationError as error:
        report.contradiction("ArchiveView", refusal_words(error), file)
    return made


def _spread(bind: Bind, mounts: Sequence[fstab.Mount], report: Report) -> list[Bind]:
    """A bind of a folder in which file systems are mounted: one for each of them, as each has a source of its own."""
    own = fstab.mount_of(bind.source, mounts)
    if not bind.source.startswith("/") or (own is not None and own.point != "/"):
        return [bind]
    points = {mount.point for mount in mounts if fstab.below(mount.point, bind.source)}
    outer = sorted(point for point in points if not any(fstab.below(point, other) for other in points))
    if not outer:
        return [bind]
    report.note(f"{bind.source} holds {len(outer)} mounts, which are the view; what lies beside them in it is not")
    return [replace(bind, source=point, target=f"{bind.target}/{fstab.below(point, bind.source)}") for point in outer]


def _places(
    bind: Bind, mounts: Sequence[fstab.Mount], volumes: Mapping[str, fstab.Mount], report: Report, file: str
) -> list[fstab.Place]:
    if bind.source.startswith("/"):
        found = fstab.places(bind.source, mounts, report.note)
    else:
        volume, _, rest = bind.source.partition("/")
        mount = volumes.get(volume)
        if mount is None or not mount.device:
            return []
        point = f"/{volume}"
        found = fstab.places(
            f"{point}/{rest}", [*mounts, fstab.Mount(mount.device, point, _kind(mount), mount.options)], report.note
        )
    return [place for place in found if not re.search(r"[*?\[]", place.path) and place.path.isprintable()]


def _kind(mount: fstab.Mount) -> str:
    """What Docker's local driver is asked to mount, as an fstab has it."""
    return "bind" if mount.kind in ("", "none") else mount.kind


def _layer(place: fstab.Place, sources: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any] | None:
    """A layer; its source is added where it is new."""
    key = (place.server, place.export) if place.server else ("", place.path)
    source = sources.get(key)
    if source is None:
        if len(sources) >= MOST_SOURCES:
            return None
        base = label(posixpath.basename(key[1]) or place.server)
        source = {"name": _free(base, [each["name"] for each in sources.values()])}
        if place.server:
            nfs: dict[str, Any] = {"server": place.server, "export": place.export}
            nfs |= {"port": place.port} if place.port != ports.NFS else {}
            nfs |= {"version": place.version} if place.version else {}
            source["nfs"] = nfs
        else:
            source["local"] = {"path": place.path}
        sources[key] = source
    return {"source": source["name"], **({"path": place.path} if place.server and place.path != "." else {})}


def _top(targets: Sequence[str]) -> str:
    """The folder that holds all of them, and is none of them."""
    common = posixpath.commonpath(targets) if len(targets) > 1 else posixpath.dirname(targets[0])
    return posixpath.dirname(common) if common in targets else common


def _free(path: str, taken: Sequence[str]) -> str:
    """A path that meets no other: one that would lie inside of another is placed beside it."""
    wanted = path.strip("/").replace("..", "up") or "archive"
    if any(wanted.startswith(other + "/") or other.startswith(wanted + "/") for other in taken):
        wanted = wanted.replace("/", "-")
    free, number = wanted, 2
    while free in taken:
        free, number = f"{wanted}-{number}", number + 1
    return free


def _words(place: fstab.Place) -> str:
    return f"{place.server}:{posixpath.normpath(f'{place.export}/{place.path}')}" if place.server else place.path
