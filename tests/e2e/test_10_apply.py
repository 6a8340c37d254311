"""One apply makes a hub that people can sign in to."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.e2e.cluster import Cluster, CommandFailed
from tests.e2e.conftest import NAMESPACE, person
from tests.e2e.hubclient import Person, SignInRefused


def test_get_ph_shows_what_an_admin_asks_first(cluster: Cluster, hub: dict[str, Any]) -> None:
    head, row = cluster.kubectl("get", "ph", "demo", "-n", NAMESPACE).splitlines()
    assert head.split() == ["NAME", "READY", "ADDRESS", "VERSION", "USERS", "ARCHIVE", "AGE"]
    assert "http://" in row and " True " in row
    status = cluster.get("pdshub", "demo", NAMESPACE)["status"]
    assert status["users"] == 3  # two allowed and one admin
    assert requests.get(status["address"] + "/hub/health", timeout=10).status_code == 200


@pytest.mark.parametrize("field", ["spec", "spec.signIn.google", "spec.server.profiles", "spec.values", "status"])
def test_explain_reads_like_documentation(cluster: Cluster, field: str) -> None:
    text = cluster.kubectl("explain", f"pdshub.{field}")
    assert "DESCRIPTION:" in text and "<empty>" not in text


@pytest.mark.parametrize("user", ["mallory", "ADA2", "ada@example.org"])
def test_who_is_not_allowed_stays_out(cluster: Cluster, hub: dict[str, Any], user: str) -> None:
    with pytest.raises(SignInRefused):
        person(cluster, user)


def test_a_wrong_password_stays_out(cluster: Cluster, hub: dict[str, Any]) -> None:
    address = cluster.get("pdshub", "demo", NAMESPACE)["status"]["address"]
    with pytest.raises(SignInRefused):
        Person(address, "ada", "wrong").sign_in()


def test_the_password_is_in_no_value_and_no_argument(cluster: Cluster, hub: dict[str, Any]) -> None:
    from tests.e2e.conftest import password

    secret = password(cluster, "demo", NAMESPACE)
    assert secret not in cluster.run("helm", "get", "values", "demo", "-n", NAMESPACE, "--all")
    assert secret not in cluster.kubectl(
        "logs", "-n", "pdshub-system", "-l", "app.kubernetes.io/component=operator", "--tail=-1"
    )
    assert secret not in cluster.kubectl("get", "events", "-A", "-o", "yaml")


def test_user_pods_satisfy_the_restricted_standard(cluster: Cluster, ada: Person) -> None:
    try:
        said = cluster.kubectl(
            "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted", "--dry-run=server"
        )
    except CommandFailed as refused:
        said = refused.out + refused.err
    assert "jupyter-ada" not in said
    pod = cluster.get("pod", "jupyter-ada", NAMESPACE)
    assert pod["spec"]["automountServiceAccountToken"] is False
    limits = pod["spec"]["containers"][0]["resources"]["limits"]
    assert limits["memory"] and limits["cpu"]


@pytest.mark.alone  # the operator restarts
def test_nothing_to_do_runs_helm_zero_times_and_writes_nothing(cluster: Cluster, ada: Person) -> None:
    history = cluster.run("helm", "history", "demo", "-n", NAMESPACE, "-o", "json")
    before = cluster.get("pdshub", "demo", NAMESPACE)
    cluster.kubectl("annotate", "pdshub", "demo", "-n", NAMESPACE, "e2e/poke=1", "--overwrite")
    poked = cluster.get("pdshub", "demo", NAMESPACE)["metadata"]["resourceVersion"]
    cluster.kubectl("rollout", "restart", "deployment/pdshub-operator", "-n", "pdshub-system")
    cluster.kubectl(
        "rollout", "status", "deployment/pdshub-operator", "-n", "pdshub-system", "--timeout=120s", timeout=130
    )
    from tests.e2e.conftest import wait_ready

    wait_ready(cluster, "demo", NAMESPACE)
    after = cluster.get("pdshub", "demo", NAMESPACE)
    assert cluster.run("helm", "history", "demo", "-n", NAMESPACE, "-o", "json") == history
    assert after["status"].get("helmRuns") == before["status"].get("helmRuns")
    assert after["metadata"]["resourceVersion"] == poked
