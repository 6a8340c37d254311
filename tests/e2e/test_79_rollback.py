"""An upgrade of the hub's image waits for a copy of its database, and going back brings both back, killed or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import SYSTEM, namespace, person, variant, wait_ready

pytestmark = [pytest.mark.long, pytest.mark.alone]  # the operator is everybody's
SPACE, HUB, ADMIN = "e2e-rollback", "returns", "root-admin"


def tagged(image: str, tag: str) -> str:
    """Another name of an image."""
    return f"{image.rpartition(':')[0]}:{tag}"


@pytest.fixture(scope="module")
def older(cluster: Cluster, sample: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A hub whose image is the cluster's own under another name: the older one."""
    image = cluster.facts["IMAGE_HUB"]
    for tag in ("e2e-older", "e2e-newer"):
        known = image if image.partition("/")[2] else f"docker.io/library/{image}"
        cluster.node("ctr", "-n", "k8s.io", "images", "tag", "--force", known, tagged(known, tag))
    namespace(cluster, SPACE)
    users = {"allowed": ["ada", "bela", "cora"], "admins": [ADMIN]}
    made = variant(sample, HUB, SPACE, archive=None, users=users, values=values(cluster, "e2e-older"))
    cluster.apply(made)
    wait_ready(cluster, HUB, SPACE)
    person(cluster, "ada", HUB, SPACE).sign_in()
    yield made
    cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--ignore-not-found", "--timeout=180s", timeout=190)
    cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def values(cluster: Cluster, tag: str) -> dict[str, Any]:
    name = cluster.facts["IMAGE_HUB"].rpartition(":")[0]
    return {"hub": {"image": {"name": name, "tag": tag}}}


def upgraded(cluster: Cluster, older: dict[str, Any], tag: str, **upgrade: Any) -> None:
    more = {"upgrade": upgrade} if upgrade else {}
    cluster.apply({**older, "spec": {**older["spec"], "values": values(cluster, tag), **more}})


