"""Which buckets an installation lets views show, and with whose keys."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pdshub.api.view import Source
from pdshub.installation import Allowed, refusal
from pdshub.mount_rules import MountRules

RULES: dict[str, Any] = {
    "buckets": [
        {"bucket": "pds-sbn", "prefixes": ["archive", "mission/2026"], "secrets": ["sbn", "sbn-ca"]},
        {"bucket": "pds-img", "podIdentity": True},
        {"endpoint": "https://s3.example.org:9000", "bucket": "pds-sbn", "secrets": ["local"]},
        {"endpoint": "http://minio.example.org", "bucket": "plain", "secrets": ["local"]},
    ]
}
AWS = {"region": "us-east-1"}


@pytest.mark.parametrize(
    ("s3", "says"),
    [
        ({"bucket": "pds-sbn", "prefix": "archive", "secretRef": "sbn", **AWS}, ""),
        ({"bucket": "pds-sbn", "prefix": "archive/volumes", "secretRef": "sbn", **AWS}, ""),
        ({"bucket": "pds-sbn", "prefix": "archives", "secretRef": "sbn", **AWS}, "folder archives"),
        ({"bucket": "pds-sbn", "secretRef": "sbn", **AWS}, "folder /"),
        ({"bucket": "pds-sbn", "prefix": "archive", "secretRef": "local", **AWS}, "Secret local"),
        ({"bucket": "pds-sbn", "prefix": "archive", **AWS}, "identity of the pods"),
        ({"bucket": "pds-img", **AWS}, ""),
        ({"bucket": "pds-img", "secretRef": "sbn", **AWS}, "Secret sbn"),
        ({"bucket": "another", "secretRef": "sbn", **AWS}, "bucket another"),
        ({"bucket": "pds-sbn", "endpoint": "https://s3.example.org:9000/", "secretRef": "local"}, ""),
        ({"bucket": "pds-sbn", "endpoint": "https://evil.example.org", "secretRef": "sbn"}, "not allowed"),
        ({"bucket": "plain", "endpoint": "http://minio.example.org", "secretRef": "local"}, ""),
        ({"bucket": "pds-sbn", "endpoint": "http://s3.example.org:9000", "secretRef": "local"}, "not allowed"),
        (
            {
                "bucket": "pds-sbn", "prefix": "archive", "secretRef": "sbn", **AWS,
                "caBundle": {"secret": {"name": "sbn-ca", "key": "ca.crt"}},
            },
            "",
        ),
        (
            {
                "bucket": "pds-sbn", "prefix": "archive", "secretRef": "sbn", **AWS,
                "caBundle": {"secret": {"name": "pdshub-ca", "key": "tls.key"}},
            },
            "Secret pdshub-ca",
        ),
    ],
)  # fmt: skip
def test_keys_are_used_for_their_bucket_alone(s3: dict[str, Any], says: str) -> None:
    said = refusal(Source.model_validate({"name": "main", "s3": s3}), Allowed.model_validate(RULES))
    assert (says in said) if says else said == "", said
    if said:
        assert "archive.buckets" in said, "it says which setting would allow it"


@pytest.mark.parametrize(
    "item",
    [
        "pds-sbn",
        {},
        {"bucket": "a/b"},
        {"bucket": "pds", "endpoint": "file:///etc"},
        {"bucket": "pds", "endpoint": "https://key:secret@s3.example.org"},
        {"bucket": "pds", "prefixes": ["a/../b"]},
        {"bucket": "pds", "prefixes": "a"},
        {"bucket": "pds", "secrets": ["../tls"]},
        {"bucket": "pds", "podIdentity": "yes"},
        {"bucket": "pds", "keys": ["a"]},
    ],
)
def test_a_rule_that_is_none_is_refused(item: Any) -> None:
    with pytest.raises(ValueError, match=r"archive\.buckets"):
        MountRules.parse({"buckets": [item]})
    with pytest.raises(ValidationError):
        Allowed.model_validate({"buckets": [item]})
