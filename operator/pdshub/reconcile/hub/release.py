"""Helm releases, read and mended in the Secrets where Helm keeps them; no run of helm.

Source: Helm 3, pkg/storage/driver/secrets.go: base64 of gzip of JSON, label ``status`` beside ``info.status``.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "sh.helm.release.v1."
PENDING = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")
LONGEST = 8 << 20
"""Bytes of an unpacked release; that of the hub chart has 1 MiB. A larger one would take the operator's memory."""
_PARTS = 500_000
"""Commas, colons and brackets of an unpacked release: 8 MiB of empty objects would become 200 MiB of Python's."""


@dataclass(frozen=True)
class Release:
    """One revision of a release, as much of it as reconcile needs."""

    secret: str
    revision: int
    status: str
    chart: str
    version: str
    values: Mapping[str, Any]
    description: str = ""
    digest: str = ""
    """Of the Secret's content, hexadecimal; what a seal is over."""
    sealed: bool = False
    """The operator itself wrote this very content (see seal)."""
    made: tuple[str, ...] = ()
    """Of a sealed release: the objects of its manifest as JSON, without the contents of Secrets."""
    of: tuple[str, str] = ("", "")
    """Namespace and name of the release, as the document itself says."""

    @property
    def pending(self) -> bool:
        """Whether a run of helm works on this revision, or was killed while it did."""
        return self.status in PENDING

    @property
    def owner(self) -> str:
        """The PDSHub that installed it; empty when something else did."""
        return str(_mapping(_mapping(self.values.get("custom")).get("pdshub")).get("hub") or "")


@dataclass(frozen=True)
class UnreadableRelease:
    """A Secret where Helm keeps a release, whose content is none."""

    secret: str
    why: str
    forged: bool = False
    """It could be read, but the operator did not write it."""


def _mapping(value: Any) -> Mapping[str, Any]:
    """The value, or an empty mapping where it is none: whoever writes Secrets may write anything."""
    return value if isinstance(value, Mapping) else {}


def _unpacked(packed: bytes) -> bytes:
    """The text inside a gzip stream. Raises ValueError when it is damaged or longer than LONGEST."""
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    text = stream.decompress(packed, LONGEST)
    if stream.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {LONGEST >> 20} MiB")
    if not stream.eof:
        raise ValueError("its gzip stream is cut short")
    return text


def payload(secret: Mapping[str, Any]) -> dict[str, Any]:
    """The release document inside a Secret. Raises ValueError when it is none."""
    try:
        packed = base64.b64decode(base64.b64decode(_mapping(secret.get("data")).get("release") or "", validate=True))
        # Helm before 3 stored without gzip; its reader still looks for the magic number
        text = _unpacked(packed) if packed[:2] == b"\x1f\x8b" else packed
        if sum(text.count(sign) for sign in (b",", b":", b"[", b"{")) > _PARTS:
            raise ValueError(f"it has more than {_PARTS} parts")
        document = json.loads(text)
    except (TypeError, ValueError, RecursionError, zlib.error) as error:
        raise ValueError(f"Secret {secret['metadata']['name']} holds no Helm release: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"Secret {secret['metadata']['name']} holds no Helm release: it is no object")
    return document


def decode(secret: Mapping[str, Any]) -> Release:
    """A release Secret as a Release. Raises ValueError when it is none."""
    document = payload(secret)
    for field in ("chart", "info", "config"):
        if not isinstance(document.get(field) or {}, Mapping):
            raise ValueError(f"Secret {secret['metadata']['name']} holds no Helm release: {field} is no object")
    metadata = _mapping((document.get("chart") or {}).get("metadata"))
    info = document.get("info") or {}
    try:
        revision = int(document.get("version", 0))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"Secret {secret['metadata']['name']} holds no Helm release: version: {error}") from error
    return Release(
        secret=str(secret["metadata"]["name"]),
        revision=revision,
        status=str(info.get("status", "unknown")),
        chart=str(metadata.get("name", "")),
        version=str(metadata.get("version", "")),
        values=document.get("config") or {},
        description=str(info.get("description", "")),
        digest=content_digest(secret),
        of=(str(document.get("namespace") or ""), str(document.get("name") or "")),
    )


def misplaced(release: Release, namespace: str, name: str) -> str:
    """Why a revision is not the one that its Secret's name says; empty when it is.

    Helm goes by what the document says; which revision is the newest is told here by the Secrets' names.
    """
    if release.secret != f"{PREFIX}{name}.v{release.revision}":
        return (
            f"Secret {release.secret} holds no Helm release of its name: it says that it is revision {release.revision}"
        )
    if release.of[0] not in ("", namespace) or release.of[1] not in ("", name):
        return f"Secret {release.secret} holds a Helm release of another name or namespace"
    return ""


def content_digest(secret: Mapping[str, Any]) -> str:
    """SHA-256 of what a release Secret holds, hexadecimal."""
    return hashlib.sha256(str(_mapping(secret.get("data")).get("release") or "").encode()).hexdigest()


def read_release(secret: Mapping[str, Any]) -> Release | UnreadableRelease:
    """A release Secret as a Release, or why it is none. Raises nothing."""
    try:
        return decode(secret)
    except ValueError as error:
        return UnreadableRelease(str(secret["metadata"]["name"]), str(error)[:300])


def marked_failed(secret: Mapping[str, Any], why: str) -> dict[str, Any]:
    """The merge patch that marks a revision as failed: Helm goes on from a failed one, never from a pending one.

    It holds the resourceVersion that was read: what somebody wrote meanwhile is a conflict, not a loss. Raises
    ValueError when the Secret holds no release.
    """
    document = payload(secret)
    document["info"] = {**(document.get("info") or {}), "status": "failed", "description": why}
    packed = base64.b64encode(gzip.compress(json.dumps(document).encode(), mtime=0))
    version = secret["metadata"].get("resourceVersion")
    return {
        "metadata": {"labels": {"status": "failed"}, **({"resourceVersion": version} if version else {})},
        "data": {"release": base64.b64encode(packed).decode()},
    }


def by_revision(found: Iterable[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The Secrets (or their metadata) in which Helm keeps release ``name``, the newest revision first.

    Secrets with Helm's labels and another name are none of Helm's.
    """

    def revision(item: Mapping[str, Any]) -> int:
        text = str((item["metadata"].get("labels") or {}).get("version", "0"))
        return int(text) if text.isascii() and text.isdecimal() else 0

    named = [item for item in found if str(item["metadata"]["name"]).startswith(f"{PREFIX}{name}.v")]
    return sorted(named, key=revision, reverse=True)
