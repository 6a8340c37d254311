"""What PDSHub's accounts may do and what they did: no right that nobody needs, no refusal that nobody expected.

Runs last: the API server's audit log then tells of the whole run.
"""

from __future__ import annotations

import json

import pytest

from tests.e2e import audit
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import SYSTEM

pytestmark = pytest.mark.alone  # it reads what all others left behind
LOG = "/var/log/kubernetes"
OPERATOR, NODE = f"{SYSTEM}/pdshub-operator", f"{SYSTEM}/pdshub-node"
SURVEYORS = "pdshub-surveyors"

UNUSED: dict[str, str] = {}
"""Rights that no test uses, and why they are given all the same."""

EXPECTED: tuple[tuple[str, str], ...] = (
    ("is being terminated", "a namespace that is deleted takes no new objects"),
    ("violates PodSecurity", "the look whether a namespace would let privileged pods in"),
)
"""Words of refusals that are part of a test, and why."""


@pytest.fixture(scope="module")
def made(cluster: Cluster) -> list[audit.Use]:
    """Every request of PDSHub's accounts since the installation's last release."""
    releases = cluster.items("secrets", SYSTEM, "owner=helm,name=pdshub")
    since = max(item["metadata"]["creationTimestamp"] for item in releases)
    text = cluster.node("sh", "-c", f"cat {LOG}/audit*.log", timeout=300)
    return audit.uses(text.splitlines(), since.removesuffix("Z"))


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
            given(cluster, "role", "pdshub-operator-surveyors", SURVEYORS), [u for u in own if u.namespace == SURVEYORS]
        ),
        *audit.unused(given(cluster, "clusterrole", "pdshub-hub"), tenant),
        *audit.unused(given(cluster, "clusterrole", "pdshub-node"), [use for use in made if use.account == NODE]),
    ]
    surprising = [str(grant) for grant in left if str(grant) not in UNUSED]
    assert surprising == [], "nobody used these rights: take them away, or say why they are given"


def test_no_refusal_is_unexpected(made: list[audit.Use]) -> None:
    assert made, "the API server wrote nothing down"
    refused = [
        f"{use.account} as {use.acting_as}: {use.verb} {use.resource} {use.namespace}/{use.name}: {use.said}"
        for use in made
        if use.code == 403 and not any(words in use.said for words, _ in EXPECTED)
    ]
    assert refused == [], json.dumps(refused[:20], indent=1)