def status(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("pdshub", HUB, SPACE).get("status", {})
    return found


def users(cluster: Cluster) -> set[str]:
    """Everybody whom the hub's database knows, as its admin sees it."""
    admin = person(cluster, ADMIN, HUB, SPACE).sign_in()
    answer = admin.session.get(admin.url("/hub/api/users"), headers={"Referer": admin.url("/hub/admin")}, timeout=30)
    assert answer.status_code == 200, answer.text
    return {user["name"] for user in answer.json()}


def image(cluster: Cluster) -> str:
    (pod,) = [
        pod
        for pod in cluster.items("pods", SPACE, "component=hub")
        if not pod["metadata"].get("deletionTimestamp") and "pdshub.dev/probe" not in pod["metadata"].get("labels", {})
    ]
    return str(pod["spec"]["containers"][0]["image"])


def rolled_back(cluster: Cluster, wanted: str = "True", within: float = 300) -> dict[str, Any]:
    found: dict[str, Any] = eventually(
        lambda: cluster.condition("pdshub", HUB, "RolledBack", SPACE),
        lambda condition: condition.get("status") == wanted,
        within=within,
        what=f"RolledBack is {wanted}",
    )
    return found


def settled(cluster: Cluster) -> None:
    """What was applied is done: a hub is Ready while its upgrade waits for a copy, too."""
    wait_ready(cluster, HUB, SPACE)
    eventually(
        lambda: cluster.condition("pdshub", HUB, "Reconciling", SPACE),
        lambda condition: condition.get("status") == "False",
        within=300,
        what="nothing is under way",
    )
    wait_ready(cluster, HUB, SPACE)


def test_an_upgrade_of_the_image_copies_the_database_first(cluster: Cluster, older: dict[str, Any]) -> None:
    before = status(cluster)["revision"]
    upgraded(cluster, older, "e2e-newer")
    settled(cluster)
    (copy,) = status(cluster)["upgrade"]["copies"]
    assert (copy["revision"], copy["why"]) == (before, "Upgrade") and copy["release"] and copy["sizeBytes"] > 0
    assert image(cluster).endswith(":e2e-newer")
    assert cluster.get("persistentvolumeclaim", f"{HUB}-copies", SPACE)["status"]["phase"] == "Bound"
    assert not cluster.items("jobs", SPACE, "component=database-copy")


def test_a_changed_limit_makes_no_copy(cluster: Cluster, older: dict[str, Any]) -> None:
    copies = status(cluster)["upgrade"]["copies"]
    culling = {"culling": {"idleSeconds": 7200}}
    cluster.apply({**older, "spec": {**older["spec"], "values": values(cluster, "e2e-newer"), **culling}})
    settled(cluster)
    assert status(cluster)["upgrade"]["copies"] == copies
    upgraded(cluster, older, "e2e-newer")
    settled(cluster)


def test_the_older_hub_comes_back_with_its_own_database(cluster: Cluster, older: dict[str, Any]) -> None:
    person(cluster, "bela", HUB, SPACE).sign_in()
    assert {"ada", "bela"} <= users(cluster)
    said = cluster.run("kubectl", "pdshub", "rollback", "--hub", f"{SPACE}/{HUB}", "--yes", timeout=600)
    assert said.startswith("RolledBack: ")
    settled(cluster)
    assert image(cluster).endswith(":e2e-older")
    found = users(cluster)
    assert "ada" in found and "bela" not in found
    page = person(cluster, "ada", HUB, SPACE).sign_in().page("/hub/home")
    assert "this hub was set back to its state of" in page
    assert status(cluster)["upgrade"]["copies"][0]["why"] == "Rollback"


def test_the_spec_waits_until_the_return_is_ended(cluster: Cluster, older: dict[str, Any]) -> None:
    person(cluster, "cora", HUB, SPACE).sign_in()
    revision = status(cluster)["revision"]
    culling = json.dumps({"spec": {"culling": {"idleSeconds": 7201}}})
    cluster.kubectl("patch", "pdshub", HUB, "-n", SPACE, "--type=merge", "-p", culling)
    settled(cluster)
    assert status(cluster)["revision"] == revision and image(cluster).endswith(":e2e-older")
    cluster.run("kubectl", "pdshub", "rollback", "--hub", f"{SPACE}/{HUB}", "--end", "--yes", timeout=600)
    settled(cluster)
    assert image(cluster).endswith(":e2e-newer") and {"ada", "cora"} <= users(cluster)
    assert not cluster.condition("pdshub", HUB, "RolledBack", SPACE)


def test_an_operator_that_is_killed_on_the_way_goes_on(cluster: Cluster, older: dict[str, Any]) -> None:
    """Killed once the hub is stopped, and once more when the Job is there."""
    copies = status(cluster)["upgrade"]["copies"]
    wanted = next(copy["revision"] for copy in copies if copy["why"] == "Upgrade")
    upgraded(cluster, older, "e2e-newer", rollback=wanted)
    for reached in (
        lambda: cluster.get("deployment", "hub", SPACE)["spec"]["replicas"] == 0,
        lambda: bool(cluster.items("jobs", SPACE, "component=database-copy")),
    ):
        eventually(reached, lambda found: found, within=120, what="a step of the return")
        killed = ("-l", "app.kubernetes.io/component=operator", "--force", "--grace-period=0")
        cluster.kubectl("delete", "pod", "-n", SYSTEM, *killed)
    assert rolled_back(cluster)["reason"] == "RolledBack"
    settled(cluster)
    assert image(cluster).endswith(":e2e-older") and "ada" in users(cluster)


def test_what_somebody_wrote_into_the_namespace_is_not_gone_back_to(cluster: Cluster, older: dict[str, Any]) -> None:
    """A record with another release, another seal, or none."""
    upgraded(cluster, older, "e2e-newer")
    settled(cluster)
    newest = next(copy for copy in status(cluster)["upgrade"]["copies"] if copy["why"] == "Upgrade")
    selector = f"pdshub.dev/hub={HUB},pdshub.dev/revision={newest['revision']}"
    (record,) = cluster.items("secrets", SPACE, selector)
    before = status(cluster)["revision"]
    evil = {**record["data"], "release": record["data"]["release"][:-8] + "AAAAAAA="}
    cluster.kubectl(
        "patch", "secret", record["metadata"]["name"], "-n", SPACE, "--type=merge", "-p", json.dumps({"data": evil})
    )
    upgraded(cluster, older, "e2e-newer", rollback=newest["revision"])
    found = rolled_back(cluster, "False", within=120)
    assert found["reason"] == "RollbackNotPossible" and "without the operator's seal" in found["message"]
    assert status(cluster)["revision"] == before
    assert cluster.condition("pdshub", HUB, "Ready", SPACE)["status"] == "True"
