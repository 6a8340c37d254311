"""The report of a node plugin: what it serves at /report, and what the operator reads there.

The plugin makes these models and sends what it has set. The operator reads an answer with `Report.read`: whoever holds
a node holds its answer, so that unknown fields are ignored and a malformed part counts as not reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Self, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core.core_schema import ValidationInfo

from pdshub import generation_id
from pdshub.api.generation import LIVE, HeldServer, NodeContent, Proof

CONNECTING = "connecting"
"""State of a view or source that is being mounted: neither there nor failed."""

POD_UID = r"^[0-9A-Za-z-]{1,63}$"
"""What a kubelet calls the folder of a pod."""

_LENIENT = "lenient"
_MOMENT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"


class FetchReason(StrEnum):
    """Why a node has not taken up a generation, where waiting does not help: somebody has to do something."""

    NO_ROOM = "NoRoom"
    """It does not fit into what generations may take on the node, or the disk is full."""
    REFUSED = "Refused"
    """An image of it is not one that a surveyor makes."""


def _characters(value: Any) -> Any:
    """Text of names that are no UTF-8 has surrogates, which can't be sent: each becomes a question mark."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


Text = Annotated[StrictStr, BeforeValidator(_characters)]


class _Exact(BaseModel):
    """A part that is whole or not reported. Unknown fields are ignored: the other side may be newer."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class _Part(_Exact):
    """A part whose malformed fields have their defaults, where it is read with `Report.read`."""

    @field_validator("*", mode="wrap")
    @classmethod
    def _or_not_reported(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            if not (info.context or {}).get(_LENIENT):
                raise
            found = error
        field = cls.model_fields[str(info.field_name)]
        if isinstance(value, dict) and get_origin(field.annotation) is dict:  # only its items that are wrong
            return handler(_without(value, (one["loc"] for one in found.errors(include_url=False))))
        return field.get_default(call_default_factory=True)


def _without(value: dict[str, Any], places: Iterable[tuple[int | str, ...]]) -> dict[str, Any]:
    """A copy of nested mappings that lacks what is at some places."""
    below: dict[int | str, list[tuple[int | str, ...]]] = {}
    for place in places:
        below.setdefault(place[0], []).append(place[1:])
    return {
        key: _without(item, below[key]) if key in below else item
        for key, item in value.items()
        if () not in below.get(key, ())
    }


class ProofReport(_Exact):
    """That a view is unwritable and intact on this node: what was tried, as whom, and how it ended."""

    ok: StrictBool = False
    result: Text = ""
    """intact, changing, violated or incomplete."""
    at: Text = ""
    """RFC 3339."""
    message: Text = ""
    generation: Text = ""
    """The generation that was shown; empty in form live."""
    unwritable: StrictBool | None = None
    """None where nothing could be tried."""
    identity: dict[str, Any] = Field(default_factory=dict)
    """Uid, gid, groups and capabilities of the process that tried."""
    targets: StrictInt = 0
    tried: dict[Text, Text] = Field(default_factory=dict)
    """Action -> the worst outcome over all mounts."""
    files: dict[str, Any] = Field(default_factory=dict)
    """Files of the sample, by what was found."""
    seconds: StrictFloat = 0.0

    def status(self) -> Proof:
        """What a view's status says of it."""
        return Proof(ok=self.ok, result=self.result, at=self.at, message=self.message)


class CanaryReport(_Part):
    """Files of a view's sample that differ from the survey."""

    checked: StrictInt = 0
    at: Text = ""
    differ: dict[Text, Text] = Field(default_factory=dict)
    """Path -> how it differs, of some of them."""
    differing: StrictInt = 0
    unread: StrictInt = 0
    renewals: StrictInt = 0
    """Times that the mount was renewed because a file had been replaced."""
    message: Text = ""


class HeldReport(_Exact):
    """A server that shows something else than the view's other servers of the node."""

    pod: Annotated[Text, Field(pattern=POD_UID)]
    """Uid of its pod."""
    generation: Annotated[Text, Field(pattern=rf"^({generation_id.NAME.pattern}|{LIVE})$")]
    since: Annotated[Text, Field(pattern=_MOMENT)]
    """When the node noticed, RFC 3339."""
    until: Annotated[Text, Field(pattern=rf"{_MOMENT}|^$")] = ""
    """When what it shows is taken away at the latest; empty: it keeps what it began with."""

    def status(self) -> HeldServer:
        """What a view's status says of it."""
        shown = self.generation if self.generation == LIVE else generation_id.short(self.generation)
        return HeldServer(pod=self.pod, generation=shown, since=self.since, until=self.until)


