"""ArchiveView: sources on the NAS or in S3, the tree that users see, and who wins where they overlap."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from pdshub import ports
from pdshub.api.authority import Authority
from pdshub.api.base import AbsolutePath, Model, Name, Quantity, RelativePath, StatusModel, parse_quantity, rules
from pdshub.api.decision import Decision
from pdshub.api.generation import (
    Candidate,
    GenerationRef,
    HeldServer,
    KeptGeneration,
    NodeContent,
    Proof,
    ReleasedGeneration,
    Survey,
    SurveyorStatus,
    SurveyStatus,
    VolumePolicy,
)
from pdshub.api.namespaces import AllowedNamespaces, SelectedNamespaces
from pdshub.api.s3_source import S3Source
from pdshub.api.status import Condition

_DECISION = (
    "pin, approved and rejected are decisions about the ArchiveView that the operator keeps for this hub: "
    "write them there (kubectl pdshub archive pin)"
)
_BOTH = "approved and rejected name the same generation: take one of them away"
_ONE_KIND = "choose exactly one kind of source: nfs, s3 or local"
_NO_READER = "objects of S3 have no owners: whose credentials read them is said by secretRef; leave runAs out"
_LOCAL = "local paths can be named only in an ArchiveView: write it to an ArchiveView and use viewRef"


_READ_AHEAD = (
    "!has(self.readAhead) || !isQuantity(string(self.readAhead)) || "
    "(quantity(string(self.readAhead)).compareTo(quantity('128Ki')) >= 0 && "
    "quantity(string(self.readAhead)).compareTo(quantity('64Mi')) <= 0)",
    "readAhead is from 128Ki to 64Mi",
)


class NFSSource(Model):
    """An NFS version 4 export."""

    model_config = ConfigDict(json_schema_extra=rules(_READ_AHEAD))
    server: str = Field(
        min_length=1,
        max_length=253,
        pattern=r"^[A-Za-z0-9._:\[\]-]+$",
        description="Host name or address of the NFS server, one that the installation allows.",
    )
    export: AbsolutePath = Field(description="Absolute path of the export on the server, for example /volume1/pds.")
    port: int = Field(default=ports.NFS, ge=1, le=65535, description="TCP port of the NFS server.")
    version: Literal["4", "4.1", "4.2"] = Field(
        default="4.2",
        description="Highest NFS version to speak (4 is 4.0): where the server speaks an older one that is taken, down "
        "to 4.0. Nodes whose kernel has no NFS client speak 4.1, whatever is written here.",
    )
    read_ahead: Quantity | None = Field(
        default=None,
        description="Bytes that the kernel reads ahead in a file that is read from its beginning, from 128Ki to 64Mi. "
        "Default: what fits the server's measured distance.",
    )
    connections: int | None = Field(
        default=None,
        ge=1,
        le=16,
        description="TCP connections to the server. Default: 4 where it is 5 ms away, or more.",
    )

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.read_ahead and not 128 << 10 <= parse_quantity(self.read_ahead) <= 64 << 20:
            raise ValueError(_READ_AHEAD[1])
        return self


class LocalSource(Model):
    """A directory of every node, for storage that the node mounts by itself."""

    path: AbsolutePath = Field(description="Absolute path on the node, below a prefix that the installation allows.")


class RunAs(Model):
    """The identity that the source is read with: one that the installation allows for it."""

    uid: int = Field(ge=0, le=2**31 - 1, description="Numeric user id.")
    gid: int = Field(ge=0, le=2**31 - 1, description="Numeric group id.")


class Marker(Model):
    """A file by which a source is known: an export of another content is not mistaken for it."""

    path: RelativePath = Field(description="File below the source's root.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", max_length=64, description="SHA-256 of its content, hexadecimal.")


class Source(Model):
    """One place that files come from: exactly one of nfs, s3 and local."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("[has(self.nfs), has(self.s3), has(self.local)].filter(x, x).size() == 1", _ONE_KIND),
            ("!has(self.s3) || !has(self.runAs)", _NO_READER),
        )
    )
    name: Name = Field(description="Name of the source inside this view.")
    nfs: NFSSource | None = Field(default=None, description="An NFS export.")
    s3: S3Source | None = Field(default=None, description="A bucket of an S3 service.")
    local: LocalSource | None = Field(default=None, description="A directory of the node; ArchiveView only.")
    run_as: RunAs | None = Field(
        default=None, description="Identity to read the source with; default: the installation's, which is nobody."
    )
    marker: Marker | None = Field(default=None, description="A file that proves that this is the right export.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(kind is not None for kind in (self.nfs, self.s3, self.local)) != 1:
            raise ValueError(_ONE_KIND)
        if self.s3 and self.run_as:
            raise ValueError(_NO_READER)
        return self


class Layer(Model):
    """One directory of a source that takes part in a tree entry."""

    source: Name = Field(description="Name of a source of this view.")
    path: RelativePath = Field(default=".", description="Directory inside the source; '.' is the export itself.")


class TreeEntry(Model):
    """One directory of the view and the layers that it shows, the first winning where names collide."""

    path: RelativePath = Field(description="Where users find it below the view's folder; '.' is the folder itself.")
    layers: list[Layer] = Field(
        min_length=1,
        max_length=8,
        description="Layers in order of precedence: the first that has a file wins.",
    )
    live: bool = Field(
        default=False,
        description="Shown straight from the sources, for what changes by the minute; never part of a generation.",
    )


SourceList = Annotated[
    list[Source],
    Field(
        min_length=1,
        max_length=32,
        description="Where the files come from.",
        json_schema_extra=rules(
            (
                "self.all(a, self.exists_one(b, b.name == a.name))",
                "two sources have the same name: give each its own",
            ),
        ),
    ),
]
TreeList = Annotated[
    list[TreeEntry],
    Field(
        min_length=1,
        max_length=32,
        description="The tree that users see, entry by entry.",
        json_schema_extra=rules(
            (
                "self.all(a, self.exists_one(b, b.path == a.path))",
                "two entries have the same path: merge their layers into one",
            ),
            (
                "self.size() == 1 || self.all(a, a.path != '.')",
                "path '.' takes the whole folder: it must be the only entry",
            ),
            (
                "self.all(a, self.all(b, a.path == b.path || !b.path.startsWith(a.path + '/')))",
                "one entry lies inside another: place them side by side",
            ),
        ),
    ),
]
_KNOWN_SOURCES = (
    "self.tree.all(t, t.layers.all(l, self.sources.exists(s, s.name == l.source)))",
    "a layer names a source that is not in sources: correct the layer's source or add the source",
)
_NOT_BOTH = ("!has(self.approved) || !has(self.rejected) || self.approved != self.rejected", _BOTH)


class ArchiveViewSpec(Model):
    """What a view shows."""

    model_config = ConfigDict(json_schema_extra=rules(_KNOWN_SOURCES, _NOT_BOTH))
    folder: Name | None = Field(
        default=None, description="Folder below the hub's mount path; default: the name of the ArchiveView."
    )
    sources: SourceList
    tree: TreeList
    form: Literal["catalog", "live"] = Field(
        default="catalog",
        description="catalog: users see generations that a survey decided. live: the sources, merged by name.",
    )
    authority: Authority = Field(default_factory=Authority, description="Who wins where sources overlap.")
    survey: Survey = Field(default_factory=Survey, description="When to survey, and where to keep generations.")
    release: Literal["auto", "approve"] = Field(
        default="auto", description="auto: users see each new generation. approve: one that is approved."
    )
    approved: GenerationRef | None = Field(
        default=None,
        description="Generation that is released although it waits for approval or lost many files.",
    )
    rejected: GenerationRef | None = Field(
        default=None,
        description="Generation that is not released, nor any older one that users have not seen: the next one may be.",
    )
    pin: GenerationRef | None = Field(
        default=None, description="Generation that the view is held at; pinning an earlier one rolls back."
    )
    allowed_namespaces: AllowedNamespaces | None = Field(
        default=None,
        description="Namespaces whose hubs may show the view. Default: every one; of a view inside of a PDSHub: its "
        "own namespace, which is always among them.",
    )

    @property
    def cataloged(self) -> bool:
        """Whether a survey has anything to decide."""
        return self.form == "catalog" and not all(entry.live for entry in self.tree)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [s.name for s in self.sources]
        if len(set(names)) != len(names):
            raise ValueError("sources: two sources have the same name: give each its own")
        for index, entry in enumerate(self.tree):
            for number, layer in enumerate(entry.layers):
                if layer.source not in names:
                    raise ValueError(
                        f"tree[{index}].layers[{number}].source: {layer.source!r} is not in sources "
                        f"({', '.join(names)})"
                    )
        if self.approved and self.approved == self.rejected:
            raise ValueError(_BOTH)
        paths = [e.path for e in self.tree]
        if len(set(paths)) != len(paths):
            raise ValueError("tree: two entries have the same path: merge their layers into one")
        if "." in paths and len(paths) > 1:
            raise ValueError("tree: path '.' takes the whole folder: it must be the only entry")
        for a in paths:
            if any(b.startswith(a + "/") for b in paths):
                raise ValueError(f"tree: an entry lies inside {a!r}: place them side by side")
        return self


def observed_tree(spec: ArchiveViewSpec) -> str:
    """Digest of what Ready speaks of: whether users see all of the sources does not depend on decisions."""
    said = spec.model_dump(mode="json", by_alias=True, include={"folder", "form", "sources", "tree"})
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


class InlineArchive(ArchiveViewSpec):
    """A view written inside a PDSHub; the operator keeps an ArchiveView for it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            _KNOWN_SOURCES,
            ("self.sources.all(s, !has(s.local))", _LOCAL),
            ("!has(self.pin) && !has(self.approved) && !has(self.rejected)", _DECISION),
        ),
    )

    @model_validator(mode="after")
    def _no_local(self) -> Self:
        if any(s.local for s in self.sources):
            raise ValueError(_LOCAL)
        if self.pin or self.approved or self.rejected:
            raise ValueError(_DECISION)
        return self


class SourceStatus(StatusModel):
    """A source as the nodes see it."""

    name: str
    ready: bool = Field(description="Every node reaches it.")
    mode: str = Field(default="", description="kernel-nfs, user-space-nfs, rclone or local.")
    message: str = Field(default="", description="What is wrong, and on which node.")


class NodeStatus(StatusModel):
    """The view on one node."""

    name: str
    ready: bool = False
    form: str = Field(default="", description="How the node built the view.")
    mode: str = Field(default="", description="How the node reads the sources.")
    targets: int = Field(default=0, description="Pods that have the view mounted.")
    generation: str = Field(default="", description="Generation that the node shows.")
    held: int = Field(default=0, description="Servers that still show another one.")
    held_servers: list[HeldServer] = Field(
        default_factory=list, description="Which these are; 500 over all nodes at most."
    )
    proof: Proof | None = Field(default=None, description="That the archive is unwritable and intact.")
    content: NodeContent | None = Field(default=None, description="What the node has of what travels with it.")
    message: str = ""


class ArchiveViewStatus(StatusModel):
    """What the operator found."""

    observed_generation: int = 0
    observed_tree: str = Field(
        default="", description="Digest of folder, form, sources and tree that Ready speaks of; not of decisions."
    )
    form: str = Field(
        default="", description="catalog, catalog-merged (older kernels), or live: contents straight from the sources."
    )
    surveyor: SurveyorStatus | None = Field(default=None, description="Where nodes fetch generations.")
    generation: ReleasedGeneration | None = Field(
        default=None, description="The generation that users see; absent until the first one is released."
    )
    candidate: Candidate | None = Field(default=None, description="A newer generation that waits for a decision.")
    decisions: list[Decision] = Field(
        default_factory=list, description="Who approved, pinned or rejected a generation, when and why."
    )
    generations: list[KeptGeneration] = Field(default_factory=list, description="Kept generations, newest first.")
    survey: SurveyStatus | None = None
    volumes: list[VolumePolicy] = Field(default_factory=list, description="How hubs take up a new generation.")
    selected_namespaces: SelectedNamespaces | None = Field(
        default=None, description="What spec.allowedNamespaces.selector chooses, for the nodes."
    )
    sources: list[SourceStatus] = Field(default_factory=list)
    nodes: list[NodeStatus] = Field(default_factory=list)
    conditions: list[Condition] = Field(default_factory=list)


class ArchiveView(Model):
    """A read-only tree merged from archive sources, published into the pods of hubs."""

    spec: ArchiveViewSpec
    status: ArchiveViewStatus = Field(default_factory=ArchiveViewStatus)


PRINTER_COLUMNS: list[dict[str, Any]] = [
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Form", "type": "string", "jsonPath": ".status.form"},
    {"name": "Generation", "type": "string", "jsonPath": ".status.generation.short"},
    {"name": "As of", "type": "string", "jsonPath": ".status.generation.asOf"},
    {"name": "Folder", "type": "string", "jsonPath": ".spec.folder"},
    {"name": "Candidate", "type": "string", "jsonPath": ".status.candidate.reason", "priority": 1},
    {
        "name": "Message",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Ready")].message',
        "priority": 1,
    },
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]
