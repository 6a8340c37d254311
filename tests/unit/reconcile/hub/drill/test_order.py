"""What drills make in their own namespace: which keys, which way, and what a hub that is booted cannot reach."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Backup as Settings
from pdshub.installation import Installation
from pdshub.reconcile.hub.drill import boot, copies
from pdshub.reconcile.hub.drill.facts import Facts
from pdshub.reconcile.hub.drill.order import claim_name, objects, order, secret_name, selector
from pdshub.render.backup_job import host_of
from pdshub.render.names import HUB_LABEL, NAMESPACE_LABEL
from tests.unit.reconcile.hub.drill.given import NAMES, S3, SITE, facts
from tests.unit.reconcile.hub.drill.test_decide import begun

SETTINGS = Settings(image="pdshub:1")
GB = 1 << 30


def made(index: int, size: int = 1000) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Request, Job and pod of a stage."""
    drills = begun()
    stage = drills.stages[index].model_copy(update={"size_bytes": size})
    given = facts(drills)
    config_map, job = objects(given, order(given, index, 0), stage, SETTINGS)
    assert config_map["metadata"]["name"] == job["metadata"]["name"]
    return json.loads(config_map["data"]["request.json"]), job, job["spec"]["template"]["spec"]


REQUESTS = [
    (0, "drill", "database", ""),
    (3, "drill", "home/ada", ""),
    (5, "restore", "database", ""),
    (7, "check", None, "1/10"),
]


@pytest.mark.parametrize(("index", "action", "item", "part"), REQUESTS)
def test_what_a_job_is_asked(index: int, action: str, item: str | None, part: str) -> None:
    asked, _, _ = made(index)
    assert (asked["action"], asked.get("item"), asked.get("readSubset", "")) == (action, item, part)
    assert asked["hub"] == "ns/demo", "snapshots are the original hub's"
    assert asked.get("to") == ("database" if action == "restore" else None) and not asked["inPlace"]
    if item:
        assert len(asked["snapshot"]) == 64


@pytest.mark.parametrize("index", [0, 3, 5, 7])
def test_no_home_of_anybody_is_mounted_and_nothing_lies_in_the_hubs_namespace(index: int) -> None:
    _, job, pod = made(index)
    claims = [v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v]
    assert claims == ([claim_name(NAMES, SITE)] if index == 5 else [])
    secrets = {v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
    assert secrets == {secret_name(NAMES, SITE)} and secret_name(NAMES, SITE).endswith("-backup-key")
    assert job["metadata"]["namespace"] == SITE and "ownerReferences" not in job["metadata"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert (labels["component"], labels[HUB_LABEL], labels[NAMESPACE_LABEL]) == ("drill", "demo", "ns")
    assert pod["automountServiceAccountToken"] is False
    assert selector(NAMES) == f"{HUB_LABEL}=demo,{NAMESPACE_LABEL}=ns"


def test_locks_of_a_killed_drill_go_and_those_of_backups_stay() -> None:
    """A name of the drills' own, under which one Job runs at a time; another one while a former pod may be alive."""
    asked, _, pod = made(3)
    assert asked["unlock"] and pod["hostname"].startswith("backup-")
    assert pod["hostname"] != host_of(NAMES, facts(begun()).backups.uid)
    former = {"metadata": {}, "spec": {"hostname": pod["hostname"]}, "status": {"phase": "Running"}}
    assert order(replace(facts(begun()), pods=(former,)), 3, 1).host == ""


def scratch(pod: dict[str, Any]) -> Any:
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "tmp"]
    return (
        volume.get("emptyDir") or volume["ephemeral"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]["storage"]
    )


@pytest.mark.parametrize(("size", "large"), [(1000, False), (GB // 2, False), (GB, True), (500 * GB, True)])
def test_scratch_space_is_as_large_as_the_home(size: int, large: bool) -> None:
    _, _, pod = made(3, size)
    found = scratch(pod)
    assert (int(found) > size) if large else found == {"sizeLimit": "2Gi"}


def test_a_hub_that_is_booted_has_its_copy_and_nothing_else() -> None:
    given = facts(begun())
    job = boot.job(given, 6, 0, [])
    pod, labels = job["spec"]["template"]["spec"], job["spec"]["template"]["metadata"]["labels"]
    assert [next(key for key in volume if key != "name") for volume in pod["volumes"]] == [
        "persistentVolumeClaim",
        "emptyDir",
    ]
    assert pod["automountServiceAccountToken"] is False and "serviceAccountName" not in pod
    (container,) = pod["containers"]
    assert container["image"] == "hub:1" and "envFrom" not in container
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]} and pod["securityContext"]["runAsNonRoot"]
    assert labels["component"] == "drill-hub", "the way to the repository is not open to it"
    assert not way(given)["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert job["metadata"]["namespace"] == SITE and "ownerReferences" not in job["metadata"]


SPEC = PDSHubSpec.model_validate({"signIn": {"development": {}}, "backup": S3})


def way(given: Facts) -> dict[str, Any]:
    found = copies.policy(given, SPEC, Installation())
    assert found is not None
    return found


def test_the_way_to_the_repository_is_that_of_backups_and_for_jobs_that_need_it_alone() -> None:
    given = facts(begun())
    policy, (_, _, _), pod = way(given), made(0), made(0)[1]["spec"]["template"]["metadata"]["labels"]
    assert policy["metadata"]["namespace"] == SITE and "ownerReferences" not in policy["metadata"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod.items()
    assert "Ingress" in policy["spec"]["policyTypes"] and not policy["spec"].get("ingress"), "nobody gets in"
    ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule.get("ports", [])}
    assert 443 in ports and 80 not in ports and 8081 not in ports


def test_two_hubs_share_nothing() -> None:
    other = type(NAMES)("other", "demo")
    assert secret_name(NAMES, SITE) != secret_name(other, SITE) and claim_name(NAMES, SITE) != claim_name(other, SITE)
    assert secret_name(type(NAMES)("a-b", "c"), SITE) != secret_name(type(NAMES)("a", "b-c"), SITE)


def test_the_databases_claim_has_room_for_an_upgrade() -> None:
    drills = begun()
    stages = [stage.model_copy(update={"size_bytes": GB}) for stage in drills.stages]
    size = copies.claim(facts(drills.model_copy(update={"stages": stages})))["spec"]["resources"]["requests"]["storage"]
    assert int(size) >= 3 * GB
