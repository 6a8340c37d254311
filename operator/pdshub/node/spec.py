"""An ArchiveView as the node needs it: plain values, parsed once from the API server's JSON.

The API server has validated it against the CRD; what is checked again here is what could harm a node if it
slipped through: absolute paths, `..`, names that are used as file names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from pdshub.node import nfs_versions

#: Behind a view's name: the volume that shows its sources as they are, for the surveyor.
SOURCES = "#sources"
GENERATION = re.compile(r"sha256:[0-9a-f]{64}")


class SpecError(ValueError):
    """The view can't be used; the text names the field."""


@dataclass(frozen=True)
class Source:
    """Where files come from: an NFS export, or (`local`) a directory of the node."""

    name: str
    local: str = ""
    server: str = ""
    export: str = ""
    port: int = 2049
    version: str = "4.2"  # the highest
    run_as: tuple[int, int] | None = None
    marker: tuple[str, str] | None = None  # a file that must be there, and its SHA-256

    @property
    def digest(self) -> str:
        """The same for equal server, export and options: one mount a node, whatever views call it."""
        parts = [self.local, self.server, self.export, self.port, self.version, self.run_as]
        return digest([*parts, self.marker] if self.marker else parts)

    @property
    def device_name(self) -> str:
        """What the mount table shows as the source of the mount."""
        server = f"[{self.server}]" if ":" in self.server else self.server
        return self.local or f"{server}:{self.export}"


@dataclass(frozen=True)
class Layer:
    source: str
    path: str


@dataclass(frozen=True)
class Entry:
    """One directory of the tree and the layers that form it, the winning one first."""

    path: str
    layers: tuple[Layer, ...]
    live: bool = False  # straight from the sources although the view shows generations


@dataclass(frozen=True)
class Released:
    """The generation that users see, by the view's status."""

    name: str  # sha256:…
    as_of: str = ""


@dataclass(frozen=True)
class UpdatePolicy:
    """How the pods of one volume (the name of its PV) take up a new generation."""

    volume: str
    next_server: bool = False  # a pod keeps the generation that it began with
    hold: float = 3600  # seconds for which what is in use is kept after a switch


@dataclass(frozen=True)
class View:
    name: str
    generation: int = 0
    folder: str = ""
    sources: tuple[Source, ...] = ()
    tree: tuple[Entry, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, hash=False)
    released: Released | None = None  # None: contents straight from the sources
    surveyor: str = ""  # address:port
    update_policies: tuple[UpdatePolicy, ...] = ()

    @property
    def cataloged(self) -> bool:
        """Whether users see generations, not the sources merged by name."""
        return self.released is not None

    def source(self, name: str) -> Source:
        return next(source for source in self.sources if source.name == name)

    def at(self, entry: Entry) -> str:
        """The entry's mount point, relative to /archive."""
        return "/".join(part for part in (self.folder, entry.path) if part not in ("", "."))

    def update_policy(self, target: str, default_hold: float) -> UpdatePolicy:
        """Of a target (…/kubernetes.io~csi/<PV>/mount); a volume that the status does not name is switched live."""
        volume = PurePosixPath(target).parent.name
        return next((u for u in self.update_policies if u.volume == volume), UpdatePolicy(volume, hold=default_hold))


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def relative(text: Any, where: str) -> str:
    """A clean relative path ("." allowed); raises SpecError for anything that could lead elsewhere."""
    if not isinstance(text, str) or text.startswith("/") or "\0" in text or "\n" in text:
        raise SpecError(f"{where}: {text!r} is not a relative path")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise SpecError(f"{where}: {text!r} must not contain '..'")
    return "/".join(parts) or "."


def _marker(raw: Any, where: str) -> tuple[str, str] | None:
    if not raw:
        return None
    path, digits = relative(raw["path"], f"{where}.path"), str(raw["sha256"])
    if path == "." or len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise SpecError(f"{where}: a file's path and its SHA-256 are needed")
    return path, digits


