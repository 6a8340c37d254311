"""The view that the operator wants surveyed: the body of PUT /spec, checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.api.view import ArchiveViewSpec
from pdshub.archive.view import ViewError, checked_spec
from pdshub.generation_id import digits


class DesiredViewError(ValueError):
    """The body can not be used; the text says what is wrong with it."""


@dataclass(frozen=True)
class DesiredView:
    """A view and what the operator wants done with it."""

    view: str
    spec: ArchiveViewSpec
    wire: dict[str, Any]  # the spec as it came
    request: str = ""
    keep: tuple[str, ...] = ()
    generation: int = 0  # metadata.generation

    @property
    def digest(self) -> str:
        """Digest of the spec as it came: by it the operator tells whether the surveyor knows this one."""
        return digest(self.wire)

    @property
    def content(self) -> str:
        """Digest of what decides which files users see and where these come from: when it changes, a survey begins."""
        wire = self.spec.wire()
        authority = {k: v for k, v in wire.get("authority", {}).items() if k != "shrinkThresholdPercent"}
        sources = [{k: v for k, v in source.items() if k != "marker"} for source in wire["sources"]]
        return digest({"sources": sources, "tree": wire["tree"], "authority": authority})

    def body(self) -> dict[str, Any]:
        """The body of PUT /spec again, to be kept in the store: ``parse`` gives an equal view for it."""
        return {
            "name": self.view,
            "generation": self.generation,
            "spec": self.wire,
            "request": self.request,
            "keep": list(self.keep),
        }


def digest(value: Any) -> str:
    """SHA-256 of a JSON value in its canonical form."""
    return "sha256:" + hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def parse(body: Any) -> DesiredView:
    """The body of PUT /spec as a view. Raises DesiredViewError, which names the field."""
    if not isinstance(body, Mapping) or not isinstance(body.get("spec"), Mapping):
        raise DesiredViewError("an object with name and spec is needed")
    name, request, keep = body.get("name"), body.get("request") or "", body.get("keep") or []
    if not isinstance(name, str) or not 0 < len(name) <= 253:
        raise DesiredViewError("name: the view's name is needed")
    if not isinstance(request, str) or len(request) > 1024:
        raise DesiredViewError("request: a short text is needed")
    if not isinstance(keep, list) or len(keep) > 10_000 or not all(isinstance(k, str) for k in keep):
        raise DesiredViewError("keep: a list of generations is needed")
    if any(len(digits(k)) != 64 for k in keep):
        raise DesiredViewError("keep: whole names of generations are needed")
    wire = dict(body["spec"])
    try:
        spec = checked_spec(wire)
    except ViewError as error:
        raise DesiredViewError(str(error)) from None
    generation = body.get("generation")
    return DesiredView(name, spec, wire, request, tuple(keep), generation if isinstance(generation, int) else 0)
