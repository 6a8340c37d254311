"""The archive of one machine, mounted: sources, then a generation's catalog over them, or their union.

By the code that does it on the nodes of a cluster (``pdshub.node.mount``), so that users see the same. It runs as root,
in the machine's own mount namespace, in a process that does nothing else; whoever starts it bounds its time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from pdshub.api.view import ArchiveViewSpec, Source, TreeEntry
from pdshub.compose import generations
from pdshub.compose.generations import Store
from pdshub.compose.text import ExportError
from pdshub.mount_rules import NOBODY
from pdshub.node.mount import mountinfo, syscalls, targets, worker_main

_BUILD = "build"
_OUR = ("sources", "archive", _BUILD)


def mount(store: Store) -> str:
    """Shows the current generation, or while there is none the sources' union; what was shown goes. Raises ExportError.

    Servers that run see it at once: the folder is a shared mount, which theirs follow.
    """
    view = store.view()
    try:
        _shared(store.archive)
        for source in view.spec.sources:
            _source(store, source)
        empty = _folder(store.mounts / "empty")
        current = store.current() if view.spec.cataloged else ""
        top = _folder(store.archive / view.folder)
        if current:
            form = _catalog(store, view.spec, current, top, empty)
            live = [entry for entry in view.spec.tree if entry.live]
        else:
            form, live = "live", list(view.spec.tree)
            _take_away(top)
        for number, entry in enumerate(live):
            _entry(store, view.spec, number, entry, top, empty, over=bool(current))
        _clear(store.mounts / _BUILD)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise ExportError(f"the archive is not mounted: {error.strerror or error}{where}") from None
    return f"{store.archive}/{view.folder}: {form}{f' {current[:12]}' if current else ''}"


def unmount(store: Store) -> str:
    """Takes the archive and its sources away: running servers find an empty folder. Raises ExportError."""
    try:
        for name in ("archive", _BUILD, "sources"):
            for point in reversed(_points(store.mounts / name)):
                syscalls.umount(point, lazy=True)
    except OSError as error:
        raise ExportError(f"{error.strerror} ({error.filename})") from None
    return f"nothing is mounted below {store.mounts}"


def _points(folder: Path) -> list[str]:
    """Mounts at a folder and below it, in the order in which they were made."""
    top = str(folder.resolve())
    return [each.point for each in mountinfo.read() if each.point == top or each.point.startswith(f"{top}/")]


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _shared(folder: Path) -> None:
    """A mount of its own, from which mounts go on to containers that follow it."""
    _folder(folder)
    if str(folder.resolve()) in _points(folder):
        return
    copy = syscalls.clone(str(folder))
    try:
        syscalls.set_attributes(copy, propagation=syscalls.MS_PRIVATE)
        syscalls.attach(copy, str(folder))
    finally:
        os.close(copy)
    syscalls.mount("none", str(folder), "none", syscalls.MS_SHARED)


def _source(store: Store, source: Source) -> None:
    """Mounts a source once. Raises OSError."""
    point = _folder(store.sources / source.name)
    if str(point.resolve()) in _points(point):
        return
    if source.s3:
        raise ExportError(f"source {source.name} is in S3: mount it at {point} first (rclone mount --read-only)")
    if source.local:
        worker_main.mount_local("/", source.local.path, str(point))
    elif source.nfs:
        nfs = _nfs(source)
        worker_main.mount_nfs(**nfs, point=str(point))


def _nfs(source: Source) -> dict[str, Any]:
    found = source.nfs
    if found is None:
        raise ExportError(f"source {source.name} is no NFS export")
    server = found.server.strip("[]")
    shown = f"[{server}]" if ":" in server else server
    return {
        "server": server, "export": found.export, "port": found.port, "version": found.version,
        "device": f"{shown}:{found.export}",
    }  # fmt: skip


def _reader(source: Source) -> list[int]:
    """Who reads a source: as in a cluster, nobody where nobody is named."""
    return [source.run_as.uid, source.run_as.gid] if source.run_as else list(NOBODY)


def _known(base: Path, path: str) -> str | None:
    """The identity of a source's directory; None where it is not there."""
    top = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = syscalls.open_beneath(top, path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    finally:
        os.close(top)
    try:
        return worker_main.identity(os.fstat(found))
    finally:
        os.close(found)


def _catalog(store: Store, spec: ArchiveViewSpec, name: str, top: Path, empty: Path) -> str:
    """Builds a generation aside, slides it beneath what is shown, and takes that away."""
    kept = store.generations / name
    found = generations.read(kept)
    layering, sources = found["layering"], {source.name: source for source in spec.sources}
    data = []
    for layer in layering["data"]:
        source, base = sources.get(layer["source"]), store.sources / layer["source"]
        if source is None:
            raise ExportError(f"generation {name[:12]} reads source {layer['source']}, which the view has no more")
        path = layer["path"] or "."
        data.append({
            "source": source.name, "base": str(base), "path": path, "identity": _known(base, path),
            "runAs": _reader(source), "nfs": _nfs(source) if source.nfs else None,
        })  # fmt: skip
    point = str(store.mounts / _BUILD / name[:12] / "mnt")
    here = Path.cwd()
    try:
        form = worker_main.build_catalog(
            point, {}, generation=found["generation"], nested=layering["form"] == "nested", top=layering["top"],
            empty=str(empty), data=data,
            images=[{"path": str(kept / image["name"]), "source": image.get("source")} for image in found["images"]],
        )  # fmt: skip
    finally:
        os.chdir(here)
    _show(point, top)
    worker_main.drop(point)
    return form


def _show(origin: str, place: Path) -> None:
    """Puts a mount on a folder in place of what is there, without a moment at which nothing is (Linux 6.5)."""
    before = [point for point in _points(place) if point == str(place.resolve())]
    with syscalls.opened(origin) as directory:
        if before and syscalls.attaches_beneath():
            targets.put(directory, str(place), beneath=True)
            syscalls.umount(str(place), lazy=True)
            return
        _take_away(place)
        targets.put(directory, str(place))


def _take_away(place: Path) -> None:
    """Takes all mounts at a folder and below it away; what is open stays open."""
    for point in reversed(_points(place)):
        with suppress(FileNotFoundError):
            syscalls.umount(point, lazy=True)


def _entry(
    store: Store, spec: ArchiveViewSpec, number: int, entry: TreeEntry, top: Path, empty: Path, *, over: bool
) -> None:
    """Shows an entry of the tree straight from its sources. ``over``: upon a catalog, which has its folder."""
    sources = {source.name: source for source in spec.sources}
    layers: list[list[Any]] = []
    for layer in entry.layers:
        base = store.sources / layer.source
        known = _known(base, layer.path)
        if known:
            layers.append([str(base), layer.path, known, _reader(sources[layer.source])])
    if not layers:
        return
    place = top if entry.path == "." else top / entry.path
    if not over:
        _folder(place)
    point = str(store.mounts / _BUILD / f"live{number}" / "mnt")
    here = Path.cwd()
    try:
        worker_main.build(layers, point, str(empty), {})
    finally:
        os.chdir(here)
    _show(point, place)
    worker_main.drop(point)


def _clear(folder: Path) -> None:
    """Removes what builds have left."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        worker_main.drop(str(path / "mnt"))
    with suppress(OSError):
        folder.rmdir()
