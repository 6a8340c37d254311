"""Helm's release Secrets: read, mended, and read again."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from pdshub.reconcile.hub.release import PENDING, decode, mended, newest

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
    patch = mended(secret(DOCUMENT), "interrupted")
    assert patch["metadata"]["labels"] == {"status": "failed"}
    again = {"metadata": {"name": "x"}, "data": patch["data"]}
    assert decode(again).status == "failed"
    text = gzip.decompress(base64.b64decode(base64.b64decode(patch["data"]["release"])))
    after = json.loads(text)
    assert {**after, "info": None} == {**DOCUMENT, "info": None}
    assert after["info"]["first_deployed"] == "2026-01-01"
    assert "failed" not in PENDING


def test_newest_by_number_not_by_name() -> None:
    found = [{"metadata": {"name": f"v{n}", "labels": {"version": str(n)}}} for n in (2, 10, 9)]
    last = newest(found)
    assert last is not None and last["metadata"]["name"] == "v10"
    assert newest([]) is None
