"""What PDSHub's accounts may do and what they did: no right that nobody needs, no refusal that nobody expected.

Runs last: the API server's audit log then tells of the whole run.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.e2e import audit
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import SYSTEM

pytestmark = pytest.mark.alone  # it reads what all others left behind
LOG = "/var/log/kubernetes"
OPERATOR, NODE, HOMES = f"{SYSTEM}/pdshub-operator", f"{SYSTEM}/pdshub-node", f"{SYSTEM}/pdshub-homes"
SURVEYORS = "pdshub-surveyors"

UNUSED: dict[tuple[str, str, str], str] = {
    ("pdshub-operator", "bind", "*"): "asked for inside of a request that writes the RoleBinding",
    ("pdshub-operator", "impersonate", "*"): "asked for inside of every request as an account",
    ("pdshub-operator", "*", "pdshubs/finalizers.pdshub.dev"): "owner references, where the API server minds them",
    ("pdshub-operator", "*", "archiveviews/finalizers.pdshub.dev"): "the same",
    ("pdshub-operator", "create", "hubbackups.pdshub.dev"): "a schedule's runs, and those before upgrades: with --long",
    ("pdshub-operator", "delete", "hubbackups.pdshub.dev"): "those beyond the history",
    ("pdshub-operator", "create", "hubrestores.pdshub.dev"): "what people ask for at the hub's page: with --long",
    ("pdshub-operator", "delete", "hubrestores.pdshub.dev"): "those beyond the history",
    ("pdshub-hub", "*", "daemonsets.apps"): "zero-to-jupyterhub's image pullers",
    ("pdshub-hub", "*", "statefulsets.apps"): "charts that the installation allows",
    ("pdshub-hub", "*", "jobs.batch"): "zero-to-jupyterhub's image pullers",
    ("pdshub-hub", "*", "ingresses.networking.k8s.io"): "spec.hostname with an ingress",
    ("pdshub-hub", "*", "networkpolicies.networking.k8s.io"): "those of hub charts",
    ("pdshub-hub", "*", "httproutes.gateway.networking.k8s.io"): "spec.tls.gateway, where the cluster has Gateway API",
    ("pdshub-hub", "*", "poddisruptionbudgets.policy"): "zero-to-jupyterhub's, where values ask for them",
    ("pdshub-hub", "create", "pods"): "the hub's own Role hands it on to KubeSpawner",
    ("pdshub-hub", "delete", "pods"): "the same",
    ("pdshub-hub", "*", "events"): "the hub's own Role hands it on, and the operator's events",
    ("pdshub-hub", "patch", "*"): "Helm, when a chart changed an object",
    ("pdshub-hub", "update", "*"): "the same",
    ("pdshub-operator-installation", "create", "secrets"): "once, at the installation's first start",
    ("pdshub-operator-installation", "patch", "secrets"): "the same, and where certificates are renewed",
    ("pdshub-operator-surveyors", "patch", "persistentvolumeclaims"): "a store that grows",
    ("pdshub-operator-surveyors", "delete", "*"): "a view that goes",
}
"""Role, verb and resource (* for any) that a run need not use, and why they are given."""

EXPECTED: tuple[tuple[str, str], ...] = (
    ("is being terminated", "a namespace that is deleted takes no new objects"),
    ("violates PodSecurity", "the look whether a namespace would let privileged pods in"),
    (
        'configmaps "evil" is forbidden: User "system:serviceaccount:e2e-walls:pdshub-helm"',
        "what values of an attack add to a chart with unquoted texts: the preview asks, as the namespace's account",
    ),
)
"""Words of refusals that are part of a test, and why."""
CLOSED = ("aside", "elsewhere", "foreign", "leaving", "production", "tenant", "tenant-leaving")
"""Namespaces of tests (behind e2e-) that may not hold a hub, or go with one: their account then has no rights."""


@pytest.fixture(scope="module")
def made(cluster: Cluster) -> list[audit.Use]:
    """Every request of PDSHub's accounts since the installation's last release."""
    releases = cluster.items("secrets", SYSTEM, "owner=helm,name=pdshub")
    since = max(item["metadata"]["creationTimestamp"] for item in releases)
    text = cluster.node("sh", "-c", f"cat {LOG}/audit*.log", timeout=300)
    return audit.uses(text.splitlines(), since.removesuffix("Z"))


def is_explained(grant: audit.Grant) -> bool:
    """Whether it is said above why a right is given that a run need not use."""
    return any(
        role == grant.role and verb in ("*", grant.verb) and kind in ("*", grant.kind) for role, verb, kind in UNUSED
    )


def is_expected(use: audit.Use) -> bool:
    """Whether a refusal is part of a test."""
    closed = bool(use.acting_as) and use.namespace.removeprefix("e2e-") in CLOSED
    return closed or any(words in use.said for words, _ in EXPECTED)


def is_of_the_first_moment(number: int, made: list[audit.Use]) -> bool:
    """Whether a copy of a namespace was asked for before the API server knew its RoleBinding, and then had."""
    use = made[number]
    bare = replace(use, code=0, said="")
    later = [one.code for one in made[number + 1 :] if replace(one, code=0, said="") == bare]
    return bool(use.acting_as) and use.verb in ("list", "watch") and bool(later) and later[-1] < 400


def given(cluster: Cluster, kind: str, name: str, namespace: str | None = None) -> list[audit.Grant]:
    """What a role of the chart gives."""
    return audit.grants(cluster.get(kind, name, namespace))


def test_every_right_is_used(cluster: Cluster, made: list[audit.Use], request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("told") or request.config.getoption("keyword"):
        pytest.skip("only a whole run uses every right: ./hack/test")
    own = [use for use in made if use.account == OPERATOR and not use.acting_as]
    tenant = [use for use in made if use.acting_as.endswith("/pdshub-helm")]
    left = [
        *audit.unused(given(cluster, "clusterrole", "pdshub-operator"), own),
        *audit.unused(
            given(cluster, "role", "pdshub-operator-installation", SYSTEM), [u for u in own if u.namespace == SYSTEM]
        ),
        *audit.unused(
            given(cluster, "role", "pdshub-operator-probes", SYSTEM), [u for u in own if u.namespace == SYSTEM]
        ),
        *audit.unused(
            given(cluster, "role", "pdshub-operator-api-server", "default"),
            [u for u in own if u.namespace == "default"],
        ),
        *audit.unused(
            given(cluster, "role", "pdshub-operator-surveyors", SURVEYORS), [u for u in own if u.namespace == SURVEYORS]
        ),
        *audit.unused(given(cluster, "clusterrole", "pdshub-hub"), tenant),
        *audit.unused(given(cluster, "clusterrole", "pdshub-node"), [use for use in made if use.account == NODE]),
        *audit.unused(given(cluster, "clusterrole", "pdshub-homes"), [use for use in made if use.account == HOMES]),
    ]
    surprising = [str(grant) for grant in left if not is_explained(grant)]
    assert surprising == [], "nobody used these rights: take them away, or say why they are given"


def test_no_refusal_is_unexpected(made: list[audit.Use]) -> None:
    assert made, "the API server wrote nothing down"
    refused = [
        f"{use.account} as {use.acting_as}: {use.verb} {use.resource} {use.namespace}/{use.name}: {use.said}"
        for number, use in enumerate(made)
        if use.code == 403 and not is_expected(use) and not is_of_the_first_moment(number, made)
    ]
    assert refused == [], json.dumps(refused[:20], indent=1)
