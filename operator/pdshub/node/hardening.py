"""Checks over the API's model of a view: what could harm a node if it slipped through the API server. Pure.

They look at absolute paths and `..`, names that are used as file names, servers, ids and digests. What passes is
returned with its paths clean.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pdshub.api.s3_source import S3Source
from pdshub.api.view import Layer, LocalSource, Marker, NFSSource, RunAs, Source, TreeEntry
from pdshub.node import nfs_versions

_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_ID = 2**31 - 1


class SpecError(ValueError):
    """The view can't be used; the text names the field."""


def relative(text: Any, where: str) -> str:
    """A clean relative path ("." allowed); raises SpecError for anything that could lead elsewhere."""
    if not isinstance(text, str) or text.startswith("/") or "\0" in text or "\n" in text:
        raise SpecError(f"{where}: {text!r} is not a relative path")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise SpecError(f"{where}: {text!r} must not contain '..'")
    return "/".join(parts) or "."


def _absolute(text: str, where: str) -> str:
    if not text.startswith("/") or ".." in text.split("/") or set(text) & set("\0\n"):
        raise SpecError(f"{where}: {text!r} must be absolute and without '..'")
    return text


def _marker(marker: Marker, where: str) -> Marker:
    path = relative(marker.path, f"{where}.path")
    if path == "." or not _SHA256.fullmatch(marker.sha256):
        raise SpecError(f"{where}: a file's path and its SHA-256 are needed")
    return marker.model_copy(update={"path": path})


def _run_as(run_as: RunAs, where: str) -> RunAs:
    # setfsuid(2) takes an id that it can't set for a question: the source would be read as root
    if not (0 <= run_as.uid <= _MOST_ID and 0 <= run_as.gid <= _MOST_ID):
        raise SpecError(f"{where}: ids are numbers from 0 to {_MOST_ID}")
    return run_as


def _nfs(nfs: NFSSource, where: str) -> NFSSource:
    export = _absolute(nfs.export, f"{where}.export")
    if not nfs.server or set(nfs.server) & set("/, \n\t\0"):
        raise SpecError(f"{where}.server: {nfs.server!r} is not a host name or an address")
    if nfs.version not in ("4", *nfs_versions.KNOWN):
        raise SpecError(f"{where}.version: {nfs.version!r} is none of 4, {', '.join(nfs_versions.KNOWN)}")
    if not 0 < nfs.port < 1 << 16:
        raise SpecError(f"{where}.port: {nfs.port} is not a TCP port")
    clean = "/" + "/".join(part for part in export.split("/") if part not in ("", "."))
    return nfs.model_copy(update={"export": clean})


def _s3(s3: S3Source, where: str) -> S3Source:
    if not _BUCKET.fullmatch(s3.bucket) or ".." in s3.bucket:
        raise SpecError(f"{where}.bucket: {s3.bucket!r} is no name of a bucket")
    if not _URL.fullmatch(s3.endpoint):
        raise SpecError(f"{where}.endpoint: {s3.endpoint!r} is no URL of a service")
    prefix = relative(s3.prefix, f"{where}.prefix") if s3.prefix else "."
    if not prefix.isprintable() or not re.fullmatch("[a-z0-9-]{0,32}", s3.region or ""):
        raise SpecError(f"{where}: a folder and a region are needed")
    for name in (s3.secret_ref, *_names(s3)):
        if name is not None and ("/" in name or name in ("", ".", "..") or not name.isprintable()):
            raise SpecError(f"{where}: {name!r} is no name of a Secret or a ConfigMap, or of a key in it")
    return s3.model_copy(update={"prefix": None if prefix == "." else prefix})


def _names(s3: S3Source) -> list[str]:
    bundle = s3.ca_bundle
    place = (bundle.secret or bundle.config_map) if bundle else None
    return [place.name, place.key] if place else []


def _local(local: LocalSource, where: str) -> LocalSource:
    return local.model_copy(update={"path": "/" + _absolute(local.path, f"{where}.path").strip("/")})


def _source(model: Source, where: str) -> Source:
    if sum(kind is not None for kind in (model.nfs, model.s3, model.local)) != 1:
        raise SpecError(f"{where}: exactly one of nfs, s3 and local is needed")
    checked: dict[str, Any] = {
        "nfs": model.nfs and _nfs(model.nfs, f"{where}.nfs"),
        "s3": model.s3 and _s3(model.s3, f"{where}.s3"),
        "local": model.local and _local(model.local, f"{where}.local"),
        "run_as": model.run_as and _run_as(model.run_as, f"{where}.runAs"),
        "marker": model.marker and _marker(model.marker, f"{where}.marker"),
    }
    return model.model_copy(update=checked)


def sources(models: Sequence[Source]) -> tuple[Source, ...]:
    """The sources of a view, their paths clean. Raises SpecError."""
    checked = tuple(_source(model, f"spec.sources[{i}]") for i, model in enumerate(models))
    known = {source.name for source in checked}
    if any(not name or name.startswith(".") or set(name) & set("/\0\n#") for name in known):
        raise SpecError("spec.sources: names of sources are names of folders")
    if len(known) != len(checked):
        raise SpecError("spec.sources: two sources of the same name")
    return checked


def _entry(entry: TreeEntry, known: set[str], where: str) -> TreeEntry:
    if not entry.layers:
        raise SpecError(f"{where}.layers: empty")
    layers = [Layer.model_construct(source=one.source, path=relative(one.path, f"{where}.layers"))
              for one in entry.layers]  # fmt: skip
    for layer in layers:
        if layer.source not in known:
            raise SpecError(f"{where}.layers: no source is called {layer.source!r}")
    return entry.model_copy(update={"path": relative(entry.path, f"{where}.path"), "layers": layers})


def tree(entries: Sequence[TreeEntry], known: set[str]) -> tuple[TreeEntry, ...]:
    """The entries of a view, their paths clean; `known`: the names of its sources. Raises SpecError."""
    checked = tuple(_entry(entry, known, f"spec.tree[{i}]") for i, entry in enumerate(entries))
    paths = [[] if entry.path == "." else entry.path.split("/") for entry in checked]
    for i, one in enumerate(paths):
        for other in paths[i + 1 :]:
            shared = min(len(one), len(other))
            if one[:shared] == other[:shared]:
                raise SpecError("spec.tree: an entry inside another one")
    return checked
