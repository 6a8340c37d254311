"""An ArchiveView as the node needs it: the API's own model, and what a node derives from it (digests, mount points).

The API server has validated the view against the CRD. It is read without the CRD's rules (pdshub.api.lenient), so that
a plugin survives a newer CRD; what could harm a node is checked again (hardening.py).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError

from pdshub import ports
from pdshub.api import view as api
from pdshub.api.authority import Authority
from pdshub.api.base import Model, parse_quantity
from pdshub.api.generation import ReleasedGeneration, Survey, SurveyorStatus, VolumePolicy
from pdshub.api.lenient import read
from pdshub.api.namespaces import AllowedNamespaces, SelectedNamespaces, shows
from pdshub.api.report import POD_UID
from pdshub.api.s3_source import S3Source
from pdshub.api.view import Layer, TreeEntry
from pdshub.generation_id import is_name
from pdshub.mount_rules import NOBODY, Identity
from pdshub.node import hardening
from pdshub.node.hardening import SpecError, relative

#: Behind a view's name: the volume that shows its sources as they are, for the surveyor.
SOURCES = "#sources"
_Model = TypeVar("_Model", bound=Model)


@dataclass(frozen=True)
class Source:
    """A checked source of a view. `model`: the API's; everything else is derived from it.

    `default`: who reads it where the view says nothing, by the installation.
    """

    model: api.Source
    default: Identity = NOBODY

    @property
    def name(self) -> str:
        """Its name inside the view."""
        return self.model.name

    @property
    def local(self) -> str:
        """Absolute path on the node; empty for an NFS export."""
        return self.model.local.path if self.model.local else ""

    @property
    def s3(self) -> S3Source | None:
        """The bucket that it is; None for what is none."""
        return self.model.s3

    @property
    def nfs(self) -> bool:
        """Whether it is an NFS export."""
        return self.model.nfs is not None

    @property
    def server(self) -> str:
        """Host name or address of who is asked over the network; empty for a local directory."""
        if self.model.s3:
            return urlsplit(self.model.s3.url).hostname or ""
        return self.model.nfs.server if self.model.nfs else ""

    @property
    def export(self) -> str:
        """Absolute path on the NFS server; empty for what is none."""
        return self.model.nfs.export if self.model.nfs else ""

    @property
    def port(self) -> int:
        """TCP port of the server; NFS's own for a local directory."""
        if self.model.s3:
            parts = urlsplit(self.model.s3.url)
            return parts.port or (443 if parts.scheme == "https" else 80)
        return self.model.nfs.port if self.model.nfs else ports.NFS

    @property
    def version(self) -> str:
        """The highest NFS version to speak."""
        return self.model.nfs.version if self.model.nfs else "4.2"

    @property
    def read_ahead(self) -> int:
        """Bytes that are read ahead; 0 for what fits the server's distance."""
        found = self.model.nfs.read_ahead if self.model.nfs else None
        return int(parse_quantity(found)) if found else 0

    @property
    def connections(self) -> int:
        """Connections to the server; 0 for what fits its distance."""
        return (self.model.nfs.connections or 0) if self.model.nfs else 0

    @property
    def run_as(self) -> Identity:
        """The uid and gid that it is read with."""
        return (self.model.run_as.uid, self.model.run_as.gid) if self.model.run_as else self.default

    @property
    def names_reader(self) -> bool:
        """Whether the view says who reads it."""
        return self.model.run_as is not None

    @property
    def marker(self) -> tuple[str, str] | None:
        """A file below its root that must be there, and the SHA-256 of its content in hexadecimal digits."""
        return (self.model.marker.path, self.model.marker.sha256) if self.model.marker else None

    @property
    def digest(self) -> str:
        """The same for equal server, export and options: one mount a node, whatever views call it."""
        parts: list[Any] = [self.local, self.server, self.export, self.port, self.version, self.run_as]
        if self.s3:
            parts = [self.s3.model_dump(mode="json", exclude={"limits"})]
        if self.read_ahead or self.connections:
            parts += [self.read_ahead, self.connections]
        return digest([*parts, self.marker] if self.marker else parts)

    @property
    def device_name(self) -> str:
        """What the mount table shows as the source of the mount."""
        if self.s3:
            return self.s3.place
        server = f"[{self.server}]" if ":" in self.server else self.server
        return self.local or f"{server}:{self.export}"


def pod_of(target: str) -> str:
    """The uid of the pod that has a target (…/pods/<uid>/volumes/kubernetes.io~csi/<PV>/mount); empty: no such path."""
    parts = PurePosixPath(target).parts[-6:]
    known = len(parts) == 6 and (parts[0], parts[2]) == ("pods", "volumes") and re.match(POD_UID, parts[1])
    return parts[1] if known else ""


