"""Walls around a hub: a namespace that enforces Pod Security, pods with little rights, a sign-in that holds.

Each test that changes the hub leaves it so: the next one says itself what it needs, and a restart less is seconds less.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from pdshub.api.base import parse_quantity
from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import RESTRICTED, namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person

SPACE, HUB = "e2e-signin", "walls"
USERS = {"allowed": ["ada", "bela"], "admins": ["root-admin"]}
GOOGLE = {"google": {"clientId": "id", "clientSecretRef": {"name": "oauth", "key": "client-secret"}}}
DUMMY = {"hub": {"config": {"JupyterHub": {"authenticator_class": "dummy"}}}}
NINETY_DAYS = 90 * 24 * 3600


def spec(sample: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The hub of this file, without an archive, with some fields of its own."""
    return variant(sample, HUB, SPACE, **{"archive": None, "users": USERS, **fields})


@pytest.fixture(scope="module")
def walls(cluster: Cluster, sample: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A hub whose servers have a quota, into which one fits: that of the sample has a limit of 1Gi."""
    namespace(cluster, SPACE)
    hub = spec(sample, quota={"servers": 2, "memory": "1Gi"})
    cluster.apply(hub)
    try:
        wait_ready(cluster, HUB, SPACE)
        yield hub
    finally:
        cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


@pytest.fixture(scope="module")
def walls_ada(cluster: Cluster, walls: dict[str, Any]) -> Person:
    """A user of that hub with the one server there may be."""
    found = person(cluster, "ada", HUB, SPACE)
    found.start()
    return found


def says(cluster: Cluster, kind: str, name: str, where: str, **wanted: str) -> dict[str, Any]:
    """A condition, as soon as it is as wanted."""
    found: dict[str, Any] = eventually(
        lambda: cluster.condition("pdshub", name, kind, where),
        lambda c: all(c.get(key) == value for key, value in wanted.items()),
        within=180,
        what=f"{kind} of {where}/{name} is {wanted}",
    )
    return found


# --- the namespace and its pods


def test_a_namespace_that_admits_privileged_pods_stalls_its_hub(cluster: Cluster, sample: dict[str, Any]) -> None:
    where = namespace(cluster, "e2e-unguarded", guarded=False)
    cluster.apply(variant(sample, "open", where, archive=None))
    try:
        said = says(cluster, "Stalled", "open", where, status="True", reason="NamespaceUnguarded")["message"]
        assert cluster.items("deployments", where) == []
        command = said[said.index("(kubectl label") + 1 : said.rindex(")")].split()
        cluster.kubectl(*command[1:])
        wait_ready(cluster, "open", where)
        assert cluster.condition("pdshub", "open", "NamespaceGuarded", where)["status"] == "True"
    finally:
        cluster.kubectl("delete", "pdshub", "open", "-n", where, "--timeout=120s", timeout=130)
        cluster.kubectl("delete", "namespace", where, "--wait=false")


def test_every_pod_of_a_hub_meets_the_restricted_standard(cluster: Cluster, walls_ada: Person) -> None:
    assert RESTRICTED.items() <= cluster.get("namespace", SPACE)["metadata"]["labels"].items()
    pods = cluster.items("pods", SPACE)
    assert {p["metadata"]["labels"]["component"] for p in pods} >= {"hub", "proxy", "singleuser-server"}
    for pod in pods:
        whole = pod["spec"].get("securityContext", {}).get("seccompProfile")
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            profile = container["securityContext"].get("seccompProfile") or whole
            assert profile == {"type": "RuntimeDefault"}, pod["metadata"]["name"]


@pytest.mark.parametrize("part", ["hub", "proxy"])
def test_hub_and_proxy_write_to_their_volumes_alone(cluster: Cluster, walls: dict[str, Any], part: str) -> None:
    containers = cluster.get("deployment", part, SPACE)["spec"]["template"]["spec"]["containers"]
    assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in containers)


def test_the_hub_has_a_place_for_scratch_and_no_other(cluster: Cluster, walls: dict[str, Any]) -> None:
    shell = ("exec", "-n", SPACE, "deployment/hub", "--", "touch")
    cluster.kubectl(*shell, "/tmp/e2e")
    for path in ("/e2e", "/usr/local/e2e", "/opt/e2e"):
        with pytest.raises(CommandFailed, match="Read-only"):
            cluster.kubectl(*shell, path)


def test_a_server_has_no_token_little_priority_and_limited_scratch(cluster: Cluster, walls_ada: Person) -> None:
    pod = cluster.get("pod", "jupyter-ada", SPACE)["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["priorityClassName"] == "pdshub-servers" and pod["priority"] < 0
    # the sample asks for less than the default of 10Gi
    assert pod["containers"][0]["resources"]["limits"]["ephemeral-storage"] == "4Gi"
    with walls_ada.kernel() as kernel:
        assert kernel.run("import os; print(os.path.exists('/var/run/secrets/kubernetes.io'))").ok() == "False"


def test_a_quota_refuses_in_words_and_servers_alone(cluster: Cluster, walls_ada: Person) -> None:
    used = cluster.get("resourcequota", f"{HUB}-servers", SPACE)["status"]["used"]
    assert used["pods"] == "1", "hub and proxy are not counted"
    assert parse_quantity(used["limits.memory"]) == 2**30
    bela = person(cluster, "bela", HUB, SPACE)
    bela.call("POST", "/hub/api/users/bela/server")
    eventually(
        lambda: cluster.kubectl("logs", "-n", SPACE, "deployment/hub", "--tail=-1"),
        lambda log: f"exceeded quota: {HUB}-servers" in log,
        what="the hub says which quota is exceeded",
    )
    eventually(lambda: bela.model().get("servers", {}), lambda servers: not servers, what="the start is given up")
    assert walls_ada.call("GET", "/user/ada/api/status").status_code == 200


def test_the_hub_says_itself_that_as_many_servers_run_as_may(
    cluster: Cluster, walls: dict[str, Any], walls_ada: Person
) -> None:
    cluster.apply({**walls, "spec": {**walls["spec"], "quota": {"servers": 1}}})
    wait_ready(cluster, HUB, SPACE)
    refused = person(cluster, "bela", HUB, SPACE).call("POST", "/hub/api/users/bela/server")
    assert refused.status_code == 429 and "limit" in refused.text


# --- sign-in


def test_values_that_open_the_sign_in_are_refused(cluster: Cluster, sample: dict[str, Any]) -> None:
    where = namespace(cluster, "e2e-open", development=False)
    secret = {"client-secret": base64.b64encode(b"words").decode()}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "oauth", "namespace": where}, "data": secret}
    )
    cluster.apply(variant(sample, "open", where, archive=None, signIn=GOOGLE, hostname="hub.example.org", values=DUMMY))
    try:
        said = says(cluster, "SignInReady", "open", where, status="False", reason="OpenSignIn")["message"]
        assert "spec.values.hub.config.JupyterHub.authenticator_class" in said
        assert cluster.items("deployments", where) == []
    finally:
        cluster.kubectl("delete", "pdshub", "open", "-n", where, "--timeout=120s", timeout=130)
        cluster.kubectl("delete", "namespace", where, "--wait=false")


def test_tokens_end(cluster: Cluster, walls_ada: Person) -> None:
    made = walls_ada.call("POST", "/hub/api/users/ada/tokens", json={"note": "no end"})
    assert made.status_code == 201 and made.json()["expires_at"]
    longer = walls_ada.call("POST", "/hub/api/users/ada/tokens", json={"expires_in": NINETY_DAYS + 1})
    assert longer.status_code == 400 and "expires_in" in longer.text


def may_list(someone: Person) -> int:
    """How the hub answers who wants to see all users, which only admins may."""
    return someone.call("GET", "/hub/api/users").status_code


def test_who_was_made_an_admin_by_hand_is_none_by_the_list(cluster: Cluster, walls: dict[str, Any]) -> None:
    root = person(cluster, "root-admin", HUB, SPACE)
    bela = person(cluster, "bela", HUB, SPACE)
    assert root.call("PATCH", "/hub/api/users/bela", json={"admin": True}).status_code == 200
    eventually(lambda: may_list(bela), lambda status: status == 403, what="the list is asked again, without a sign-in")
    assert may_list(person(cluster, "bela", HUB, SPACE)) == 403


def test_an_admin_who_is_taken_off_the_list_is_none(cluster: Cluster, walls: dict[str, Any]) -> None:
    before = person(cluster, "root-admin", HUB, SPACE)
    assert may_list(before) == 200
    fewer = {"allowed": [*USERS["allowed"], "root-admin"], "admins": []}
    cluster.apply({**walls, "spec": {**walls["spec"], "users": fewer}})
    eventually(lambda: may_list(before), lambda status: status == 403, what="with the token from before, at once")
    assert may_list(person(cluster, "root-admin", HUB, SPACE)) == 403


CODE: list[tuple[str, str, dict[str, str], str]] = [
    ("code that changes nothing", "e2e = 1", {"status": "Unknown", "reason": "ConfiguredByCode"}, "was refused"),
    (
        "code that lets everybody in",
        "c.JupyterHub.authenticator_class = 'dummy'\nc.DummyAuthenticator.allow_all = True",
        {"status": "False", "reason": "OpenSignIn"},
        "was let in",
    ),
]


@pytest.mark.parametrize(("code", "wanted", "words"), [c[1:] for c in CODE], ids=[c[0] for c in CODE])
def test_where_code_decides_an_unlisted_name_tries(
    cluster: Cluster, walls: dict[str, Any], code: str, wanted: dict[str, str], words: str
) -> None:
    values = {"hub": {"extraConfig": {"99-e2e": code}}}
    cluster.apply({**walls, "spec": {**walls["spec"], "values": values}})
    found = eventually(
        lambda: cluster.condition("pdshub", HUB, "SignInReady", SPACE),
        lambda c: words in c.get("message", "") and wanted.items() <= c.items(),
        within=180,
        what=f"SignInReady says: {words}",
    )
    assert "spec.values.hub.extraConfig.99-e2e" in found["message"]
    log = cluster.kubectl("logs", "-n", SPACE, "deployment/hub", "--tail=-1")
    # the hub's line about the request; another one says why somebody was refused
    attempts = [line for line in log.splitlines() if " log:" in line and "POST /hub/login" in line]
    assert len(attempts) == 1, "one attempt at each revision"
