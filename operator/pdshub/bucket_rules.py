"""Which buckets an installation lets views show, and with whose keys: one rule for the operator, which explains, and
the nodes and surveyors, which ask. Helm value archive.buckets of charts/pdshub.

A rule ties keys to one bucket of one service. Whoever may write a view could otherwise have somebody else's keys
used for a bucket that these open as well, or have requests signed for a service of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

BUCKETS: Literal["archive.buckets"] = "archive.buckets"
_FIELDS = {"endpoint", "bucket", "prefixes", "secrets", "podIdentity", "ranges"}
_URL = re.compile(r"https?://[^/?#@\s]+(/[^?#\s]*)?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


@dataclass(frozen=True)
class BucketRule:
    """One item of archive.buckets."""

    endpoint: str
    bucket: str
    prefixes: tuple[str, ...] = ("",)
    """Folders that may be shown, with all below them; "" is the whole bucket."""
    secrets: tuple[str, ...] = ()
    """Secrets in the surveyors' namespace: keys for this bucket, and certificates of a private CA."""
    pod_identity: bool = False
    """Whether it may be read with the identity of the project's own pods."""

    @classmethod
    def parse(cls, raw: Any) -> BucketRule:
        """The rule as the installation file has it. Raises ValueError for anything that is none."""
        if not isinstance(raw, Mapping) or set(raw) - _FIELDS:
            raise ValueError(f"{BUCKETS}: an item has {', '.join(sorted(_FIELDS))}")
        endpoint, bucket = raw.get("endpoint") or "https://s3.amazonaws.com", raw.get("bucket")
        prefixes, secrets = raw.get("prefixes") or [""], raw.get("secrets") or []
        if not isinstance(endpoint, str) or not _URL.fullmatch(endpoint):
            raise ValueError(f"{BUCKETS}: {endpoint!r} is no URL of a service")
        if not isinstance(bucket, str) or not _NAME.fullmatch(bucket):
            raise ValueError(f"{BUCKETS}: {bucket!r} is no name of a bucket")
        if not isinstance(prefixes, list) or not all(isinstance(one, str) and _folder(one) for one in prefixes):
            raise ValueError(f"{BUCKETS}: {bucket}: prefixes is a list of folders of the bucket")
        if not isinstance(secrets, list) or not all(isinstance(one, str) and _NAME.fullmatch(one) for one in secrets):
            raise ValueError(f"{BUCKETS}: {bucket}: secrets is a list of names of Secrets")
        if not isinstance(identity := raw.get("podIdentity") or False, bool):
            raise ValueError(f"{BUCKETS}: {bucket}: podIdentity is true or false")
        folders = tuple(one.strip("/") for one in prefixes)
        return cls(endpoint.rstrip("/"), bucket, folders, tuple(secrets), identity)


def _folder(text: str) -> bool:
    return not any(part in (".", "..") for part in text.split("/")) and text.isprintable() and "//" not in text


def refusal(
    rules: Iterable[BucketRule], *, endpoint: str, bucket: str, prefix: str, secret: str, ca_secret: str = ""
) -> str:
    """Why a bucket may not be shown and which setting would allow it, in words; empty where it may.

    ``secret``: the one with its keys; empty for the identity of the pods.
    """
    fitting = [rule for rule in rules if (rule.endpoint, rule.bucket) == (endpoint.rstrip("/"), bucket)]
    if not fitting:
        return (
            f"bucket {bucket} of {endpoint} is not allowed by this installation: add it to {BUCKETS} of the pdshub "
            "chart"
        )
    fitting = [rule for rule in fitting if any(_below(prefix, top) for top in rule.prefixes)]
    if not fitting:
        return (
            f"folder {prefix or '/'} of bucket {bucket} is not allowed by this installation: add it, or one above it, "
            f"to the prefixes of that bucket in {BUCKETS} of the pdshub chart"
        )
    if secret and not any(secret in rule.secrets for rule in fitting):
        return (
            f"bucket {bucket} may not be read with Secret {secret}: add it to the secrets of that bucket in {BUCKETS} "
            "of the pdshub chart"
        )
    if not secret and not any(rule.pod_identity for rule in fitting):
        return (
            f"bucket {bucket} may not be read with the identity of the pods: name a secretRef, or set podIdentity of "
            f"that bucket in {BUCKETS} of the pdshub chart"
        )
    if ca_secret and not any(ca_secret in rule.secrets for rule in fitting):
        return (
            f"certificates for bucket {bucket} may not come from Secret {ca_secret}: add it to the secrets of that "
            f"bucket in {BUCKETS} of the pdshub chart, or use a ConfigMap"
        )
    return ""


def _below(prefix: str, top: str) -> bool:
    return not top or prefix == top or prefix.startswith(f"{top}/")


def secrets(rules: Iterable[BucketRule]) -> frozenset[str]:
    """Every Secret that some rule names: what node plugins may read."""
    return frozenset(name for rule in rules for name in rule.secrets)