class ContentReport(_Part):
    """What travels with the generation that a view shows: its files are read on the node, without the NAS."""

    digest: Text = ""
    """Of what is mounted everywhere on the node; empty: nothing is yet."""
    files: StrictInt = 0
    bytes: StrictInt = 0
    message: Text = ""
    """Why the node has not more of it; empty where it has all, or fetches it."""

    def status(self) -> NodeContent:
        """What a view's status says of it."""
        digest = self.digest if generation_id.is_name(self.digest) else ""
        return NodeContent(digest=digest, files=self.files if digest else 0, message=self.message)


class ViewReport(_Part):
    """One ArchiveView on the node."""

    spec_generation: StrictInt = Field(default=0, alias="generation")
    """The metadata.generation of the spec that the node has taken up; 0 where it can't use the spec."""
    shows: Text = ""
    """The generation that targets show unless they keep another one; "live", or empty: nothing yet."""
    form: Text = ""
    """catalog, catalog-merged or live."""
    fetching: Text = ""
    """The released generation, until it is here."""
    fetch_reason: FetchReason | None = None
    """Why it will not be here by itself."""
    fetch_message: Text = ""
    """The same in words."""
    shown: dict[Text, StrictInt] = Field(default_factory=dict)
    """Generation or "live" -> number of targets."""
    held: StrictInt = 0
    """Targets whose former content is in use."""
    held_servers: list[HeldReport] = Field(default_factory=list)
    """Servers that show something else than ``shows``: in use, or by their hub's policy."""
    ready: StrictBool = False
    """The whole view is mounted and its sources answer."""
    state: Text = ""
    """ready, connecting (nothing has failed yet) or failed."""
    targets: StrictInt = 0
    """Pods of the node that have the view."""
    message: Text = ""
    content: ContentReport | None = None
    """None where nothing travels with the generation."""
    proof: ProofReport | None = None
    canary: CanaryReport | None = None
    survey_wanted: Text = ""
    """Tokens of surveys that the node asks for, separated by spaces."""


class SourceReport(_Part):
    """One source of a view on the node."""

    ready: StrictBool = False
    state: Text = ""
    """As a view's."""
    mode: Text = ""
    """kernel-nfs, user-space-nfs or local."""
    message: Text = ""
    latency_seconds: StrictFloat = 0.0
    """Of the last look that was answered."""
    round_trip_seconds: StrictFloat = 0.0
    """To the server and back, the least of the last looks; 0 where that is not known."""
    read_ahead: StrictInt = 0
    """Bytes that the kernel reads ahead; 0 where it is no mount of the kernel's NFS client."""
    connections: StrictInt = 0
    identity_changed: Text = ""
    """When another file system appeared in the source's place, RFC 3339; empty if none has."""
    identity_changes: StrictInt = 0


class CsiReport(_Part):
    """Volumes published since the plugin started."""

    publishes: StrictInt = 0
    last_publish_seconds: StrictFloat = 0.0


class Report(_Part):
    """What a node says of itself."""

    node: Text = ""
    kernel: Text = ""
    version: Text = ""
    csi: CsiReport = Field(default_factory=CsiReport)
    views: dict[Text, ViewReport] = Field(default_factory=dict)
    sources: dict[Text, dict[Text, SourceReport]] = Field(default_factory=dict)
    """View -> name of its source -> the source."""
    failures: dict[Text, StrictInt] = Field(default_factory=dict)
    """View -> turns in which the plugin failed at it; empty name: at work of no single view."""

    def view(self, name: str) -> ViewReport | None:
        """What the node says of a view; None while it says nothing, or an empty part."""
        found = self.views.get(name)
        return found if found and found.model_fields_set else None

    def source(self, view: str, name: str) -> SourceReport | None:
        """What the node says of a source of a view; None while it says nothing, or an empty part."""
        found = self.sources.get(view, {}).get(name)
        return found if found and found.model_fields_set else None

    @classmethod
    def read(cls, answer: Any) -> Self:
        """A node's answer as far as it is well-formed. Never raises for what JSON can hold."""
        try:
            return cls.model_validate(answer, context={_LENIENT: True})
        except ValidationError:
            return cls()

    def wire(self) -> dict[str, Any]:
        """The report as JSON: what was set, by the names of the wire."""
        return self.model_dump(by_alias=True, exclude_unset=True)
