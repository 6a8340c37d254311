"""A PDSHub and its view out of manifests, judged by the API's own models. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from pdshub.api.hub import PDSHubSpec
from pdshub.api.refusal import refusal_words
from pdshub.api.view import ArchiveViewSpec
from pdshub.compose.text import ExportError, line
from pdshub.dockerspawner import bounded_yaml
from pdshub.dockerspawner.source import SourceError
from pdshub.wellknown import API_VERSION, GROUP

Json = Mapping[str, Any]
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")


@dataclass(frozen=True)
class View:
    """An archive, and the name of its ArchiveView."""

    name: str
    spec: ArchiveViewSpec

    @property
    def folder(self) -> str:
        """The folder below the hub's mount path."""
        return self.spec.folder or self.name

    def manifest(self) -> dict[str, Any]:
        """The ArchiveView, as ``pdshub-survey`` reads it."""
        meta = {"name": self.name}
        return {"apiVersion": API_VERSION, "kind": "ArchiveView", "metadata": meta, "spec": self.spec.wire()}


@dataclass(frozen=True)
class Hub:
    """A PDSHub as it is exported."""

    namespace: str
    name: str
    spec: PDSHubSpec
    view: View | None = None


def documents(text: str) -> list[dict[str, Any]]:
    """The objects in a file of YAML; the members of lists are among them. Raises ExportError."""
    found: list[dict[str, Any]] = []
    for part in _parts(text):
        try:
            document = bounded_yaml.load(part)
        except SourceError as error:
            raise ExportError(f"the manifest: {error}") from None
        if isinstance(document, dict):
            items = document.get("items")
            listed = items if document.get("kind") == "List" and isinstance(items, list) else [document]
            found += [each for each in listed if isinstance(each, dict)]
    return found


def _parts(text: str) -> Iterator[str]:
    """Documents of a file, apart: a line that is ``---`` begins one."""
    yield from re.split(r"(?m)^---(?:[ \t].*)?$", text)


def hub(objects: Sequence[Json], name: str = "") -> Hub:
    """The one PDSHub among objects, or the one of that name, with its view. Raises ExportError."""
    hubs = [each for each in objects if _is(each, "PDSHub") and name in ("", _meta(each, "name"))]
    if len(hubs) != 1:
        found = ", ".join(line(_meta(each, "name")) for each in hubs[:20]) or "none"
        raise ExportError(f"one PDSHub is meant, and {found} of that name is there: name it with --name")
    (found_hub,) = hubs
    called = _meta(found_hub, "name")
    if not _NAME.fullmatch(called):
        raise ExportError(f"metadata.name {called!r}: at most 48 lower case letters, digits and dashes")
    namespace = _meta(found_hub, "namespace") or "hub"
    if not _NAME.fullmatch(namespace) and not re.fullmatch(r"[a-z0-9-]{1,63}", namespace):
        raise ExportError(f"metadata.namespace {namespace!r} is no namespace")
    try:
        spec = PDSHubSpec.model_validate(found_hub.get("spec") or {})
    except ValidationError as error:
        raise ExportError(refusal_words(error)) from None
    return Hub(namespace, called, spec, _view(spec, called, objects))


def _view(spec: PDSHubSpec, called: str, objects: Iterable[Json]) -> View | None:
    if spec.archive is None:
        return None
    if spec.archive.inline is not None:
        return View(called, ArchiveViewSpec.model_validate(spec.archive.inline.wire()))
    wanted = spec.archive.view_ref or ""
    for each in objects:
        if _is(each, "ArchiveView") and _meta(each, "name") == wanted:
            try:
                return View(wanted, ArchiveViewSpec.model_validate(each.get("spec") or {}))
            except ValidationError as error:
                raise ExportError(f"ArchiveView {wanted}: {refusal_words(error)}") from None
    raise ExportError(f"spec.archive.viewRef names {wanted}: give that ArchiveView too (-f FILE)")


def _is(document: Json, kind: str) -> bool:
    version = document.get("apiVersion")
    return document.get("kind") == kind and isinstance(version, str) and version.startswith(f"{GROUP}/")


def _meta(document: Json, key: str) -> str:
    meta = document.get("metadata")
    value = meta.get(key) if isinstance(meta, Mapping) else None
    return value if isinstance(value, str) else ""


def parsed(text: str) -> Any:
    """One document of YAML, whatever it holds. Raises ExportError."""
    try:
        return bounded_yaml.load(text)
    except (SourceError, yaml.YAMLError) as error:
        raise ExportError(str(error)) from None
