"""Rights that nobody used and refusals that nobody expected, found in the API server's audit log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.audit import Grant, grants, unused, uses

ROLE = {
    "metadata": {"name": "r"},
    "rules": [
        {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"], "resourceNames": ["hub"]},
    ],
}


def event(verb: str, resource: str, *, group: str = "", sub: str = "", **more: Any) -> str:
    about = {"resource": resource, "apiGroup": group, "subresource": sub, "namespace": "ns", "name": "x"}
    made = {
        "requestReceivedTimestamp": "2026-01-02T00:00:00.000000Z",
        "user": {"username": "system:serviceaccount:pdshub-system:pdshub-operator"},
        "verb": verb,
        "objectRef": about,
        "responseStatus": {"code": 200},
    }
    return json.dumps({**made, **more})


def test_a_role_is_verbs_on_resources() -> None:
    found = grants(ROLE)
    assert len(found) == 5
    assert Grant("r", "patch", "apps", "deployments", ("hub",)) in found


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ([], 5),
        ([event("get", "pods")], 3),
        ([event("watch", "pods", sub="log")], 3),
        ([event("patch", "deployments", group="apps"), event("list", "pods")], 2),
        ([event("patch", "deployments", group="extensions")], 5),
        ([event("get", "pods", requestReceivedTimestamp="2025-01-01T00:00:00Z")], 5),
        (['{"cut": "sho'], 5),
    ],
    ids=["nothing", "one that reads", "a subresource", "two", "another group", "before", "cut short"],
)
def test_what_was_never_used(lines: list[str], left: int) -> None:
    assert len(unused(grants(ROLE), uses(lines, "2026-01-01T00:00:00Z"))) == left


def test_an_apply_needs_the_right_to_create() -> None:
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "patch", "delete"]}
    given = grants({"metadata": {"name": "r"}, "rules": [rule]})
    assert [grant.verb for grant in unused(given, uses([event("patch", "secrets")], ""))] == ["delete"]


def test_who_acted_as_whom_and_what_was_said() -> None:
    more: dict[str, Any] = {
        "responseStatus": {"code": 403, "message": "no"},
        "impersonatedUser": {"username": "system:serviceaccount:ns:pdshub-helm"},
    }
    (use,) = uses([event("create", "secrets", **more)], "")
    assert (use.account, use.acting_as) == ("pdshub-system/pdshub-operator", "ns/pdshub-helm")
    assert (use.code, use.said, use.namespace) == (403, "no", "ns")
