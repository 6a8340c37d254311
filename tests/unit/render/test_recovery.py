"""What a hub that comes back needs: claims as chart and spawner make them, requests, keys."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_bootstrap import Recovery
from pdshub.render import backup_repository, recovery
from pdshub.render.keys import COOKIE_KEY, CRYPT_KEY, TOKEN_KEY
from pdshub.render.names import Names
from pdshub.wellknown import HOME_OF, RECOVERED, RECOVERING

NAMES, SAVED = Names("ns", "demo"), Names("else", "other")
S3 = {"s3": {"bucket": "abc", "secretRef": "s3"}}
VALUES: dict[str, Any] = {
    "hub": {"db": {"pvc": {"storage": "3Gi", "storageClassName": "fast", "annotations": {"note": "ours"}}}},
    "singleuser": {
        "storage": {
            "capacity": "20Gi",
            "extraLabels": {"team": "sbn", "who": "{username}"},
            "dynamic": {"storageClass": "slow", "storageAccessModes": ["ReadWriteMany"]},
        }
    },
}


def wanted(**more: Any) -> Recovery:
    return Recovery.model_validate({"repository": S3, **more})


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"repository": S3, "snapshot": "a", "asOf": "2026-01-31T00:00:00Z"}, "choose one"),
    ({"repository": S3, "asOf": "yesterday"}, "asOf"),
    ({"repository": S3, "asOf": "2026-02-31T00:00:00Z"}, "no moment"),
    ({"repository": S3, "hub": "no-namespace"}, "hub"),
    ({"repository": {}}, "exactly one repository"),
]


@pytest.mark.parametrize(("spec", "words"), WRONG)
def test_what_is_no_recovery(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Recovery.model_validate(spec)


def test_how_a_hub_begins_is_part_of_its_spec() -> None:
    spec = PDSHubSpec.model_validate({"signIn": {"development": {}}, "bootstrap": {"recovery": {"repository": S3}}})
    assert spec.bootstrap and spec.bootstrap.recovery.repository.kind == "s3"
    rules = PDSHubSpec.model_json_schema()["x-kubernetes-validations"]
    assert any("oldSelf.bootstrap" in rule["rule"] for rule in rules)


@pytest.mark.parametrize(
    ("hub", "prefix", "folder"), [(None, None, "ns/demo"), ("else/other", None, "else/other"), ("else/other", "x", "x")]
)
def test_the_folder_of_a_bucket_is_that_of_the_hub_that_was_saved(hub: Any, prefix: Any, folder: str) -> None:
    found = wanted(repository={"s3": {**S3["s3"], "prefix": prefix}}, hub=hub)
    made = recovery.as_backup(found, NAMES, None)
    assert backup_repository.place(made.repository, NAMES).location.endswith(f"/abc/{folder}")


def test_the_database_has_helms_marks_and_the_values_size() -> None:
    claim = recovery.database_claim(NAMES, VALUES, "aa")
    meta, spec = claim["metadata"], claim["spec"]
    assert meta["labels"]["app.kubernetes.io/managed-by"] == "Helm" and meta["annotations"][RECOVERING] == "aa"
    assert meta["annotations"]["helm.sh/resource-policy"] == "keep" and meta["annotations"]["note"] == "ours"
    assert spec == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "3Gi"}},
    }


def test_a_home_is_as_the_spawner_makes_it() -> None:
    claim = recovery.home_claim(NAMES, VALUES, "ada@example.org", "claim-ada-40example-2eorg", "bb")
    meta, spec = claim["metadata"], claim["spec"]
    assert meta["labels"]["component"] == "singleuser-storage" and meta["labels"]["team"] == "sbn"
    assert "who" not in meta["labels"], "what the spawner would fill in"
    assert meta["annotations"][HOME_OF] == "ada@example.org" == meta["annotations"]["hub.jupyter.org/username"]
    assert (spec["storageClassName"], spec["accessModes"]) == ("slow", ["ReadWriteMany"])
    assert RECOVERING not in recovery.home_claim(NAMES, {}, "ada", "claim-ada", "")["metadata"]["annotations"]


def test_keys_that_came_back_and_new_ones_for_what_did_not() -> None:
    found = {f"other-keys/{COOKIE_KEY}": "aa\n", f"other-keys/{CRYPT_KEY}": "two\nlines", "other-keys/else": "x"}
    secret = recovery.keys_secret(NAMES, SAVED, found)
    data = secret["stringData"]
    assert data[COOKIE_KEY] == "aa" and len(data[CRYPT_KEY]) == 64 and len(data[TOKEN_KEY]) == 64
    assert data.keys() == {COOKIE_KEY, CRYPT_KEY, TOKEN_KEY} and secret["metadata"]["annotations"][RECOVERED] == "Homes"
    assert recovery.lost(found, SAVED) == [] and recovery.lost({}, SAVED) == [COOKIE_KEY, CRYPT_KEY]
    assert recovery.password_secret(NAMES, SAVED, {}) is None


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        ({}, (1000, 1000)),
        ({"hub": {"containerSecurityContext": {"runAsUser": 1234}, "podSecurityContext": {"fsGroup": 77}}}, (1234, 77)),
        ({"hub": {"containerSecurityContext": {"runAsUser": 0}}}, (1000, 1000)),
    ],
)
def test_the_database_belongs_to_the_hub(values: dict[str, Any], ids: tuple[int, int]) -> None:
    found = recovery.hub_identity(values)
    assert (found.uid, found.gid) == ids
