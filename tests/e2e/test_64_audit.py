"""The audit log: what people do at a hub is in it, once, whoever restarts; and no hub comes near it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from pdshub.wellknown import AUDIT_POD
from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import SYSTEM, namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person, SignInRefused

SPACE, HUB = "e2e-audit", "audited"
USERS = {"allowed": ["ada", "bela"], "admins": ["root-admin"]}
CLAIM = "pdshub-audit"


@pytest.fixture(scope="module")
def audited(cluster: Cluster, sample: dict[str, Any]) -> Iterator[dict[str, Any]]:
    namespace(cluster, SPACE)
    hub = variant(sample, HUB, SPACE, archive=None, users=USERS)
    cluster.apply(hub)
    try:
        wait_ready(cluster, HUB, SPACE)
        yield hub
    finally:
        cluster.dismiss(SPACE, HUB)


def log(cluster: Cluster, *words: str) -> list[dict[str, Any]]:
    """Entries of this hub, by the program that `kubectl pdshub audit` runs in the reader's pod."""
    line = ["exec", "-n", SYSTEM, AUDIT_POD, "-c", "audit", "--", "pdshub-audit", f"--hub={SPACE}/{HUB}", *words]
    return [json.loads(found) for found in cluster.kubectl(*line).splitlines()][:-1]


def has(cluster: Cluster, event: str, **fields: str) -> list[dict[str, Any]]:
    found = log(cluster, f"--event={event}")
    return [each for each in found if all(each.get(key) == value for key, value in fields.items())]


def test_what_people_do_is_written(cluster: Cluster, audited: dict[str, Any]) -> None:
    ada = person(cluster, "ada", HUB, SPACE)
    eventually(lambda: has(cluster, "sign-in", user="ada") or None, within=60, what="ada's sign-in")
    with pytest.raises(SignInRefused):
        Person(ada.address, "eve", ada.password).sign_in()
    eventually(lambda: has(cluster, "sign-in-refused", user="eve", reason="not-listed") or None, within=60, what="eve")
    with pytest.raises(SignInRefused):
        Person(ada.address, "bela", "wrong").sign_in()
    eventually(lambda: has(cluster, "sign-in-refused", claimed="bela", reason="not-proven") or None, within=60,
               what="a wrong password")  # fmt: skip
    assert ada.password not in json.dumps(log(cluster))


def test_an_admin_who_enters_somebodys_server_is_written(cluster: Cluster, audited: dict[str, Any]) -> None:
    ada = person(cluster, "ada", HUB, SPACE)
    ada.start()
    root = person(cluster, "root-admin", HUB, SPACE)
    # by a token, as programs do: the server asks the hub whose it is, from its own pod
    root.call("GET", "/user/ada/api/status")
    (entry, *_) = eventually(
        lambda: has(cluster, "access", user="root-admin", owner="ada") or None, within=60, what="the admin's visit"
    )
    assert entry["way"] == "token"
    assert not has(cluster, "access", user="ada")
    root.call("DELETE", "/hub/api/users/ada/server")
    eventually(lambda: has(cluster, "server-stop", user="root-admin", owner="ada") or None, within=60, what="the stop")


def test_a_changed_list_and_a_removal_are_written(cluster: Cluster, audited: dict[str, Any]) -> None:
    person(cluster, "bela", HUB, SPACE)
    cluster.kubectl(
        "patch", "pdshub", HUB, "-n", SPACE, "--type=merge", "--field-manager=e2e",
        "-p", json.dumps({"spec": {"users": {"allowed": ["ada"]}}}),
    )  # fmt: skip
    (entry, *_) = eventually(
        lambda: [e for e in has(cluster, "list-change") if "allowed:bela" in (e.get("removed") or [])] or None,
        within=120,
        what="the changed list",
    )
    assert (entry["manager"], entry["person"]) == ("e2e", "see the API server's audit log")
    assert entry["object"] == f"PDSHub {HUB}"
    eventually(lambda: has(cluster, "user-deleted", target="bela") or None, within=120, what="bela's removal")
    eventually(lambda: has(cluster, "removal", user="bela", step="done") or None, within=60, what="the end of it")


def test_no_hub_mounts_the_log_and_its_reader_can_do_nothing(cluster: Cluster, audited: dict[str, Any]) -> None:
    users = {
        pod["metadata"]["name"]: pod
        for pod in cluster.items("pods", SYSTEM)
        for volume in pod["spec"].get("volumes", [])
        if (volume.get("persistentVolumeClaim") or {}).get("claimName") == CLAIM
    }
    assert {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in users.values()} == {"operator", "audit"}
    for pod in cluster.items("pods", SPACE):
        assert CLAIM not in json.dumps(pod["spec"].get("volumes", []))
    for attempt in (
        "echo x >> /var/lib/pdshub/audit/audit-00000001.jsonl",
        "touch /var/lib/pdshub/audit/x",
        "cat /var/run/secrets/kubernetes.io/serviceaccount/token",
    ):
        with pytest.raises(CommandFailed):
            cluster.kubectl("exec", "-n", SYSTEM, AUDIT_POD, "-c", "audit", "--", "sh", "-c", attempt)


@pytest.mark.alone  # the operator restarts
def test_an_operator_that_restarts_writes_nothing_twice_and_loses_nothing(
    cluster: Cluster, audited: dict[str, Any]
) -> None:
    # the log has what runs before this one wrote, too
    names = [f"nobody-{number}-{uuid.uuid4().hex[:8]}" for number in range(6)]
    ada = person(cluster, "ada", HUB, SPACE)

    def refused(name: str) -> None:
        with pytest.raises(SignInRefused):
            Person(ada.address, name, ada.password).sign_in()

    refused(names[0])
    cluster.kubectl("rollout", "restart", "deployment/pdshub-operator", "-n", SYSTEM)
    for name in names[1:5]:
        refused(name)
    cluster.kubectl("rollout", "status", "deployment/pdshub-operator", "-n", SYSTEM, "--timeout=180s", timeout=190)
    refused(names[5])
    eventually(lambda: has(cluster, "sign-in-refused", user=names[5]) or None, within=120, what="the last of them")
    seen = [each["user"] for each in has(cluster, "sign-in-refused") if each["user"] in names]
    assert seen == names
    numbers = [(each["run"], each["seq"]) for each in log(cluster, "--limit=100000") if each["from"] == "hub"]
    assert len(set(numbers)) == len(numbers)
    verdict = json.loads(
        cluster.kubectl("exec", "-n", SYSTEM, AUDIT_POD, "-c", "audit", "--", "pdshub-audit", "--verify")
    )
    assert verdict["unchanged"] is True, verdict
