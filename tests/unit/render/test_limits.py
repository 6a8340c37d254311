"""Bounds of a hub's namespace: what a quota becomes, and quotas into which no server fits."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pdshub.api.hub import PDSHubSpec
from pdshub.render import limits
from pdshub.render.names import Names
from pdshub.wellknown import SERVER_PRIORITY

NAMES = Names("ns", "demo")
BY_CLASS = "ebs.storageclass.storage.k8s.io/requests.storage"


def spec(**fields: Any) -> PDSHubSpec:
    return PDSHubSpec.model_validate({"signIn": {"development": {}}, **fields})


@pytest.mark.parametrize(
    ("quota", "hard"),
    [
        (None, {}),
        ({}, {}),
        ({"servers": 1}, {"demo-servers": {"pods": "1"}}),
        (
            {"servers": 20, "cpu": 40, "memory": "80Gi", "ephemeralStorage": "200Gi"},
            {
                "demo-servers": {
                    "pods": "20",
                    "limits.cpu": "40",
                    "limits.memory": "80Gi",
                    "limits.ephemeral-storage": "200Gi",
                }
            },
        ),
        ({"storage": "1Ti"}, {"demo-storage": {BY_CLASS: "1Ti"}}),
        (
            {"memory": "8Gi", "storage": "1Ti"},
            {"demo-servers": {"limits.memory": "8Gi"}, "demo-storage": {BY_CLASS: "1Ti"}},
        ),
    ],
)
def test_a_quota_of_servers_counts_servers_alone(quota: Any, hard: dict[str, Any]) -> None:
    made = limits.quotas(spec(quota=quota), NAMES, "ebs")
    assert {item["metadata"]["name"]: item["spec"]["hard"] for item in made} == hard
    for item in made:
        scoped = item["spec"].get("scopeSelector")
        assert (scoped is not None) is (item["metadata"]["name"] == NAMES.server_quota)
        assert not scoped or scoped["matchExpressions"][0]["values"] == [SERVER_PRIORITY]


def test_storage_without_a_class_is_not_counted() -> None:
    assert limits.quotas(spec(quota={"storage": "1Ti"}), NAMES, "") == []


@pytest.mark.parametrize(
    ("server", "default"),
    [
        ({}, "10Gi"),
        ({"resources": {}}, "10Gi"),
        ({"resources": {"memory": {"limit": "1Gi"}}}, "10Gi"),
        ({"resources": {"ephemeralStorage": {"limit": "2Gi"}}}, "2Gi"),
        ({"resources": {"ephemeralStorage": {}}}, None),
    ],
)
def test_scratch_is_limited_unless_the_spec_says_otherwise(server: dict[str, Any], default: str | None) -> None:
    parsed = spec(server=server)
    found = limits.limit_range(parsed, NAMES)["spec"]["limits"]
    assert [item.get("default") for item in found] == [{"ephemeral-storage": default} if default else None]
    bounds = parsed.server.resources.ephemeral_storage
    assert (bounds.limit if bounds else None) == default


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"quota": {"memory": "1Gi"}}, "quota.memory 1Gi is below server.resources.memory.limit, 4Gi"),
        ({"quota": {"cpu": 1}}, "quota.cpu 1 is below server.resources.cpu.limit, 2"),
        ({"quota": {"ephemeralStorage": "1Gi"}}, "quota.ephemeralStorage 1Gi is below"),
        ({"quota": {"cpu": 4}, "server": {"resources": {}}}, "set server.resources.cpu.limit"),
        (
            {
                "quota": {"memory": "8Gi"},
                "server": {
                    "profiles": [
                        {"name": "large", "displayName": "L", "resources": {"memory": {"limit": "16Gi"}}},
                    ]
                },
            },
            "the limit of profile large, 16Gi",
        ),
        ({"quota": {"storage": "-1Gi"}}, "negative"),
        ({"quota": {"servers": 0}}, "servers"),
        ({"quota": {"memory": "much"}}, "not a quantity"),
        ({"quota": {"pods": 3}}, "pods"),
    ],
)
def test_a_quota_that_no_server_fits_into_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says.replace(".", r"\.")):
        spec(**fields)


@pytest.mark.parametrize(
    ("have", "wanted", "equal"),
    [
        ({"hard": {"pods": "20", "limits.memory": "1Gi"}}, {"hard": {"pods": "20", "limits.memory": "1024Mi"}}, True),
        ({"hard": {"pods": "20"}}, {"hard": {"pods": "21"}}, False),
        ({"hard": {"pods": "20"}}, {"hard": {}}, False),
        ({"limits": [{"type": "Container"}]}, {"limits": [{"type": "Pod"}]}, False),
        ({"limits": [{"type": "Container"}]}, {"limits": []}, False),
        (None, {"hard": {}}, False),
    ],
)
def test_what_the_api_server_writes_otherwise_is_the_same(have: Any, wanted: Any, equal: bool) -> None:
    assert limits.same(have, wanted) is equal
