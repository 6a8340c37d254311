"""Helm's release Secrets: read, marked_failed, and read again."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from pdshub.reconcile.hub.release import PENDING, by_revision, decode, marked_failed

DOCUMENT: dict[str, Any] = {
    "name": "demo",
    "version": 3,
    "info": {"status": "pending-upgrade", "description": "Preparing upgrade", "first_deployed": "2026-01-01"},
    "chart": {"metadata": {"name": "jupyterhub", "version": "4.4.0"}, "values": {"big": "x" * 100}},
    "config": {"custom": {"pdshub": {"hub": "demo"}}, "hub": {"a": None}},
    "manifest": "---",
}


def secret(document: Any, packed: bool = True) -> dict[str, Any]:
    text = json.dumps(document).encode()
    data = base64.b64encode(base64.b64encode(gzip.compress(text) if packed else text)).decode()
    return {"metadata": {"name": "sh.helm.release.v1.demo.v3"}, "data": {"release": data}}


@pytest.mark.parametrize("packed", [True, False])
def test_decode(packed: bool) -> None:
    found = decode(secret(DOCUMENT, packed))
    assert (found.revision, found.status, found.chart, found.version) == (3, "pending-upgrade", "jupyterhub", "4.4.0")
    assert found.owner == "demo" and found.pending
    assert found.values["hub"] == {"a": None}


@pytest.mark.parametrize(
    "config", [None, {}, {"custom": None}, {"custom": {"pdshub": None}}, {"custom": {"pdshub": 1}}]
)
def test_a_release_of_somebody_else_has_no_owner(config: Any) -> None:
    assert decode(secret({**DOCUMENT, "config": config})).owner == ""


@pytest.mark.parametrize("data", [{}, {"release": "!!"}, {"release": base64.b64encode(b"eA==").decode()}])
def test_what_is_no_release_is_said(data: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="holds no Helm release"):
        decode({"metadata": {"name": "x"}, "data": data})


def test_mending_changes_status_and_nothing_else() -> None:
    patch = marked_failed(secret(DOCUMENT), "interrupted")
    assert patch["metadata"]["labels"] == {"status": "failed"}
    again = {"metadata": {"name": "x"}, "data": patch["data"]}
    assert decode(again).status == "failed"
    text = gzip.decompress(base64.b64decode(base64.b64decode(patch["data"]["release"])))
    after = json.loads(text)
    assert {**after, "info": None} == {**DOCUMENT, "info": None}
    assert after["info"]["first_deployed"] == "2026-01-01"
    assert "failed" not in PENDING


def test_newest_by_number_not_by_name() -> None:
    found = [secret_of(f"sh.helm.release.v1.demo.v{n}", str(n)) for n in (2, 10, 9)]
    assert [item["metadata"]["name"][-3:].strip(".") for item in by_revision(found, "demo")] == ["v10", "v9", "v2"]
    assert by_revision([], "demo") == []


def secret_of(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"version": version}}}


@pytest.mark.parametrize(
    ("name", "version", "counts"),
    [
        ("sh.helm.release.v1.demo.v1", "1", True),
        ("sh.helm.release.v1.demo.v1", "x", True),
        ("sh.helm.release.v1.demo.v1", "²", True),
        ("sh.helm.release.v1.demo-two.v1", "1", False),
        ("a-secret-with-helms-labels", "99", False),
    ],
)
def test_a_secret_counts_as_a_revision_by_its_name(name: str, version: str, counts: bool) -> None:
    assert bool(by_revision([secret_of(name, version)], "demo")) is counts


def test_marking_holds_the_version_that_was_read() -> None:
    read = secret(DOCUMENT)
    read["metadata"]["resourceVersion"] = "7"
    assert marked_failed(read, "x")["metadata"]["resourceVersion"] == "7"