@dataclass(frozen=True)
class View:
    """A checked ArchiveView. `spec_generation`: its metadata.generation. `raw`: the object as the API server has it."""

    name: str
    spec_generation: int = 0
    folder: str = ""
    sources: tuple[Source, ...] = ()
    tree: tuple[TreeEntry, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, hash=False)
    released: ReleasedGeneration | None = None
    """The generation that users see, by the view's status; None: contents straight from the sources."""
    surveyor: str = ""
    """Address and port of the surveyor that has generations."""
    update_policies: tuple[VolumePolicy, ...] = ()
    allowed_namespaces: AllowedNamespaces | None = None
    selected_namespaces: SelectedNamespaces | None = None

    @property
    def shows_sources(self) -> bool:
        """Whether it is the sources themselves, for the surveyor."""
        return self.name.endswith(SOURCES)

    def may_show_in(self, namespace: str) -> bool:
        """Whether pods of a namespace may have it mounted."""
        return shows(self.allowed_namespaces, self.selected_namespaces, namespace)

    @property
    def cataloged(self) -> bool:
        """Whether users see generations, not the sources merged by name."""
        return self.released is not None

    def source(self, name: str) -> Source:
        """The source of that name. Raises StopIteration for a name that no layer has."""
        return next(source for source in self.sources if source.name == name)

    def at(self, entry: TreeEntry) -> str:
        """The entry's mount point, relative to /archive."""
        return "/".join(part for part in (self.folder, entry.path) if part not in ("", "."))

    def update_policy(self, target: str) -> VolumePolicy | None:
        """How a target (…/kubernetes.io~csi/<PV>/mount) takes up a new generation; None: the status doesn't say."""
        volume = PurePosixPath(target).parent.name
        return next((policy for policy in self.update_policies if policy.volume == volume), None)

    def keeps_generation(self, target: str) -> bool:
        """Whether the target's pods keep the generation that they began with; else they are switched."""
        policy = self.update_policy(target)
        return policy is not None and policy.updates == "nextServer"

    def hold_seconds(self, target: str, default: float) -> float:
        """For how long what is in use in the target is kept after a switch; `default` where the status doesn't say."""
        policy = self.update_policy(target)
        return default if policy is None else policy.max_hold_seconds

    @property
    def survey_seconds(self) -> tuple[float, float]:
        """For how long a dataset must not have changed before a survey takes it up, and within which time of a change
        a survey has looked at it. The API's defaults where the spec doesn't say, or says what the API refuses."""
        spec = self.raw.get("spec")
        settle = _allowed(Authority, spec, "authority", "settleSeconds").settle_seconds
        return settle, settle + _allowed(Survey, spec, "survey", "intervalSeconds").interval_seconds


def _allowed(model: type[_Model], spec: Any, part: str, key: str) -> _Model:
    raw = spec.get(part) if isinstance(spec, Mapping) else None
    said = {key: raw[key]} if isinstance(raw, Mapping) and raw.get(key) is not None else {}
    try:
        return model.model_validate(said)
    except ValidationError:
        return model.model_validate({})


def digest(value: Any) -> str:
    """16 hexadecimal digits that name a JSON value: of a directory of the node, or of a mount's content."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def parse_view(document: Mapping[str, Any], default: Identity = NOBODY) -> View:
    """An ArchiveView object as JSON -> View. `default`: who reads a source whose view says nothing of it.

    Raises SpecError, whatever the document holds.
    """
    try:
        metadata, status = document["metadata"], document.get("status") or {}
        name = relative(metadata["name"], "metadata.name")
        number = int(metadata.get("generation") or 0)
        spec = read(api.ArchiveViewSpec, document["spec"], "folder", "form", "sources", "tree", "allowed_namespaces")
        folder = relative(spec.folder or name, "spec.folder")
        if "/" in name or "/" in folder or folder.startswith("."):
            raise SpecError("spec.folder: one plain name is needed")
        if name.startswith(".") or "#" in name:
            raise SpecError("metadata.name: one plain name is needed")
        sources = tuple(Source(model, default) for model in hardening.sources(spec.sources))
        tree = hardening.tree(spec.tree, {source.name for source in sources})
        # A form that this plugin does not know is not live: that would show what a survey has hidden.
        cataloged = spec.form != "live" and not all(entry.live for entry in tree)
        released = _released(status.get("generation")) if cataloged else None
        address = read(SurveyorStatus, status["surveyor"]).address if status.get("surveyor") else ""
        policies = tuple(read(VolumePolicy, raw) for raw in status.get("volumes") or [])
        selected = read(SelectedNamespaces, raw) if (raw := status.get("selectedNamespaces")) else None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise SpecError(f"not an ArchiveView: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except SpecError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SpecError(f"not an ArchiveView: {error!r}") from error
    return View(
        name, number, folder, sources, tree, document, released, address, policies, spec.allowed_namespaces, selected
    )


def _released(raw: Any) -> ReleasedGeneration | None:
    """The operator's decision, by name and date."""
    if not raw:
        return None
    found = read(ReleasedGeneration, raw, "name", "as_of", "content")
    if not is_name(found.name):
        raise SpecError(f"status.generation.name: {found.name!r} is not sha256: and 64 hexadecimal digits")
    if found.content and not is_name(found.content.digest):
        raise SpecError("status.generation.content.digest: not sha256: and 64 hexadecimal digits")
    return found


def sources_view(view: View) -> View:
    """The sources themselves, one folder each: what the view's surveyor reads."""
    tree = tuple(
        TreeEntry.model_construct(path=source.name, layers=[Layer.model_construct(source=source.name, path=".")])
        for source in view.sources
    )
    raw = {"spec": {"sources": (view.raw.get("spec") or {}).get("sources")}}
    return View(view.name + SOURCES, view.spec_generation, "", view.sources, tree, raw)
