"""Helm releases, read and mended in the Secrets where Helm keeps them; no run of helm.

Source: Helm 3, pkg/storage/driver/secrets.go: base64 of gzip of JSON, label ``status`` beside ``info.status``.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "sh.helm.release.v1."
PENDING = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")


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

    @property
    def pending(self) -> bool:
        return self.status in PENDING

    @property
    def owner(self) -> str:
        """The PDSHub that installed it; empty when something else did."""
        mine = (self.values.get("custom") or {}).get("pdshub") or {}
        return str(mine.get("hub", "")) if isinstance(mine, Mapping) else ""


def payload(secret: Mapping[str, Any]) -> dict[str, Any]:
    """The release document inside a Secret. Raises ValueError when it is none."""
    try:
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        # Helm before 3 stored without gzip; its reader still looks for the magic number
        text = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
        document = json.loads(text)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"Secret {secret['metadata']['name']} holds no Helm release: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"Secret {secret['metadata']['name']} holds no Helm release")
    return document


def decode(secret: Mapping[str, Any]) -> Release:
    """A release Secret as a Release. Raises ValueError when it is none."""
    document = payload(secret)
    metadata = (document.get("chart") or {}).get("metadata") or {}
    info = document.get("info") or {}
    return Release(
        secret=str(secret["metadata"]["name"]),
        revision=int(document.get("version", 0)),
        status=str(info.get("status", "unknown")),
        chart=str(metadata.get("name", "")),
        version=str(metadata.get("version", "")),
        values=document.get("config") or {},
        description=str(info.get("description", "")),
    )


def mended(secret: Mapping[str, Any], why: str) -> dict[str, Any]:
    """The merge patch that marks a revision as failed: Helm goes on from a failed one, never from a pending one."""
    document = payload(secret)
    document["info"] = {**(document.get("info") or {}), "status": "failed", "description": why}
    packed = base64.b64encode(gzip.compress(json.dumps(document).encode(), mtime=0))
    return {
        "metadata": {"labels": {"status": "failed"}},
        "data": {"release": base64.b64encode(packed).decode()},
    }


def newest(found: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The Secret (or its metadata) with the highest revision."""

    def revision(item: Mapping[str, Any]) -> int:
        text = (item["metadata"].get("labels") or {}).get("version", "0")
        return int(text) if str(text).isdigit() else 0

    return max(found, key=revision, default=None)
