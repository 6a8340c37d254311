"""Records: Secrets, each with the release that a copy of the database belongs to, and the copy's digest. Pure.

Whoever writes Secrets in the namespace can write one. So each carries a seal, an HMAC with the key of the installation
over all that it says: what has none was never made by the operator, and nothing of it is installed or put in place.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError

from pdshub import rfc3339
from pdshub.api.base import StatusModel
from pdshub.api.hub_upgrade import DatabaseCopy
from pdshub.backup.before_upgrade import ID
from pdshub.kube import Object
from pdshub.reconcile.hub.seal import ANNOTATION
from pdshub.render.names import RECORD_LABEL, Names

RECORD, RELEASE = "record.json", "release"
LARGEST = 16384
"""Bytes of record.json."""


class About(StatusModel):
    """What a record says of a copy."""

    copy_id: str
    revision: int = Field(ge=1)
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the copy's files."""
    size_bytes: int = 0
    taken: str
    """RFC 3339."""
    version: str = ""
    image: str = ""
    identity: str = ""
    """Of the chart (ChartRef.identity)."""
    why: Literal["Upgrade", "Rollback"] = "Upgrade"
    before: str = ""
    """The upgrade that it was made for (plan.target)."""


@dataclass(frozen=True)
class Record:
    """A record whose seal was looked at."""

    secret: str
    about: About
    release: str
    """The content of Helm's Secret, base64 as the API server has it; empty where it was not the operator's own."""

    @property
    def at(self) -> float:
        """When the copy was made, in seconds since 1970."""
        return rfc3339.seconds(self.about.taken)

    @property
    def shown(self) -> DatabaseCopy:
        """As the status shows it."""
        about = self.about
        return DatabaseCopy(
            revision=about.revision,
            version=about.version,
            image=about.image,
            taken=about.taken,
            size_bytes=about.size_bytes,
            why=about.why,
            release=bool(self.release),
        )


def _seal(key: bytes, names: Names, secret: str, text: str, release: str) -> str:
    content = hashlib.sha256(release.encode()).hexdigest()
    said = json.dumps(["copy", names.namespace, names.name, secret, content, text])
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()


def written(key: bytes, names: Names, about: About, release: str) -> dict[str, Any]:
    """The Secret, sealed. ``release``: the data of Helm's Secret, or nothing."""
    secret, text = names.record(about.copy_id), about.model_dump_json(by_alias=True)
    data = {RECORD: base64.b64encode(text.encode()).decode(), **({RELEASE: release} if release else {})}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret,
            "namespace": names.namespace,
            "labels": {**names.labels, RECORD_LABEL: str(about.revision)},
            "annotations": {ANNOTATION: _seal(key, names, secret, text, release)},
        },
        "type": "Opaque",
        "data": data,
    }


def _text(data: Mapping[str, Any]) -> str:
    found = data.get(RECORD)
    if not isinstance(found, str) or len(found) > LARGEST:
        return ""
    try:
        return base64.b64decode(found, validate=True).decode()
    except ValueError:
        return ""


def opened(key: bytes, names: Names, secret: Object) -> Record | None:
    """A record with the operator's seal; None for whatever else the Secret holds."""
    data = secret.get("data")
    data = data if isinstance(data, Mapping) else {}
    meta = secret["metadata"]
    name, release = str(meta["name"]), data.get(RELEASE) or ""
    text, mark = _text(data), (meta.get("annotations") or {}).get(ANNOTATION)
    if not text or not isinstance(release, str) or not isinstance(mark, str):
        return None
    if not hmac.compare_digest(mark.encode(), _seal(key, names, name, text, release).encode()):
        return None
    try:
        about = About.model_validate_json(text)
    except (ValidationError, RecursionError):
        return None
    # one that was sealed under another name is refused by its seal; this is about what an older operator wrote
    return Record(name, about, release) if ID.fullmatch(about.copy_id) and name == names.record(about.copy_id) else None


def newest_first(found: Iterable[Record]) -> tuple[Record, ...]:
    """Records by the time of their copy."""
    return tuple(sorted(found, key=lambda each: (each.at, each.about.copy_id), reverse=True))


def of_revision(found: Iterable[Record], revision: int) -> Record | None:
    """The newest copy of a revision whose release is kept."""
    return next((each for each in newest_first(found) if each.about.revision == revision and each.release), None)


def beyond(found: Iterable[Record], keep: int, needed: Iterable[str]) -> tuple[Record, ...]:
    """Records that are not kept: all but the newest, and those whose copy is ``needed``."""
    wanted = set(needed)
    ordered = newest_first(found)
    return tuple(each for each in ordered[keep:] if each.about.copy_id not in wanted)


def copy_id(revision: int, now: float) -> str:
    """The name of a new copy."""
    stamp = rfc3339.text(now).translate({ord(sign): None for sign in "-:"}).lower()
    return f"{revision}-{stamp}"