def _source(raw: Mapping[str, Any], where: str) -> Source:
    run_as = raw.get("runAs")
    ids = (int(run_as["uid"]), int(run_as["gid"])) if run_as else None
    marker = _marker(raw.get("marker"), f"{where}.marker")
    if raw.get("nfs"):
        nfs = raw["nfs"]
        export = str(nfs["export"])
        if not export.startswith("/") or ".." in export.split("/") or "\n" in export:
            raise SpecError(f"{where}.nfs.export: {export!r} must be absolute and without '..'")
        server = str(nfs["server"])
        if not server or set(server) & set("/, \n\t"):
            raise SpecError(f"{where}.nfs.server: {server!r} is not a host name or an address")
        export = "/" + "/".join(part for part in export.split("/") if part not in ("", "."))
        version = str(nfs.get("version") or "4.2")
        if version not in ("4", *nfs_versions.KNOWN):
            raise SpecError(f"{where}.nfs.version: {version!r} is none of 4, {', '.join(nfs_versions.KNOWN)}")
        return Source(
            str(raw["name"]),
            server=server,
            export=export,
            port=int(nfs.get("port") or 2049),
            version=version,
            run_as=ids,
            marker=marker,
        )
    if raw.get("local"):
        path = str(raw["local"]["path"])
        if not path.startswith("/") or ".." in path.split("/"):
            raise SpecError(f"{where}.local.path: {path!r} must be absolute and without '..'")
        return Source(str(raw["name"]), local="/" + path.strip("/"), run_as=ids, marker=marker)
    raise SpecError(f"{where}: neither nfs nor local")


def parse_view(document: Mapping[str, Any]) -> View:
    """An ArchiveView object -> View. Raises SpecError."""
    try:
        metadata, spec = document["metadata"], document["spec"]
        name = relative(metadata["name"], "metadata.name")
        folder = relative(spec.get("folder") or name, "spec.folder")
        if "/" in name or "/" in folder or folder.startswith("."):
            raise SpecError("spec.folder: one plain name is needed")
        sources = tuple(_source(raw, f"spec.sources[{i}]") for i, raw in enumerate(spec.get("sources") or []))
        known = {source.name for source in sources}
        if any(not name or name.startswith(".") or set(name) & set("/\0\n#") for name in known):
            raise SpecError("spec.sources: names of sources are names of folders")
        if len(known) != len(sources):
            raise SpecError("spec.sources: two sources of the same name")
        tree = []
        for i, raw in enumerate(spec.get("tree") or []):
            where = f"spec.tree[{i}]"
            layers = tuple(
                Layer(str(layer["source"]), relative(layer.get("path") or ".", f"{where}.layers"))
                for layer in raw.get("layers") or []
            )
            if not layers:
                raise SpecError(f"{where}.layers: empty")
            for layer in layers:
                if layer.source not in known:
                    raise SpecError(f"{where}.layers: no source is called {layer.source!r}")
            tree.append(Entry(relative(raw.get("path") or ".", f"{where}.path"), layers, bool(raw.get("live"))))
        paths = [[] if entry.path == "." else entry.path.split("/") for entry in tree]
        for i, one in enumerate(paths):
            for other in paths[i + 1 :]:
                shared = min(len(one), len(other))
                if one[:shared] == other[:shared]:
                    raise SpecError("spec.tree: an entry inside another one")
        cataloged = spec.get("form") != "live" and not all(entry.live for entry in tree)
        released, surveyor, update_policies = _status(document.get("status") or {}, cataloged)
        number = int(metadata.get("generation") or 0)
    except (KeyError, TypeError, AttributeError) as error:
        raise SpecError(f"not an ArchiveView: {error!r}") from error
    return View(name, number, folder, sources, tuple(tree), document, released, surveyor, update_policies)


def _status(status: Mapping[str, Any], cataloged: bool) -> tuple[Released | None, str, tuple[UpdatePolicy, ...]]:
    """What the operator has decided: generation, where to get it, and how each hub takes it up."""
    generation = status.get("generation") if cataloged else None
    if generation and not GENERATION.fullmatch(str(generation["name"])):
        raise SpecError(f"status.generation.name: {generation['name']!r} is not sha256: and 64 hexadecimal digits")
    released = Released(str(generation["name"]), str(generation.get("asOf") or "")) if generation else None
    update_policies = tuple(
        UpdatePolicy(str(raw["volume"]), raw.get("updates") == "nextServer", float(raw.get("maxHoldSeconds", 3600)))
        for raw in status.get("volumes") or []
    )
    return released, str((status.get("surveyor") or {}).get("address") or ""), update_policies


def sources_view(view: View) -> View:
    """The sources themselves, one folder each: what the view's surveyor reads."""
    tree = tuple(Entry(source.name, (Layer(source.name, "."),)) for source in view.sources)
    raw = {"spec": {"sources": (view.raw.get("spec") or {}).get("sources")}}
    return View(view.name + SOURCES, view.generation, "", view.sources, tree, raw)
